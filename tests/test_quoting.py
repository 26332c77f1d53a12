"""A quoted value is the same text after Hydra's grammar and OmegaConf's."""

import json

import pytest
from any_text import ANY_TEXT
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationKeyError

from loraexp.quoting import quoted


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
