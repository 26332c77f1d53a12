"""A forger's tools: other values for fields, digests that fit, and what verify says of them."""

import json
from pathlib import Path
from typing import Any

from loraexp.adapters.adapter_files import CARD, card_text
from loraexp.errors import UserError
from loraexp.records.record import FILE
from loraexp.runtime.atomic import json_hash
from loraexp.tools.verification import verify


def off(run: Path) -> list[str]:
    return [check.field for check in verify(run) if check.off]


def card_of(run: Path) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((run / "adapter" / CARD).read_text())
    return card


def rewrite(run: Path, card: dict[str, Any], digests: bool = False) -> None:
    """Put a changed card back, with fitting digests if a forger is to be played."""
    if digests:
        card = {field: value for field, value in card.items() if field != "digests"}
        card["digests"] = {field: json_hash(value) for field, value in card.items()}
    (run / "adapter" / CARD).write_text(card_text(card))


def record_of(run: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((run / FILE).read_text())
    return record


def reseal(run: Path, record: dict[str, Any]) -> None:
    """Put a changed record back, with a seal that fits."""
    sealed = {key: value for key, value in record.items() if key != "seal"}
    (run / FILE).write_text(json.dumps(sealed | {"seal": json_hash(sealed)}))


def changed(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, dict):
        key = next(iter(value), "")
        return {**value, key: changed(value.get(key))}
    if isinstance(value, list) and value:
        return [changed(value[0]), *value[1:]]
    if isinstance(value, str):
        return f"{value}x"
    return not value if isinstance(value, bool) else 1 if value is None else value + 1


def found(run: Path) -> str:
    """What verify says is off, or the error it stops with; a traceback is neither."""
    try:
        return ", ".join(off(run))
    except UserError as error:
        return str(error)


def forged(content: dict[str, Any], path: str) -> dict[str, Any]:
    key, _, rest = path.partition(".")
    value = forged(content[key], rest) if rest else changed(content[key])
    return {**content, key: value}


def check_of(field: str) -> str:
    """What verify calls the check of a record's field."""
    parts = field.split(".")
    if parts[0] in ("versions", "precision"):  # of the card
        return parts[0]
    if parts[0] == "predictions":
        return f"record: predictions.{parts[2]}"
    if parts[0] in ("epochs", "best_epoch", "steps"):
        return "record: epochs"
    whole = {"config": 1, "counts": 1, "data": 1}.get(parts[0], 2)
    return f"record: {'.'.join(parts[:whole])}"


def rounds(fields: list[str]) -> list[list[str]]:
    """Fields that are forged at once, for time's sake: no two of one check."""
    found: list[list[str]] = []
    for field in fields:
        free = (r for r in found if check_of(field) not in map(check_of, r))
        if (one := next(free, None)) is None:
            found.append(one := [])
        one.append(field)
    return found
