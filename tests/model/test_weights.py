"""Checkpoints of every published form load, damaged ones are named, random ones repeat."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import GPT2Config, GPT2ForSequenceClassification, GPT2LMHeadModel, GPT2Model

from loraexp.config.schema import Head, Model
from loraexp.errors import UserError
from loraexp.model.gpt2 import GPT2
from loraexp.model.weights import base_hash, load_classifier, load_tokenizer, random_state

KINDS = [GPT2Model, GPT2LMHeadModel, GPT2ForSequenceClassification]

MAPPINGS = Path("/proc/self/maps")


def publish(folder: Path, kind: type[GPT2Model], model: Model) -> GPT2Model:
    """A checkpoint as transformers writes it, with biases and layer norms that are not trivial."""
    config = GPT2Config(
        vocab_size=model.vocab_size,
        n_positions=model.context,
        n_embd=model.d_model,
        n_layer=model.n_layer,
        n_head=model.n_head,
        bos_token_id=None,
        eos_token_id=None,
        attn_implementation="eager",
    )
    network = kind(config).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0.0, 0.3, generator=generator)
    network.save_pretrained(folder)
    return network


@pytest.fixture
def folder(tiny: Model, tmp_path: Path) -> Path:
    publish(tmp_path / "checkpoint", GPT2LMHeadModel, tiny)
    return tmp_path / "checkpoint"


def load(model: Model, folder: Path) -> dict[str, Tensor]:
    return load_classifier(replace(model, weights=str(folder)), Head(), 2, seed=0).state_dict()


def refusal(model: Model) -> str:
    """What the user is told instead of a model: one line."""
    with pytest.raises(UserError) as error:
        load_classifier(model, Head(), 2, seed=0)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_loads_with_any_head_and_prefix(
    tiny: Model, tmp_path: Path, kind: type[GPT2Model]
) -> None:
    theirs = publish(tmp_path, kind, tiny)
    names = load_file(tmp_path / "model.safetensors").keys()
    assert any(name.startswith("transformer.") for name in names) == (kind is not GPT2Model)
    base = getattr(theirs, "transformer", theirs)
    ours = load_classifier(replace(tiny, weights=str(tmp_path)), Head(), 2, seed=0)
    tokens = torch.tensor([[5, 6, 7, 256]])
    torch.testing.assert_close(GPT2.forward(ours, tokens), base(tokens).last_hidden_state)
    base.h[1].attn.c_attn.bias.data[0] += 1
    assert not torch.allclose(GPT2.forward(ours, tokens), base(tokens).last_hidden_state, atol=1e-3)


def test_mask_buffers_of_old_checkpoints_are_left_out(tiny: Model, folder: Path) -> None:
    expected = load(tiny, folder)
    buffers = {"attn.bias": torch.ones(1, 1, 64, 64), "attn.masked_bias": torch.tensor(-1e4)}
    rewrite(folder, add={f"h.{n}.{name}": t.clone() for n in (0, 1) for name, t in buffers.items()})
    assert load(tiny, folder).keys() == expected.keys()


def test_half_precision_checkpoints_load_as_float32(tiny: Model, folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    rewrite(folder, add={name: tensor.half() for name, tensor in tensors.items()})
    state = load(tiny, folder)
    assert {tensor.dtype for tensor in state.values()} == {torch.float32}
    assert torch.equal(state["wte.weight"], tensors["transformer.wte.weight"].half().float())


@pytest.mark.skipif(
    not MAPPINGS.exists(), reason="no /proc here: only Linux tells there which files are mapped"
)
def test_a_loaded_checkpoint_is_not_held_in_memory_twice(tiny: Model, folder: Path) -> None:
    file = str((folder / "model.safetensors").resolve())
    held = load_file(file)  # the control: this way keeps the file's pages beside any copy
    assert file in MAPPINGS.read_text()
    del held
    state = load(tiny, folder)
    assert state
    assert file not in MAPPINGS.read_text()


def rewrite(folder: Path, drop: str = "", add: dict[str, Tensor] | None = None) -> None:
    file = folder / "model.safetensors"
    tensors = {name: tensor for name, tensor in load_file(file).items() if name != drop}
    save_file(tensors | (add or {}), file)


def set_config(folder: Path, **values: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | values))


@pytest.mark.parametrize("length", [0, 5, 1000, -1])
def test_a_truncated_checkpoint_is_named(tiny: Model, folder: Path, length: int) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:length])
    assert f"{file} is damaged or cut short" in refusal(replace(tiny, weights=str(folder)))


@pytest.mark.parametrize(
    ("field", "value"),
    [("n_layer", 3), ("n_head", 4), ("d_model", 32), ("context", 65), ("vocab_size", 258)],
)
def test_another_geometry_says_the_key_to_set(
    tiny: Model, folder: Path, field: str, value: int
) -> None:
    message = refusal(replace(tiny, weights=str(folder), **{field: value}))
    assert f"model.{field} is {value}" in message
    assert f"set model.{field}={getattr(tiny, field)}" in message
    assert str(folder / "config.json") in message


PREFIX = "transformer.h.1."


@pytest.mark.parametrize(
    ("drop", "add", "says"),
    [
        (PREFIX + "attn.c_attn.bias", {}, "lacks h.1.attn.k_proj.bias (3 such tensors)"),
        ("transformer.ln_f.bias", {}, "lacks ln_f.bias"),
        ("", {"h.2.ln_1.bias": (16,)}, "has an unexpected h.2.ln_1.bias (1 such tensors)"),
        ("", {"h.1.attn.c_attn.lora_A": (4, 16)}, "has an unexpected h.1.attn."),
        ("", {PREFIX + "mlp.c_fc.weight": (64, 16)}, "another shape for h.1.mlp.fc1.weight"),
        ("", {PREFIX + "attn.c_attn.weight": (16, 47)}, "another shape for h.1.attn.v_proj.weight"),
        ("", {PREFIX + "attn.c_attn.weight": (16, 4)}, "another shape for h.1.attn.k_proj.weight"),
        ("", {PREFIX + "attn.c_attn.bias": (1,)}, "another shape for h.1.attn.k_proj.bias"),
        ("", {"transformer.wte.weight": (16, 257)}, "another shape for wte.weight"),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    tiny: Model, folder: Path, drop: str, add: dict[str, tuple[int, ...]], says: str
) -> None:
    rewrite(folder, drop, {name: torch.zeros(shape) for name, shape in add.items()})
    message = refusal(replace(tiny, weights=str(folder)))
    assert message.startswith(str(folder / "model.safetensors"))
    assert says in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("activation_function", "relu"),
        ("layer_norm_epsilon", 1e-6),
        ("scale_attn_weights", False),
        ("scale_attn_by_inverse_layer_idx", True),
        ("add_cross_attention", True),
    ],
)
def test_a_network_that_is_not_gpt2_is_refused(
    tiny: Model, folder: Path, name: str, value: object
) -> None:
    set_config(folder, **{name: value})
    message = refusal(replace(tiny, weights=str(folder)))
    assert message.startswith(f"{folder / 'config.json'}: {name} must be ")
    assert message.endswith(f"got {value}")


@pytest.mark.parametrize("content", ["", "{", "\xff"])
def test_a_damaged_config_is_named(tiny: Model, folder: Path, content: str) -> None:
    (folder / "config.json").write_bytes(content.encode("latin-1"))
    assert f"{folder / 'config.json'} is damaged" in refusal(replace(tiny, weights=str(folder)))


def test_a_checkpoint_without_config_is_refused(tiny: Model, folder: Path) -> None:
    (folder / "config.json").unlink()
    message = refusal(replace(tiny, weights=str(folder)))
    assert message == f"model.weights={folder}: no config.json there"


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("the pickle was opened",))


def test_a_pickle_is_never_opened(tiny: Model, folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save(Bomb(), folder / "pytorch_model.bin")
    with pytest.raises(pytest.fail.Exception, match="was opened"):  # it does go off
        torch.load(folder / "pytorch_model.bin", weights_only=False)
    message = refusal(replace(tiny, weights=str(folder)))
    assert f"model.weights={folder}: no model.safetensors there" in message
    assert "never opened" in message


def test_a_folder_that_is_not_there_is_named(tiny: Model, tmp_path: Path) -> None:
    message = refusal(replace(tiny, weights=str(tmp_path / "typo")))
    assert message == f"model.weights={tmp_path / 'typo'}: no model.safetensors there"


def test_one_init_seed_gives_one_base(tiny: Model) -> None:
    first, second = random_state(tiny), random_state(tiny)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_another_init_seed_gives_another_base(tiny: Model) -> None:
    first, other = random_state(tiny), random_state(replace(tiny, init_seed=1))
    for name, tensor in first.items():
        constant = name.endswith("bias") or ".ln_" in f".{name}"
        assert torch.equal(tensor, other[name]) == constant, name


def test_the_run_seed_moves_the_head_and_not_the_base(tiny: Model) -> None:
    a, b = (load_classifier(tiny, Head(), 2, seed=seed) for seed in (0, 1))
    assert base_hash(a) == base_hash(b)
    assert not torch.equal(a.score.weight, b.score.weight)


def test_the_base_hash_sees_every_tensor_but_the_head(tiny: Model) -> None:
    network = load_classifier(tiny, Head(bias=True), 2, seed=0)
    start, seen = base_hash(network), {base_hash(network)}
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            last = parameter.view(-1)[-1]
            before = last.clone()
            last.add_(1e-3)
            assert (base_hash(network) == start) == name.startswith("score."), name
            seen.add(base_hash(network))
            last.copy_(before)
    assert base_hash(network) == start
    assert len(seen) == 1 + len(random_state(tiny))


def test_the_tokenizer_must_have_the_size_of_the_vocabulary(tiny: Model) -> None:
    assert len(load_tokenizer(tiny)) == 257
    with pytest.raises(UserError, match=r"model\.vocab_size is 300, .* 257 tokens"):
        load_tokenizer(replace(tiny, vocab_size=300))
