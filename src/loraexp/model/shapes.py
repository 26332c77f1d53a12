"""The shapes of GPT-2's tensors from its geometry alone: what counting needs, without torch."""

from loraexp.config.schema import Head, Model


def linear_shapes(model: Model) -> dict[str, tuple[int, int]]:
    """Path of every linear layer of the blocks, in model order, to (out, in)."""
    d = model.d_model
    block = {
        **{f"attn.{name}": (d, d) for name in ("q_proj", "k_proj", "v_proj", "out_proj")},
        "mlp.fc1": (4 * d, d),
        "mlp.fc2": (d, 4 * d),
    }
    return {f"h.{i}.{path}": size for i in range(model.n_layer) for path, size in block.items()}


def shapes(model: Model, head: Head, n_classes: int) -> dict[str, tuple[int, ...]]:
    """Every tensor of the classifier by name, as its state_dict has them."""
    d = model.d_model
    sizes: dict[str, tuple[int, ...]] = {
        "wte.weight": (model.vocab_size, d),
        "wpe.weight": (model.context, d),
    }
    for path, (out, into) in linear_shapes(model).items():
        sizes |= {f"{path}.weight": (out, into), f"{path}.bias": (out,)}
    norms = [f"h.{i}.ln_{k}" for i in range(model.n_layer) for k in (1, 2)]
    for path in (*norms, "ln_f"):
        sizes |= {f"{path}.weight": (d,), f"{path}.bias": (d,)}
    sizes["score.weight"] = (n_classes, d)
    return sizes | ({"score.bias": (n_classes,)} if head.bias else {})
