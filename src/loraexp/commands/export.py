"""loraexp export: write a run's adapter in PEFT's format, or with a card for the hub."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from loraexp.config.keys import key, one_of
from loraexp.errors import UserError
from loraexp.runtime.escape import printable

if TYPE_CHECKING:
    from loraexp.results.comparison import Findings
    from loraexp.tools.peft.to_peft import Card


@dataclass
class ExportConfig:
    """loraexp export"""

    run: str = key("???", "folder of a finished run", path=True, text=True)
    out: str = key("???", "new folder for the adapter in PEFT's format", path=True, text=True)
    format: str = one_of("peft", "peft", "hub (its README is a model card; `push` sends it)")
    evidence: list[str] = key(
        [], "format=hub: folders of runs to compare with, whose table is on the card", path=True
    )
    license: str = key(
        "", "format=hub: of the adapter, as the hub names it: mit, apache-2.0, other"
    )
    license_name: str = key("", "with license=other: its name", text=True)
    license_link: str = key("", "with license=other: where it can be read", text=True)
    data_license: str = key("", "format=hub: of the texts, in words", text=True)
    language: str = key("", "format=hub: of the texts, e.g. en")


def run(config: ExportConfig) -> None:
    """
    Raises:
        UserError: keys of the card without format=hub, or a run that cannot be exported.
    """
    from loraexp.tools.peft.to_peft import export  # heavy: not at start

    card = card_of(config) if config.format == "hub" else None
    of_card = ("evidence", "license", "license_name", "license_link", "data_license", "language")
    if card is None and (typed := [key for key in of_card if getattr(config, key)]):
        raise UserError(f"{typed[0]} is for the card of format=hub, got format={config.format}")
    tensors = export(Path(config.run), Path(config.out), card)
    print(printable(f"wrote {config.out}: {tensors} tensors; its README.md says how peft opens it"))
    if card:
        print(printable(f"To send it: python -m loraexp push folder={config.out} repo=USER/NAME"))


def card_of(config: ExportConfig) -> "Card":
    """What makes the card; all that can be wrong with it is found now."""
    from loraexp.records.record import is_finished, read_record
    from loraexp.tools.peft.hub_card import Terms, card

    terms = Terms(
        config.license,
        config.license_name,
        config.license_link,
        config.data_license,
        config.language,
    )
    terms.check()
    run = Path(config.run)
    record = read_record(run) if is_finished(run) else None
    evidence = None
    if config.evidence:
        evidence = compared(config.evidence)
    return lambda model, opened: card(
        run.resolve().name, model.config, model.labels, record, terms, evidence, opened
    )


def compared(folders: list[str]) -> "Findings":
    """The comparison of the runs below; of jobs that failed their number alone, for a reason may
    hold a path.

    Raises:
        UserError: no run, or runs that differ in a path, which would be on the card.
    """
    from loraexp.results.arm_keys import varied
    from loraexp.results.comparison import findings
    from loraexp.sweeps.shown.collect import collect

    found = collect(folders, [])
    by = varied(found.records)
    if paths := [key for key in by if key in ("data.path", "model.weights", "model.tokenizer")]:
        raise UserError(f"evidence: these runs differ in {paths[0]}, a path that is not for a card")
    failed = len(found.beside.failures)
    result = findings(found.records, by, beside=replace(found.beside, failures=[]))
    remarks = [f"{failed} jobs failed."] if failed else []
    return replace(result, remarks=[*result.remarks, *remarks])
