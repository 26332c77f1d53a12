"""A quoted value is the same text after Hydra's grammar and OmegaConf's."""

import json
import shlex

import pytest
from any_text import ANY_TEXT
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given, settings
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationKeyError
from verbs import plan

from loraexp.config.quoting import pasted, quoted
from loraexp.errors import UserError


def through_both_grammars(value: str) -> str:
    """A quoted value, read by Hydra's grammar and resolved by OmegaConf."""
    parsed = OverridesParser.create().parse_override(f"text={value}").value()
    return str(OmegaConf.create({"text": parsed}).text)


@settings(deadline=None, max_examples=200)
@given(ANY_TEXT.filter(lambda text: text != "???"))
def test_quoting_survives_both_grammars(text: str) -> None:
    assert through_both_grammars(quoted(text)) == text


@pytest.mark.parametrize("text", ["a\\b", "${x}", "é"])
def test_quoting_as_in_json_does_not(text: str) -> None:
    try:
        arrived = through_both_grammars(json.dumps(text))
    except InterpolationKeyError:
        return
    assert arrived != text


@settings(deadline=None, max_examples=30)
@given(ANY_TEXT.filter(lambda text: text != "???"))
@example("my folder/a,b (1)")
@example("it's")
@example("1e5")
@example("null")
@example("[a]")
def test_a_hint_that_is_pasted_into_a_shell_arrives_as_it_was(text: str) -> None:
    (word,) = shlex.split(pasted("logger.project", text))
    assert plan("train", [word]).jobs[0].logger.project == text
    (free,) = shlex.split(pasted("run", text, text=True))
    assert free == f"run={text}"


def test_a_bare_hint_would_not() -> None:
    assert pasted("model.weights", "outputs/base") == "model.weights=outputs/base"
    with pytest.raises(UserError, match="has several values"):
        plan("train", ["logger.project=my folder/a,b"])
