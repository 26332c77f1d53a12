"""Every key has a default that meets its own rule, and nothing just outside the rule is taken."""

import dataclasses
import json
import math
from collections.abc import Iterator
from typing import Any, get_args

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from verbs import SCHEMAS

from loraexp.commands.eval import EvalConfig
from loraexp.config import schema as config_module
from loraexp.config.keys import group_in, keys
from loraexp.config.rules import check
from loraexp.config.schema import Data, LastBlock, Lora, Model, TrainConfig
from loraexp.config.stored import from_dict, to_yaml
from loraexp.errors import UserError

CLASSES = sorted(
    (c for c in vars(config_module).values() if dataclasses.is_dataclass(c)),
    key=lambda c: c.__name__,
)


def of_kind(field: dataclasses.Field[Any], value: Any) -> Any:
    """`value` as the field holds it: alone, in a list, or in a dict."""
    kind = getattr(field.type, "__origin__", field.type)
    return {"name": value} if kind is dict else [value] if kind is list else value


def step(value: float, towards: float, field: dataclasses.Field[Any]) -> float:
    """The next number of the field's type."""
    if float in (field.type, *get_args(field.type)):
        return math.nextafter(value, towards)
    return int(value) + (1 if towards > 0 else -1)


def bounds() -> Iterator[Any]:
    """Every bound of every key: (class, field, the value just outside, the value just inside)."""
    for owner in CLASSES:
        for f in dataclasses.fields(owner):
            rule, name = f.metadata, f"{owner.__name__}.{f.name}"
            if rule["least"] is not None:
                least = rule["least"]
                yield pytest.param(owner, f, step(least, -math.inf, f), least, id=f"{name}-least")
            if rule["above"] is not None:
                above = rule["above"]
                yield pytest.param(owner, f, above, step(above, math.inf, f), id=f"{name}-above")
            if rule["most"] is not None:
                most = rule["most"]
                yield pytest.param(owner, f, step(most, math.inf, f), most, id=f"{name}-most")
            if rule["choices"]:
                last = rule["choices"][-1]
                yield pytest.param(owner, f, f"{last}_", last, id=f"{name}-choices")


@pytest.mark.parametrize(("owner", "field", "outside", "inside"), list(bounds()))
def test_a_rule_refuses_what_is_just_outside_it(
    owner: type[Any], field: dataclasses.Field[Any], outside: Any, inside: Any
) -> None:
    def checked(value: Any) -> None:
        config = owner()
        setattr(config, field.name, of_kind(field, value))
        check(config)

    checked(inside)
    with pytest.raises(UserError, match=rf"\b{field.name}\b"):
        checked(outside)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("name", [k for k, f in keys(TrainConfig) if f.type is float])
def test_no_number_may_be_infinite_or_undefined(name: str, value: float) -> None:
    config = TrainConfig()
    group, _, key = name.partition(".")
    setattr(getattr(config, group), key, value)
    with pytest.raises(UserError, match=rf"^{name} must be a finite number, got"):
        check(config)


@pytest.mark.parametrize("verb", SCHEMAS)
def test_the_defaults_meet_every_rule(verb: str) -> None:
    check(SCHEMAS[verb]())


@pytest.mark.parametrize("verb", SCHEMAS)
def test_every_key_has_a_line_of_help(verb: str) -> None:
    assert [name for name, field in keys(SCHEMAS[verb]) if not field.metadata["help"].strip()] == []


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (TrainConfig(model=Model(d_model=10, n_head=4)), "model.d_model must be a multiple of"),
        (TrainConfig(data=Data(pad_to=9), model=Model(context=8)), "data.pad_to must be at most"),
        (TrainConfig(data=Data(max_length=9), model=Model(context=8)), "data.max_length must be"),
        (TrainConfig(data=Data(name="csv", split="book")), "data.split=book belongs to data=sms_"),
        (EvalConfig(data=Data(name="csv", split="book")), "data.split=book belongs to data=sms_"),
        (TrainConfig(model=Model(n_layer=2), last_block=LastBlock(3)), "last_block.n must be at"),
        (TrainConfig(name="a\x1b"), "name must have no .* and no control character, got 'a.x1b'"),
        (TrainConfig(model=Model(name="a\n")), "model.name must have no .* and no control"),
        (TrainConfig(lora=Lora(target_modules=[])), "lora.target_modules must be a name or a list"),
        (TrainConfig(lora=Lora(target_modules=4)), "lora.target_modules must be a name or a list"),
        (TrainConfig(lora=Lora(rank_pattern={"fc1": 0})), "lora.rank_pattern.fc1 must be at least"),
        (TrainConfig(lora=Lora(alpha_pattern={"fc1": 0})), "lora.alpha_pattern.fc1 must be above"),
    ],
)
def test_keys_that_do_not_fit_together_are_refused_by_name(config: Any, message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}"):
        check(config)


