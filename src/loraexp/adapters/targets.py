"""Which linear layers `lora.target_modules` means."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import NamedTuple, TypeVar

from loraexp.config.schema import Lora
from loraexp.errors import UserError

T = TypeVar("T")
ALL = "all-linear"
HEAD = "score"  # adapted only where it is named


class Target(NamedTuple):
    """A linear layer that is adapted."""

    path: str
    rank: int
    alpha: float

    @property
    def closes_mlp(self) -> bool:
        """Its input is the MLP's inner activation."""
        return self.path.endswith("mlp.fc2")


# What other code calls our modules: transformers' fused Conv1D names, and the source tutorial's.
ALIASES = {
    "c_attn": ("q_proj", "k_proj", "v_proj"),
    "attn.c_attn": ("q_proj", "k_proj", "v_proj"),
    "attn.c_proj": ("attn.out_proj",),
    "c_fc": ("fc1",),
    "mlp.c_fc": ("mlp.fc1",),
    "mlp.c_proj": ("mlp.fc2",),
    "c_proj": ("attn.out_proj", "mlp.fc2"),
    "W_query": ("q_proj",),
    "W_key": ("k_proj",),
    "W_value": ("v_proj",),
}

# What the layers are called that ours are like, in networks that peft knows: no alias, for these
# have other layers beside them, but what to suggest.
ELSEWHERE = {
    **dict.fromkeys(("q", "query", "wq", "q_lin", "query_proj"), "q_proj"),
    **dict.fromkeys(("k", "key", "wk", "k_lin", "key_proj"), "k_proj"),
    **dict.fromkeys(("v", "value", "wv", "v_lin", "value_proj"), "v_proj"),
    **dict.fromkeys(("o", "out", "wo", "out_lin", "o_proj"), "out_proj"),
    **dict.fromkeys(("up_proj", "gate_proj", "fc_in", "lin1", "dense_h_to_4h"), "fc1"),
    **dict.fromkeys(("down_proj", "fc_out", "lin2", "dense_4h_to_h"), "fc2"),
    **dict.fromkeys(("query_key_value", "Wqkv", "qkv_proj", "attn"), "c_attn"),
    **dict.fromkeys(("classifier", "head", "lm_head"), HEAD),
}


def matches(name: str, target: str) -> bool:
    """Does `target` mean the module at path `name`: whole last segments, or a regex for all of it?

    Never a substring: "attn" does not hit h.0.attn.q_proj.
    """
    if target == ALL:
        return True
    for alias in ALIASES.get(target, (target,)):
        if name == alias or name.endswith(f".{alias}"):
            return True
    try:
        return re.fullmatch(target, name) is not None
    except re.error as error:
        raise UserError(f"lora.target_modules: {target!r} is no valid regex: {error}") from None


def resolve(linears: Sequence[str], targets: object) -> list[str]:
    """The paths among `linears` that `targets` (one name or a list) mean, in model order.

    Raises:
        UserError: nothing is targeted, or one of the targets matches no linear layer.
    """
    wanted = [targets] if isinstance(targets, str) else targets or ()
    if not isinstance(wanted, Sequence) or not all(isinstance(target, str) for target in wanted):
        raise UserError(f"lora.target_modules must be a name or a list of names, got {targets!r}")
    linears = [*linears, HEAD] if HEAD in wanted else linears
    if not wanted:
        raise UserError("lora.target_modules is empty; method=head trains no adapter at all")
    for target in wanted:
        if not any(matches(name, target) for name in linears):
            known = [*linears, *ALIASES, ALL, HEAD]
            raise UserError(
                f"lora.target_modules: {target!r} matches nothing; "
                f"{nearest(target, known)}{describe(linears)}"
            )
    return [name for name in linears if any(matches(name, target) for target in wanted)]


def targeted(linears: Sequence[str], lora: Lora) -> list[Target]:
    """Every module that is adapted, in model order.

    Raises:
        UserError: as resolve and check_pattern.
    """
    names = resolve(linears, lora.target_modules)
    check_pattern("lora.rank_pattern", lora.rank_pattern, names)
    check_pattern("lora.alpha_pattern", lora.alpha_pattern, names)
    return [
        Target(
            name,
            lookup(name, lora.rank_pattern, lora.rank),
            lookup(name, lora.alpha_pattern, lora.alpha),
        )
        for name in names
    ]


def lookup(name: str, pattern: Mapping[str, T], default: T) -> T:
    """The value of the first target in `pattern` that means `name`."""
    return next((value for target, value in pattern.items() if matches(name, target)), default)


def check_pattern(key: str, pattern: Mapping[str, object], adapted: Sequence[str]) -> None:
    """Every target of a rank or alpha pattern must mean a module that is adapted."""
    for target in pattern:
        if not any(matches(name, target) for name in adapted):
            hint = nearest(target, adapted)
            raise UserError(
                f"{key}: {target!r} matches no adapted module; {hint}{describe(adapted)}"
            )


def nearest(target: str, known: Sequence[str]) -> str:
    """A question after the name that was meant: one of `known`, or its last one or two segments."""
    ends = {".".join(name.split(".")[-n:]): None for n in (1, 2) for name in known}
    if (meant := ELSEWHERE.get(target)) in ends:
        return f"did you mean {meant!r}? "
    near = get_close_matches(target, [*ends, *known], n=1)
    return f"did you mean {near[0]!r}? " if near else ""


def describe(names: Sequence[str]) -> str:
    kinds = dict.fromkeys(name.rpartition(".")[2] for name in names)
    return f"there are {', '.join(kinds)} (as {names[0]} ... {names[-1]}), and {ALL}"
