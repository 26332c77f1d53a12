"""Is a finished run of the data and the base that its config names now? Names say where files are,
hashes what is in them."""

import logging
from collections.abc import Callable
from pathlib import Path

from loraexp.config.schema import TrainConfig
from loraexp.data.splits import load_data
from loraexp.errors import UserError
from loraexp.model.weights import base_state, load_tokenizer, state_hash
from loraexp.runs.run_folder import REPLACED, RunFolder
from loraexp.runs.warm_start import source_hash

log = logging.getLogger("loraexp")
# Hashes by the files they are of and how these looked: a sweep asks for the same ones job by job.
KNOWN: dict[tuple[str, ...], str] = {}


class OtherContent(UserError):
    """A run is there, but of other data, another base or tokenizer."""


def present(config: TrainConfig, folder: RunFolder, there: bool) -> bool:
    """Is the result there, and of what the config names now? No run is shown for other data, base
    or tokenizer than it was trained on. What cannot be read any more is told, and the run stays
    what it is.

    Raises:
        OtherContent: it is of something else, and there is no `rerun`.
    """
    what = other_content(config, folder)
    if what and not config.rerun:
        raise OtherContent(
            f"{folder.path} was trained on other content: {what}; name=WORD or another output_dir= "
            f"trains a new run, rerun=true this one anew (the old one is kept in {REPLACED}/)"
        )
    return what is None and there


def make_way(config: TrainConfig, folder: RunFolder) -> None:
    """Set a result of other content aside."""
    if other_content(config, folder) is not None:
        folder.set_aside()


def other_content(config: TrainConfig, folder: RunFolder) -> str | None:
    """In words, what the result in `folder` was trained on that its config does not give now."""
    then = folder.hashes()
    for part, (named, now) in contents(config).items():
        if part in then:
            try:
                digest = now()
            except UserError as error:
                log.warning(f"warning: {folder.path} is not compared with its {part}: {error}")
                continue
            if digest != then[part]:
                return f"sha256 of {named} was {then[part][:12]} then, is {digest[:12]} now"
    return None


def contents(config: TrainConfig) -> dict[str, tuple[str, Callable[[], str]]]:
    """Of each part that is not pinned down by the config itself: what names it, and its hash."""
    data, model = config.data, config.model
    parts = {
        "split": (
            f"data={data.path or data.name}",
            lambda: known("split", data, data.path, lambda: load_data(data).sha256),
        )
    }
    if config.init_from is not None:
        source = config.init_from
        parts["init_from"] = (f"the adapter of init_from={source}", lambda: source_hash(source))
    if model.weights in ("random", "embedded") or (model.weights == "hub" and model.sha256):
        pinned = model.tokenizer in ("auto", "bytes", "embedded")
    else:
        pinned = model.tokenizer in ("bytes", "embedded")
        parts["base"] = (
            f"model.weights={model.weights}",
            lambda: known("base", model, model.weights, lambda: state_hash(base_state(model))),
        )
    if not pinned:
        folder = model.weights if model.tokenizer == "auto" else model.tokenizer
        parts["tokenizer"] = (
            f"model.tokenizer={folder}",
            lambda: known("tokenizer", model, folder, lambda: load_tokenizer(model).sha256),
        )
    return parts


def known(part: str, named: object, path: str | None, compute: Callable[[], str]) -> str:
    """A hash, computed once as long as the files at `path` look the same."""
    files = [] if path is None else [Path(path), *sorted(Path(path).glob("*"))]
    looks = [f"{f} {s.st_size} {s.st_mtime_ns}" for f in files if f.exists() and (s := f.stat())]
    key = (part, repr(named), *looks)
    if key not in KNOWN:
        KNOWN[key] = compute()
    return KNOWN[key]
