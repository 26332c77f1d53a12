"""loraexp verify: compute again all that a finished run says of itself."""

from dataclasses import dataclass
from pathlib import Path

from loraexp.config.keys import key
from loraexp.errors import UserError
from loraexp.runtime.escape import printable


@dataclass
class VerifyConfig:
    """loraexp verify"""

    run: str = key("???", "folder of a finished run", path=True, text=True)


def run(config: VerifyConfig) -> None:
    from loraexp.tools.verification import verify  # heavy: not at start

    checks = list(verify(Path(config.run)))
    for check in checks:
        state = f"OFF: {check.off}" if check.off else "skipped" if check.skipped else "ok"
        print(printable(f"{check.field:<50} {state}"))
        if check.skipped:
            print(printable(f"  {check.skipped}"))
    if off := [check.field for check in checks if check.off]:
        raise UserError(f"run={config.run}: {', '.join(off)} is not what the run says")
