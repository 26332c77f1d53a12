"""Send an export or a merged checkpoint to the Hugging Face hub, in one commit, private unless said
otherwise.

Only files that are known to be meant for others are sent: a run's own folder also holds a config
with this machine's paths. The token is huggingface_hub's (HF_TOKEN, or `hf auth login`); it is
neither read nor shown here.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loraexp.errors import UserError, cut
from loraexp.model.hub import resolves
from loraexp.runtime.atomic import regular
from loraexp.runtime.quiet import quieted

CARD = "README.md"
WEIGHTS = ("adapter_model.safetensors", "model.safetensors")
FILES = (
    *(CARD, *WEIGHTS, "adapter_config.json", "config.json", "loraexp.json"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
    *("vocab.json", "merges.txt", "generation_config.json"),
)


def sendable(folder: Path) -> dict[str, Path]:
    """By their names on the hub: the known files of a folder and of the base in it.

    Raises:
        UserError: no card, no weights, or a file that is none or leads elsewhere.
    """
    if not folder.is_dir():
        raise UserError(f"folder={folder}: no such folder")
    names = [*FILES, *(f"base/{name}" for name in FILES)]
    found = {name: regular(folder, name) for name in names if (folder / name).exists()}
    if not found.keys() & {*WEIGHTS}:
        raise UserError(f"folder={folder}: no {' or '.join(WEIGHTS)} there")
    if CARD not in found:
        raise UserError(
            f"folder={folder}: no {CARD}, which is the model's card on the hub; "
            "export format=hub writes one"
        )
    return found


def push(folder: Path, repo: str, private: bool, message: str) -> str:
    """Make the repository if there is none, and commit the files to it; returns its address.

    Raises:
        UserError: no such name, no token, a repository that is public where a private one is
            asked for, or what the hub refuses.
    """
    from huggingface_hub import CommitOperationAdd, HfApi, constants, get_token

    files = sendable(folder)
    if repo.count("/") != 1:
        raise UserError(f"repo must be USER/NAME, got {cut(repo)!r}")
    if get_token() is None:
        raise UserError("no token for the hub: set HF_TOKEN, or run `hf auth login` once")
    if not resolves(constants.ENDPOINT):
        raise UserError(f"the hub cannot be reached: {constants.ENDPOINT}")
    with refusals(repo), quieted(logging.getLogger("huggingface_hub"), level=logging.ERROR):
        api = HfApi()
        address = str(api.create_repo(repo, private=private, exist_ok=True))
        if private and not api.repo_info(repo).private:
            raise UserError(f"repo={repo} is there and public: private=false sends to it")
        added = [CommitOperationAdd(name, str(file)) for name, file in files.items()]
        api.create_commit(repo, added, commit_message=message)
    return address


@contextmanager
def refusals(repo: str) -> Iterator[None]:
    """What the hub and its client say, on one line."""
    from httpx import HTTPError
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        yield
    except HFValidationError as error:
        raise UserError(f"repo={cut(repo)}: {cut(' '.join(str(error).split()), 200)}") from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        said = error.server_message or " ".join(str(error).split())
        raise UserError(f"the hub refuses repo={repo} ({status}): {cut(said, 200)}") from None
    except (HTTPError, OSError) as error:
        raise UserError(f"the hub cannot be reached: {cut(str(error), 200)}") from None
