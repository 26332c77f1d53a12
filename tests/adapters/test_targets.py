"""What `lora.target_modules` means: whole names, aliases, paths and regexes, never substrings."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loraexp.adapters.inject import linear_names
from loraexp.adapters.targets import ALIASES, check_pattern, lookup, matches, resolve
from loraexp.errors import UserError
from loraexp.model.classifier import GPT2Classifier

KINDS = ["attn.q_proj", "attn.k_proj", "attn.v_proj", "attn.out_proj", "mlp.fc1", "mlp.fc2"]
LINEARS = [f"h.{block}.{kind}" for block in range(12) for kind in KINDS]

# What transformers and the source tutorial call them -> our kinds.
OTHER_NAMES = {
    "c_attn": KINDS[:3],
    "attn.c_attn": KINDS[:3],
    "attn.c_proj": ["attn.out_proj"],
    "c_fc": ["mlp.fc1"],
    "mlp.c_fc": ["mlp.fc1"],
    "mlp.c_proj": ["mlp.fc2"],
    "c_proj": ["attn.out_proj", "mlp.fc2"],
    "W_query": ["attn.q_proj"],
    "W_key": ["attn.k_proj"],
    "W_value": ["attn.v_proj"],
}


def of_kinds(*kinds: str) -> list[str]:
    return [name for name in LINEARS if name.endswith(kinds)]


def test_linears_are_the_six_of_each_block_and_never_the_head(network: GPT2Classifier) -> None:
    assert linear_names(network) == LINEARS[:12]


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_means_its_layer_in_every_block(kind: str) -> None:
    assert resolve(LINEARS, [kind.rpartition(".")[2]]) == of_kinds(kind)


def test_a_single_name_needs_no_list() -> None:
    assert resolve(LINEARS, "v_proj") == of_kinds("v_proj")


def test_all_linear_means_every_linear() -> None:
    assert resolve(LINEARS, "all-linear") == resolve(LINEARS, ["fc1", "all-linear"]) == LINEARS


def test_every_alias_has_a_row_here() -> None:
    assert set(OTHER_NAMES) == set(ALIASES)


@pytest.mark.parametrize("alias", OTHER_NAMES)
def test_an_alias_means_what_other_code_means_by_it(alias: str) -> None:
    assert resolve(LINEARS, [alias]) == of_kinds(*OTHER_NAMES[alias])


def test_a_full_path_means_one_layer() -> None:
    assert resolve(LINEARS, ["h.1.attn.v_proj"]) == ["h.1.attn.v_proj"]


def test_a_regex_means_all_whose_whole_path_it_fits() -> None:
    last_two = [name for name in LINEARS if name.startswith(("h.10.", "h.11."))]
    assert resolve(LINEARS, ["h.(10|11).*"]) == last_two
    assert len(last_two) == 12


def test_targets_come_in_model_order_and_once() -> None:
    assert resolve(LINEARS, ["v_proj", "fc1", "c_attn", r"h\.0\..*"]) == [
        name for name in LINEARS if name.startswith("h.0.") or name.endswith((*KINDS[:3], "fc1"))
    ]


@settings(deadline=None, max_examples=200)
@given(name=st.sampled_from(LINEARS), data=st.data())
def test_part_of_a_path_matches_only_if_it_is_whole_last_segments(
    name: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(name)))
    part = name[start : data.draw(st.integers(start, len(name)))]
    wanted, own = part.split("."), name.split(".")
    assert matches(name, part) == (own[-len(wanted) :] == wanted)


@pytest.mark.parametrize("target", ["attn", "proj", "mlp", "h.1", "_proj", "q_pro", ""])
def test_a_substring_or_a_part_of_the_tree_matches_nothing(target: str) -> None:
    with pytest.raises(UserError, match="matches nothing"):
        resolve(LINEARS, [target])


def test_unmatched_target_is_an_error_that_lists_what_there_is() -> None:
    with pytest.raises(UserError) as error:
        resolve(LINEARS, ["q_proj", "zzz"])
    assert str(error.value) == (
        "lora.target_modules: 'zzz' matches nothing; there are q_proj, k_proj, v_proj, out_proj, "
        "fc1, fc2 (as h.0.attn.q_proj ... h.11.mlp.fc2), and all-linear"
    )


@pytest.mark.parametrize(
    ("typed", "nearest"),
    [
        ("q_prj", "q_proj"),
        ("attn.q_prj", "attn.q_proj"),
        ("h.1.atn.q_proj", "h.1.attn.q_proj"),
        ("query", "q_proj"),
        ("o_proj", "out_proj"),
        ("query_key_value", "c_attn"),
        ("W_querry", "W_query"),
        ("c_atn", "c_attn"),
        ("all_linear", "all-linear"),
        ("scores", "score"),
    ],
)
def test_unmatched_target_is_told_the_nearest(typed: str, nearest: str) -> None:
    said = f"lora.target_modules: {typed!r} matches nothing; did you mean {nearest!r}? there are q_"
    with pytest.raises(UserError, match=f"^{re.escape(said)}"):
        resolve(LINEARS, [typed])


def test_unmatched_target_is_an_error_beside_all_linear_too() -> None:
    with pytest.raises(UserError, match="'query' matches nothing"):
        resolve(LINEARS, ["all-linear", "query"])


def test_invalid_regex_is_an_error_that_names_it() -> None:
    with pytest.raises(UserError, match=r"lora.target_modules: 'h\.\(1' is no valid regex"):
        resolve(LINEARS, ["h.(1"])


@pytest.mark.parametrize("empty", [[], None, ()], ids=repr)
def test_no_target_at_all_is_an_error(empty: object) -> None:
    with pytest.raises(UserError, match=r"lora.target_modules is empty"):
        resolve(LINEARS, empty)


@pytest.mark.parametrize("value", [5, 0.5, True, {"q_proj": 8}, [5], [None], [["fc1"]]], ids=repr)
def test_what_is_neither_a_name_nor_a_list_is_an_error(value: object) -> None:
    with pytest.raises(UserError, match=r"lora.target_modules must be a name or a list"):
        resolve(LINEARS, value)


def test_a_pattern_gives_the_first_value_that_fits_and_else_the_default() -> None:
    pattern = {r"h\.0\..*": 2, "q_proj": 3, "all-linear": 4}
    assert lookup("h.0.attn.q_proj", pattern, 8) == 2
    assert lookup("h.1.attn.q_proj", pattern, 8) == 3
    assert lookup("h.1.mlp.fc1", pattern, 8) == 4
    assert lookup("h.1.mlp.fc1", {"q_proj": 3}, 8) == 8


def test_a_pattern_for_a_module_that_is_not_adapted_is_an_error() -> None:
    check_pattern("lora.rank_pattern", {"q_proj": 4}, of_kinds("q_proj"))
    with pytest.raises(UserError, match=r"lora.rank_pattern: 'fc1' matches no adapted module"):
        check_pattern("lora.rank_pattern", {"fc1": 4}, of_kinds("q_proj"))


def test_the_head_is_a_target_only_where_it_is_named() -> None:
    assert "score" not in resolve(LINEARS, "all-linear")
    assert resolve(LINEARS, ["q_proj", "score"])[-1] == "score"
    assert resolve(LINEARS, "score") == ["score"]
