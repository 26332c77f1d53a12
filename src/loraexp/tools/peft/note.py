"""What an export says for our own `import`, in a file beside PEFT's: labels, base, how texts are
read. No torch here: the command line asks for it too."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from loraexp.config.rules import check
from loraexp.config.schema import Data, Model
from loraexp.config.stored import from_dict, plain
from loraexp.errors import UserError
from loraexp.records.typed_json import fits, hints_of
from loraexp.runtime.atomic import write_whole

NOTE, BASE = "loraexp.json", "base"  # the folder of a base that is in the export
OWN = "own"  # as model.tokenizer: the files in the export


@dataclass(frozen=True)
class Note:
    """
    Args:
        model: plain content of a Model; its weights are `base` or `hub`.
        base_sha256, tokenizer_sha256: of what the adapter was trained on.
        max_length, strip, truncation: of the run's data.
    """

    labels: list[str]
    model: dict[str, Any]
    base_sha256: str
    tokenizer_sha256: str
    max_length: int | None
    strip: bool
    truncation: str = "end"  # notes of before lack it

    def write(self, folder: Path) -> None:
        write_whole(folder / NOTE, json.dumps(asdict(self), indent=2) + "\n")


def read_note(folder: Path) -> Note | None:
    """The note of an export, None where there is none.

    Raises:
        UserError: it is damaged.
    """
    file = folder / NOTE
    if not file.exists():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        note = Note(**content)
        for name, hint in hints_of(Note).items():
            if not fits(getattr(note, name), hint):
                raise TypeError(f"{name} is no {hint}")
        check(model_of(note, folder))
        check(Data(truncation=note.truncation))
    except (OSError, ValueError, TypeError, RecursionError, UserError) as error:
        raise UserError(f"{file} is damaged: {error}") from None
    return note


def note_model(model: Model) -> dict[str, Any]:
    """A model as a note holds it: without a path."""
    tokenizer = "auto" if model.tokenizer == "auto" else OWN
    if model.weights == "hub":
        return plain(replace(model, tokenizer=tokenizer))
    own = replace(model, weights=BASE, tokenizer="auto", repo="", revision="", sha256="")
    return plain(own)


def model_of(note: Note, folder: Path) -> Model:
    """The model of a note, where the export lies now.

    Raises:
        TypeError: content that is no model, or one that lies elsewhere.
    """
    model = from_dict(Model, note.model)
    if not all(fits(value, hints_of(Model)[name]) for name, value in note.model.items()):
        raise TypeError("model is of other types")
    if model.weights not in (BASE, "hub") or model.tokenizer not in ("auto", OWN):
        raise TypeError("its model lies elsewhere")
    weights = str(folder / BASE) if model.weights == BASE else model.weights
    tokenizer = str(folder) if model.tokenizer == OWN else model.tokenizer
    return replace(model, weights=weights, tokenizer=tokenizer)


def exported_base(folder: Path) -> Model | None:
    """The base that an export brings or names; None if it is not one of ours.

    Raises:
        UserError: a damaged note.
    """
    return model_of(note, folder) if (note := read_note(folder)) else None


OPENED = """\
# An adapter in PEFT's format

Written by `python -m loraexp export`. In Python, with this folder as the current one or named in
`folder`:

```python
{imports}from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer

folder = "."
{base}model = PeftModel.from_pretrained(base, folder).eval()
tokenizer = AutoTokenizer.from_pretrained(folder)
```

{moved}That score.weight is missing in the base is as it should be: it is in the adapter.
`tokenizer(texts, truncation=True, padding=True, return_tensors="pt")` makes the tokens of
training{strip}.
`python -m loraexp import peft=FOLDER out=NEW` makes a run of it again.
"""
MOVED = """\
peft's AutoPeftModelForSequenceClassification opens it where it was written: adapter_config.json
names the base by its whole path, which does not hold after a move; these lines do.

"""
BESIDE = 'base = AutoModelForSequenceClassification.from_pretrained(f"{folder}/base")\n'
FROM_HUB = """\
labels = dict(enumerate(json.loads(Path(folder, "loraexp.json").read_text())["labels"]))
base = AutoModelForSequenceClassification.from_pretrained(
    {repo}, revision={revision}, pad_token_id={pad}, num_labels=len(labels), id2label=labels
)
"""
STRIPPED = ", of texts without white space at their ends: `text.strip()`"


def readme(model: Model, pad: int, strip: bool) -> str:
    """Code that opens an export wherever it lies: peft itself knows its base by a path, or by a
    name without a number of classes."""
    parts = {"imports": "", "base": BESIDE, "moved": MOVED, "strip": STRIPPED if strip else ""}
    if model.weights == "hub":
        revision = model.revision or None
        base = FROM_HUB.format(repo=repr(model.repo), revision=repr(revision), pad=pad)
        parts |= {"imports": "import json\nfrom pathlib import Path\n\n", "base": base, "moved": ""}
    return OPENED.format(**parts)
