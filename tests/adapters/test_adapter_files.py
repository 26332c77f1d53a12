"""An adapter on disk comes back bit for bit, and a damaged one never comes back at all."""

from hashlib import sha256
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from saved import CONTENT, fresh, trained
from torch import Tensor

from loraexp.adapters import adapter_files as files
from loraexp.adapters.adapter_files import (
    CARD,
    TENSORS,
    json_hash,
    load_adapter,
    read_card,
    save_adapter,
)
from loraexp.adapters.inject import adapter_tensors, count, inject, saved_tensors
from loraexp.adapters.methods import METHODS, as_method
from loraexp.config.schema import Adaptation, Head, Lora, Model
from loraexp.errors import UserError
from loraexp.model.classifier import GPT2Classifier
from loraexp.model.weights import load_classifier


def rewrite(folder: Path, **tensors: Tensor | None) -> None:
    """Put other tensors into the file, or leave some out."""
    content = load_file(folder / TENSORS) | tensors
    save_file({name: t for name, t in content.items() if t is not None}, folder / TENSORS)


@pytest.mark.parametrize("method", METHODS)
def test_what_was_saved_is_loaded_bit_for_bit(
    network: GPT2Classifier, tiny: Model, tmp_path: Path, method: str
) -> None:
    wanted = adapter_tensors(trained(network, as_method(Adaptation(), method)))
    save_adapter(network, tmp_path, CONTENT)
    other = fresh(tiny, method)
    before = adapter_tensors(other)
    assert not any(torch.equal(before[name], wanted[name]) for name in wanted)
    load_adapter(other, tmp_path)
    after = adapter_tensors(other)
    assert after.keys() == wanted.keys()
    assert all(torch.equal(after[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("method", METHODS)
def test_loading_leaves_the_base_alone(
    network: GPT2Classifier, tiny: Model, tmp_path: Path, method: str
) -> None:
    save_adapter(trained(network, as_method(Adaptation(), method)), tmp_path, CONTENT)
    other = fresh(tiny, method)
    own = {id(p) for p in saved_tensors(other).values()}
    frozen = {n: p.clone() for n, p in other.named_parameters() if id(p) not in own}
    load_adapter(other, tmp_path)
    assert all(torch.equal(other.get_parameter(name), old) for name, old in frozen.items())


def test_the_card_holds_what_it_was_given_and_the_hash(
    network: GPT2Classifier, tmp_path: Path
) -> None:
    digest = save_adapter(trained(network, Adaptation()), tmp_path, CONTENT)
    card = read_card(tmp_path)
    file = sha256((tmp_path / TENSORS).read_bytes()).hexdigest()
    written = {"format": 3, "adapter_sha256": digest, "file_sha256": file, **CONTENT}
    assert card == {**written, "digests": {field: json_hash(v) for field, v in written.items()}}


def test_the_hash_is_that_of_the_tensors(network: GPT2Classifier, tmp_path: Path) -> None:
    trained(network, Adaptation())
    first = save_adapter(network, tmp_path / "a", CONTENT)
    assert save_adapter(network, tmp_path / "b", {}) == first
    with torch.no_grad():
        network.get_parameter("score.bias")[0] += 1e-3
    assert save_adapter(network, tmp_path / "c", CONTENT) != first


def test_the_folder_takes_four_bytes_a_parameter_and_little_more(tmp_path: Path) -> None:
    model = Model(weights="random", n_layer=2, n_head=2, d_model=128, context=8, vocab_size=32)
    network = load_classifier(model, Head(), 2, seed=0)
    inject(network, Adaptation(lora=Lora(rank=32)), seed=0)
    save_adapter(network, tmp_path, CONTENT)
    card = (tmp_path / CARD).stat().st_size
    size = sum(file.stat().st_size for file in tmp_path.iterdir()) - card
    counts = count(network)
    assert 1.0 <= size / (4 * counts.trainable) <= 1.02
    assert size < 0.3 * 4 * counts.total  # the base is not in it


def test_an_adapter_held_in_another_precision_is_stored_in_float32(
    network: GPT2Classifier, tmp_path: Path
) -> None:
    save_adapter(trained(network.double(), Adaptation("head")), tmp_path, CONTENT)
    assert {t.dtype for t in load_file(tmp_path / TENSORS).values()} == {torch.float32}


NAME = "h.0.attn.q_proj.lora_A"
FLOAT8 = (torch.float8_e4m3fn, torch.float8_e5m2)  # torch has no isfinite for one of them


@pytest.mark.parametrize(
    ("tensors", "problem"),
    [
        ({NAME: None}, rf"lacks {NAME} \(1 such"),
        ({"h.9.lora_A": torch.zeros(2)}, r"has an unexpected h\.9\.lora_A \(1 such"),
        ({NAME: torch.zeros(16, 8)}, f"has another shape for {NAME}"),
        ({NAME: torch.full((8, 16), torch.nan)}, f"has a non-finite {NAME}"),
        ({NAME: torch.full((8, 16), -torch.inf)}, f"has a non-finite {NAME}"),
        ({NAME: torch.zeros(8, 16)}, "is not what adapter.json describes"),
        *(
            ({NAME: torch.zeros(8, 16).to(dtype)}, f"has a .* {NAME} where float32 belongs")
            for dtype in (torch.float64, torch.bfloat16, torch.int8, torch.bool, *FLOAT8)
        ),
    ],
    ids=str,
)
def test_tensors_that_do_not_fit_are_refused_by_name(
    folder: Path, tiny: Model, tensors: dict[str, Tensor | None], problem: str
) -> None:
    rewrite(folder, **tensors)
    with pytest.raises(UserError, match=f"{TENSORS} {problem}"):
        load_adapter(fresh(tiny), folder)


def test_rewriting_the_same_tensors_is_accepted(folder: Path, tiny: Model) -> None:
    rewrite(folder)
    load_adapter(fresh(tiny), folder)


def test_an_adapter_of_another_method_is_refused(folder: Path, tiny: Model) -> None:
    with pytest.raises(UserError, match=r"has an unexpected h\.0\.attn\.k_proj\.lora_A \(16 such"):
        load_adapter(fresh(tiny, "head"), folder)


@pytest.mark.parametrize("kept", [0, 7, 8, 500, -1])
def test_a_file_cut_short_is_refused_by_name(folder: Path, tiny: Model, kept: int) -> None:
    content = (folder / TENSORS).read_bytes()
    (folder / TENSORS).write_bytes(content[:kept])
    with pytest.raises(UserError, match=f"{TENSORS} is missing or damaged"):
        load_adapter(fresh(tiny), folder)


def test_a_missing_file_is_an_error_that_names_it(folder: Path, tiny: Model) -> None:
    (folder / TENSORS).unlink()
    with pytest.raises(UserError, match=f"{TENSORS} is missing or damaged"):
        load_adapter(fresh(tiny), folder)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_one_flipped_bit_anywhere_is_noticed(
    folder: Path, tiny: Model, place: float, bit: int
) -> None:
    content = (folder / TENSORS).read_bytes()
    flipped = bytearray(content)
    flipped[int(place * len(content))] ^= 1 << bit
    (folder / TENSORS).write_bytes(flipped)
    try:
        with pytest.raises(UserError, match=TENSORS):
            load_adapter(fresh(tiny), folder)
    finally:
        (folder / TENSORS).write_bytes(content)


def test_a_folder_without_a_card_is_no_adapter(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"no adapter in .*: {CARD} is missing"):
        read_card(tmp_path)


def test_a_save_that_fails_half_way_leaves_the_old_adapter(
    folder: Path, tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(tensors: dict[str, Tensor], file: Path) -> None:
        file.write_bytes(b"half")
        raise OSError("No space left on device")

    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    monkeypatch.setattr(files, "save_file", half)
    with pytest.raises(OSError, match="No space left"):
        save_adapter(fresh(tiny), folder, CONTENT)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
