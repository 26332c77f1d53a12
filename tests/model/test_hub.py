"""What comes from the Hugging Face hub: its cache is used offline, and its absence is explained."""

import json
import shutil
import socket
import time
import urllib.request
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

import huggingface_hub
import pytest
from huggingface_hub import constants
from huggingface_hub.errors import EntryNotFoundError, HFValidationError
from transformers import GPT2Config, GPT2Model

from loraexp.config.schema import Head, Model
from loraexp.errors import UserError
from loraexp.model import hub
from loraexp.model.tokenizer import END_OF_TEXT, byte_letters, from_bytes
from loraexp.model.weights import base_hash, load_classifier, load_tokenizer

REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hugging Face cache on a machine without a network."""
    folder = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.delenv("LORAEXP_DATA_DIR", raising=False)
    return folder


@pytest.fixture
def published(tiny: Model) -> Model:
    return replace(tiny, weights="hub", tokenizer="auto", repo="org/tiny-gpt2", revision=REVISION)


@pytest.fixture
def plain(published: Model, tmp_path: Path) -> Path:
    """The repository's files in a plain folder."""
    config = GPT2Config(
        vocab_size=published.vocab_size,
        n_positions=published.context,
        n_embd=published.d_model,
        n_layer=published.n_layer,
        n_head=published.n_head,
        bos_token_id=None,
        eos_token_id=None,
    )
    folder = tmp_path / "plain"
    GPT2Model(config).save_pretrained(folder)
    vocab = byte_letters() | {END_OF_TEXT: 256}
    (folder / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    return folder


@pytest.fixture
def filled(cache: Path, plain: Path) -> Path:
    """The same files laid out as the hub's client lays them: blobs by hash, snapshots of links."""
    repository = cache / "models--org--tiny-gpt2"
    snapshot = repository / "snapshots" / REVISION
    for folder in (repository / "refs", repository / "blobs", snapshot):
        folder.mkdir(parents=True)
    (repository / "refs" / "main").write_text(REVISION)
    for file in plain.iterdir():
        blob = repository / "blobs" / sha256(file.read_bytes()).hexdigest()
        shutil.copy(file, blob)
        (snapshot / file.name).symlink_to(blob)
    return snapshot


def loading(model: Model) -> str:
    return base_hash(load_classifier(model, Head(), 2, seed=0))


def refusal(model: Model) -> str:
    """What the user is told instead of a model: one line."""
    with pytest.raises(UserError) as error:
        loading(model)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("revision", [REVISION, ""])
def test_a_filled_cache_is_used_offline(
    published: Model, filled: Path, plain: Path, revision: str
) -> None:
    expected = loading(replace(published, weights=str(plain)))
    assert loading(replace(published, revision=revision)) == expected


@pytest.mark.parametrize("revision", ["f" * 40, "v2"])
def test_another_revision_than_the_cached_one_is_not_used(
    published: Model, filled: Path, revision: str
) -> None:
    assert "the hub cannot be reached" in refusal(replace(published, revision=revision))


def test_weights_out_of_reach_are_explained(published: Model, cache: Path) -> None:
    message = refusal(published)
    for part in ("model.safetensors of org/tiny-gpt2", str(cache), "go online once"):
        assert part in message
    for way in ("model=nano", "model.weights=FOLDER", "model.weights=random", "LORAEXP_DATA_DIR"):
        assert way in message


def test_weights_are_looked_for_before_their_tokenizer(published: Model, cache: Path) -> None:
    with pytest.raises(UserError, match=r"^model.safetensors of org/tiny-gpt2 is not in"):
        load_tokenizer(published)


@pytest.mark.parametrize("weights", ["hub", "random"])
def test_a_tokenizer_out_of_reach_is_explained(
    published: Model, cache: Path, weights: str, request: pytest.FixtureRequest
) -> None:
    if weights == "hub":
        (request.getfixturevalue("filled") / "merges.txt").unlink()
    with pytest.raises(UserError) as error:
        load_tokenizer(replace(published, weights=weights))
    message = str(error.value)
    for part in ("merges.txt of org/tiny-gpt2", str(cache), "go online once"):
        assert part in message
    assert "LORAEXP_DATA_DIR" in message
    assert "model.tokenizer=FOLDER" in message
    assert "model.tokenizer=bytes" not in message


def test_each_way_out_is_a_way_out(published: Model, cache: Path, plain: Path) -> None:
    assert loading(replace(published, weights=str(plain)))
    assert loading(replace(published, weights="random"))
    bytes_alone = from_bytes().encode(["é"], 9)
    for way in ({"tokenizer": str(plain)}, {"weights": str(plain)}):
        tokenizer = load_tokenizer(replace(published, **way))
        assert tokenizer.encode(["é"], 9) == bytes_alone


def test_the_tokenizer_comes_from_the_cache(published: Model, filled: Path) -> None:
    assert load_tokenizer(published).sha256 == from_bytes().sha256


@pytest.mark.parametrize("below", [".", "gpt2_bpe"])
def test_the_tokenizer_comes_from_the_data_folder(
    published: Model,
    cache: Path,
    plain: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    below: str,
) -> None:
    data = tmp_path / "data"
    (data / below).mkdir(parents=True)
    monkeypatch.setenv("LORAEXP_DATA_DIR", str(data))
    with pytest.raises(UserError, match="cannot be reached"):
        load_tokenizer(published)
    for theirs, ours in (("vocab.json", "encoder.json"), ("merges.txt", "vocab.bpe")):
        shutil.copy(plain / theirs, data / below / ours)
    assert len(load_tokenizer(published)) == 257


def test_the_right_sha256_is_accepted(published: Model, filled: Path) -> None:
    digest = sha256((filled / "model.safetensors").read_bytes()).hexdigest()
    assert loading(replace(published, sha256=digest))


def test_another_sha256_names_the_file_to_delete(published: Model, filled: Path) -> None:
    file, wanted = filled / "model.safetensors", "0" * 64
    message = refusal(replace(published, sha256=wanted))
    assert message.startswith(f"{file} has sha256 {file.resolve().name}, not {wanted}")
    assert f"delete {file.resolve()} and retry" in message  # the link alone would bring it back


def test_a_model_without_repository_is_not_on_the_hub(tiny: Model) -> None:
    message = refusal(replace(tiny, weights="hub"))
    assert message.startswith("model=tiny is not on the hub (no model.repo); take model=nano, ")


def test_a_hub_without_an_address_is_given_up_at_once_and_in_silence(
    published: Model,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def unknown_host(*_: object) -> NoReturn:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(urllib.request, "getproxies", dict)
    monkeypatch.setattr(socket, "getaddrinfo", unknown_host)
    started = time.perf_counter()
    assert "the hub cannot be reached" in refusal(published)
    assert time.perf_counter() - started < 1  # the client's first retry comes after a second
    assert caplog.text == ""


def test_behind_a_proxy_the_name_is_the_proxys_to_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urllib.request, "getproxies", lambda: {"https": "http://proxy:3128"})
    assert hub.resolves("https://no.such.host.invalid")


@pytest.mark.parametrize("error", [EntryNotFoundError, HFValidationError])
def test_an_answer_of_several_lines_becomes_one(
    published: Model,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
) -> None:
    def answer(*_: object, **__: object) -> str:
        raise error("404 Client Error.\n\nNot found for url: there")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", answer)
    message = refusal(published)
    assert message == (
        "cannot fetch model.safetensors of org/tiny-gpt2: "
        "404 Client Error. Not found for url: there"
    )
