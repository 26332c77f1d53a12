"""loraexp push: send an export to the Hugging Face hub; without repo= only list what would be."""

from dataclasses import dataclass
from pathlib import Path

from loraexp.config.keys import key
from loraexp.results.tables import size
from loraexp.runtime.escape import printable


@dataclass
class PushConfig:
    """loraexp push"""

    folder: str = key("???", "folder that export format=hub wrote", path=True, text=True)
    repo: str | None = key(None, "USER/NAME on the hub; null: nothing is sent")
    private: bool = key(True, "whether a new repository is; of one that is there it must hold")
    message: str = key("Add what loraexp wrote", "of the commit", text=True)


def run(config: PushConfig) -> None:
    from loraexp.tools.pushing import push, sendable

    files = sendable(Path(config.folder))
    for name, file in files.items():
        print(f"{size(file.stat().st_size):>9}  {name}")
    if config.repo is None:
        print("nothing was sent: repo=USER/NAME says where to")
        return
    address = push(Path(config.folder), config.repo, config.private, config.message)
    print(printable(f"sent to {address}{' (private)' if config.private else ''}"))
