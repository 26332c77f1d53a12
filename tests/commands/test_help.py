"""--help lists every key and every group, fits a terminal, and starts without torch."""

import re

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from verbs import SCHEMAS, SUMMARIES, default_options, groups_of, verb_help

from loraexp.cli import overview
from loraexp.commands import find_verb
from loraexp.config.compose import composed, register
from loraexp.config.help import as_started
from loraexp.config.keys import keys
from loraexp.sweeps.plan import conf_dir


@pytest.fixture(params=SUMMARIES)
def verb(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_help_lists_every_key_once_and_no_other(verb: str) -> None:
    listed = re.findall(r"^  ([\w.]+)=", verb_help(verb, ""), re.M)
    assert listed == [name for name, _ in keys(SCHEMAS[verb])]
    assert len(set(listed)) == len(listed)


def test_help_lists_every_group_with_its_options(verb: str) -> None:
    text = re.sub(r"\n {8,}", " ", verb_help(verb, ""))  # a long list goes on in the next line
    for group, options in groups_of(verb).items():
        unmarked = re.sub(r"(?<=\w)\*", "", text)
        assert re.search(rf"^  {group} +{re.escape(' | '.join(options))}( |$)", unmarked, re.M)


def test_help_has_words_beside_or_below_every_key(verb: str) -> None:
    lines = verb_help(verb, "").splitlines()
    for key, field in keys(SCHEMAS[verb]):
        (at,) = [i for i, line in enumerate(lines) if line.startswith(f"  {key}=")]
        shown = " ".join(lines[at : at + 5]).split()
        assert set(field.metadata["help"].split()) <= set(shown)


def test_no_line_is_wider_than_a_hundred_columns(verb: str) -> None:
    assert max(map(len, verb_help(verb, SUMMARIES[verb]).splitlines())) <= 100


@pytest.mark.parametrize(("terminal", "width"), [(60, 80), (90, 90), (200, 100)])
def test_help_is_as_wide_as_the_terminal(
    verb: str, terminal: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(terminal))
    longest = max(map(len, verb_help(verb, SUMMARIES[verb]).splitlines()))
    assert longest <= width
    assert verb != "train" or longest > width - 10


@pytest.mark.parametrize(
    ("verb", "line"),
    [
        ("train", "  optim.lr=0.001 "),
        ("train", "  data.dedupe=false "),
        ("train", "  data.path=null "),
        ("train", "  lora.target_modules=[q_proj,k_proj,v_proj,out_proj]\n"),
        ("eval", "  run=(required) "),
        ("train", "  model.name=nano "),
        ("train", "  model.weights=embedded "),
        ("import", "  model.n_layer=3 "),
        ("pretrain", "  model.weights=random "),
        ("pretrain", "  optim.lr=0.004 "),
        ("prepare", "  data.split=book "),
        ("eval", "  data.name=sms_demo "),  # of a group that a plain run has not
    ],
)
def test_help_shows_defaults_as_they_are_typed(verb: str, line: str) -> None:
    assert line in verb_help(verb, "")


def test_help_shows_what_a_plain_run_is_composed_to(verb: str) -> None:
    GlobalHydra.instance().clear()
    register(find_verb(verb))
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        made = composed(verb, [])
    shown = as_started(find_verb(verb))
    for key, _ in keys(SCHEMAS[verb]):
        group, _, name = key.rpartition(".")
        inside = OmegaConf.select(made, group) if group else made
        if inside is not None:  # a group that is null has no values
            assert shown[key] == OmegaConf.to_container(inside)[name], key


@pytest.mark.parametrize(
    ("verb", "marked"),
    [
        ("train", {"nano", "sms_demo", "lora", "default", "csv", "local"}),
        ("params", {"nano", "sms_demo", "lora"}),
        ("import", {"nano"}),
        ("prepare", {"sms_spam"}),
        ("eval", set()),
    ],
)
def test_the_option_that_a_plain_run_takes_is_marked(verb: str, marked: set[str]) -> None:
    groups = verb_help(verb, "").partition("Keys (")[0]
    assert set(re.findall(r"(\S+)\*(?: |$)", groups, re.M)) == marked


def test_the_verbs_that_take_a_model_take_the_same() -> None:
    assert {verb: default_options(verb)["model"] for verb in ("train", "params", "import")} == {
        "train": "nano",
        "params": "nano",
        "import": "nano",
    }


@pytest.mark.parametrize("width", [80, 100])
def test_the_overview_lists_every_verb_and_what_it_does(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = overview().splitlines()
    assert max(map(len, lines)) <= width
    whole = re.sub(r"\n {17}", " ", "\n".join(lines))  # a long summary goes on in the next line
    assert re.findall(r"^  (\w+) +(.+)$", whole, re.M) == list(SUMMARIES.items())


def test_at_80_columns_every_key_has_its_default_and_every_word_is_whole(
    verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = verb_help(verb, SUMMARIES[verb])
    assert max(map(len, text.splitlines())) <= 80
    assert not re.findall(r"^  [\w.]+=(?: .*)?$", text, re.M)  # a key and nothing behind it
    shown = {*text.split()}
    for key, field in keys(SCHEMAS[verb]):
        assert {*field.metadata["help"].split()} <= shown, key
        assert any(word.startswith(f"{key}=") for word in shown)
    assert {*SUMMARIES[verb].split()} <= shown
    assert ("as a plain run has them" in text) == bool(groups_of(verb))
