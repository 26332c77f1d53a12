"""The base inside the package: it loads offline from anywhere, and a changed byte is noticed."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from loraexp.config.schema import Head, Model
from loraexp.errors import UserError
from loraexp.model import locate
from loraexp.model.checkpoint import save_base
from loraexp.model.weights import base_state, load_classifier, load_tokenizer, random_state
from loraexp.pretraining.bpe import train_bpe


@pytest.fixture
def embedded(tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """A package with one tiny base in it."""
    folder = tmp_path / "assets" / tiny.name
    train_bpe(["win a prize", "see you tonight"], 265, folder)
    model = replace(tiny, vocab_size=265)
    save_base(random_state(model), model, 264, folder)
    monkeypatch.setattr(locate, "ASSETS", tmp_path / "assets")
    digest = sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    return replace(model, weights="embedded", tokenizer="embedded", sha256=digest)


def test_it_brings_its_weights_and_its_tokenizer(embedded: Model) -> None:
    expected = random_state(replace(embedded, weights="random"))
    state = base_state(embedded)
    assert all(torch.equal(state[name], expected[name]) for name in expected)
    assert load_tokenizer(embedded).pad == 264
    assert load_tokenizer(replace(embedded, tokenizer="auto")).pad == 264


def test_its_tokenizer_goes_with_random_weights_of_its_geometry(embedded: Model) -> None:
    drawn = replace(embedded, weights="random", init_seed=1)
    assert load_tokenizer(drawn).pad == 264
    assert not torch.equal(base_state(drawn)["wte.weight"], base_state(embedded)["wte.weight"])


def test_a_changed_byte_is_noticed(embedded: Model) -> None:
    file = locate.ASSETS / "tiny" / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"model.safetensors has sha256 \w+, not"):
        load_classifier(embedded, Head(), 2, seed=0)


def test_a_model_that_is_not_in_the_package_is_refused_by_name(embedded: Model) -> None:
    with pytest.raises(UserError, match="model=gpt2 is not embedded, only tiny is; set"):
        load_classifier(replace(embedded, name="gpt2"), Head(), 2, seed=0)


def test_another_geometry_than_its_own_is_refused(embedded: Model) -> None:
    with pytest.raises(UserError, match=r"model.n_layer is 3, but .* says n_layer 2"):
        base_state(replace(embedded, n_layer=3))
