"""Files of a base on the Hugging Face hub: at a pinned commit, checked, from the user's cache."""

import logging
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from loraexp.config.schema import Model
from loraexp.errors import UserError
from loraexp.model.huggingface import CONFIG, WEIGHTS
from loraexp.runtime.atomic import file_hash
from loraexp.runtime.quiet import quieted

# What does without the hub.
TOKENIZER_FOLDER = "LORAEXP_DATA_DIR to a folder with GPT-2's vocab.json and merges.txt"
INSTEAD_OF_TOKENIZER = f"set {TOKENIZER_FOLDER}, or model.tokenizer=FOLDER"
INSTEAD_OF_WEIGHTS = (
    "take model=nano, model.weights=FOLDER, or model.weights=random and set " + TOKENIZER_FOLDER
)


def in_cache(model: Model, *names: str) -> bool:
    """Are these files of the pinned revision in the user's Hugging Face cache?"""
    from huggingface_hub import try_to_load_from_cache

    revision = model.revision or None
    files = (try_to_load_from_cache(model.repo, name, revision=revision) for name in names)
    return bool(model.repo) and all(isinstance(file, str) for file in files)


def check_sha256(file: Path, wanted: str) -> None:
    if wanted and (own := file_hash(file)) != wanted:
        raise UserError(
            f"{file} has sha256 {own}, not {wanted}: "
            f"delete {file.resolve()} and retry"  # a cache's file is a link to a blob
        )


def hub_file(model: Model, name: str) -> Path:
    """A file of the pinned revision, from the user's Hugging Face cache or downloaded into it."""
    others = INSTEAD_OF_WEIGHTS if name in (WEIGHTS, CONFIG) else INSTEAD_OF_TOKENIZER
    if not model.repo:
        raise UserError(f"model={model.name} is not on the hub (no model.repo); {others}")
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
    )

    fetch = partial(hf_hub_download, model.repo, name, revision=model.revision or None)
    try:
        with quieted(logging.getLogger("huggingface_hub"), level=logging.ERROR):
            try:
                return Path(fetch(local_files_only=True))
            except LocalEntryNotFoundError:
                if not resolves(constants.ENDPOINT):
                    raise
                return Path(fetch())
    except LocalEntryNotFoundError:
        raise UserError(
            f"{name} of {model.repo} is not in {constants.HF_HUB_CACHE} and the hub cannot be "
            f"reached; go online once, or {others}"
        ) from None
    except (EntryNotFoundError, HfHubHTTPError, HFValidationError) as error:
        reason = " ".join(str(error).split())  # theirs has several lines
        raise UserError(f"cannot fetch {name} of {model.repo}: {reason}") from None


def resolves(address: str) -> bool:
    """Has the host an address? Without, the hub's client would try for 23 seconds all the same."""
    import socket  # 10 ms with urllib.request: not at start
    from urllib.request import getproxies

    if getproxies():  # then the proxy looks names up
        return True
    try:
        socket.getaddrinfo(urlsplit(address).hostname, None)
    except OSError:
        return False
    return True