def test_keys_that_just_fit_together_pass() -> None:
    check(
        TrainConfig(
            model=Model(d_model=12, n_head=4, n_layer=2, context=8),
            data=Data(name="sms_spam", split="book", pad_to=8, max_length=8),
            last_block=LastBlock(2),
            lora=Lora(target_modules="fc1", rank_pattern={"fc1": 1}, alpha_pattern={"fc1": 0.1}),
        )
    )


# What can be typed: no control characters, no line separators; ~ becomes the home folder.
TYPED = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"], exclude_characters="~"))
TRAPS = st.sampled_from(["???", "null", "1e5", "${a", "${model.name}", "on", "01"])


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of an annotation of config.py."""
    if dataclasses.is_dataclass(kind):
        return configs(kind)
    if kind is Any:  # lora.target_modules
        return values(str) | values(list[str])
    if kind is float:
        return st.floats(allow_nan=False, allow_infinity=False)
    inner = [values(argument) for argument in get_args(kind)]
    if getattr(kind, "__origin__", None) is list:
        return st.lists(*inner, max_size=3)
    if getattr(kind, "__origin__", None) is dict:
        return st.dictionaries(*inner, max_size=3)
    if inner:
        return st.one_of(inner)
    simple: dict[Any, st.SearchStrategy[Any]] = {
        int: st.integers(-(2**40), 2**40),
        str: TYPED | TRAPS,
        bool: st.booleans(),
        type(None): st.none(),
    }
    return simple[kind]


def configs(schema: type[Any]) -> st.SearchStrategy[Any]:
    return st.builds(schema, **{f.name: values(f.type) for f in dataclasses.fields(schema)})


@pytest.mark.parametrize("verb", SCHEMAS)
@settings(deadline=None, max_examples=15)
@given(st.data())
def test_from_dict_undoes_asdict_also_through_json(verb: str, data: st.DataObject) -> None:
    config = data.draw(configs(SCHEMAS[verb]))
    written = json.loads(json.dumps(dataclasses.asdict(config)))
    assert from_dict(SCHEMAS[verb], written) == config


def test_from_dict_refuses_a_missing_key() -> None:
    written = dataclasses.asdict(TrainConfig())
    del written["lora"]["rank"]
    with pytest.raises(TypeError, match=r"Lora: keys differ: \['rank'\]"):
        from_dict(TrainConfig, written)


def test_from_dict_refuses_an_unknown_key() -> None:
    written = dataclasses.asdict(TrainConfig()) | {"rank": 8}
    with pytest.raises(TypeError, match=r"TrainConfig: keys differ: \['rank'\]"):
        from_dict(TrainConfig, written)


@settings(deadline=None, max_examples=30)
@given(configs(TrainConfig))
def test_to_yaml_says_every_key_and_its_value(config: TrainConfig) -> None:
    read = from_dict(TrainConfig, yaml.safe_load(to_yaml(config)))
    # Whether a run is made, and what is shown beside it, are no part of it.
    assert read == dataclasses.replace(config, rerun=False, baselines=False)


def test_a_key_of_a_group_that_may_be_null_is_a_key_too() -> None:
    assert "data.path" in dict(keys(EvalConfig))
    assert group_in(Data | None) is Data
    assert group_in(str | None) is None
