"""A user's mistake is one line that names the nearest valid name."""

import pytest
from hydra.core.global_hydra import GlobalHydra
from hypothesis import given, settings
from hypothesis import strategies as st
from verbs import plan

from loraexp.config.compose import PLUGINS
from loraexp.config.flags import REFUSED
from loraexp.errors import UserError, unknown

NAMES = ["rank", "alpha", "dropout"]


@pytest.mark.parametrize(
    ("typed", "nearest"), [("rnk", "rank"), ("alpa", "alpha"), ("dropuot", "dropout")]
)
def test_a_near_miss_is_told_the_nearest_name(typed: str, nearest: str) -> None:
    assert f"did you mean {nearest!r}?" in str(unknown("key", typed, NAMES))


def test_a_far_name_gets_no_guess() -> None:
    assert "did you mean" not in str(unknown("key", "zzz", NAMES))


def test_all_known_names_are_listed_in_order() -> None:
    assert str(unknown("key", "zzz", NAMES)).endswith("known: alpha, dropout, rank")


@settings(deadline=None, max_examples=50)
@given(st.text())
def test_the_error_is_one_line_whatever_was_typed(typed: str) -> None:
    assert len(str(unknown("key", typed, NAMES)).splitlines()) == 1


# verb, what is typed, and how the one line starts
MISTAKES: list[tuple[str, list[str], str]] = [
    ("train", ["lora.rnk=4"], "unknown key 'lora.rnk'; did you mean 'lora.rank'?"),
    ("train", ["rank=4"], "unknown key 'rank'; did you mean 'lora.rank'?"),
    ("train", ["lr=0.001"], "unknown key 'lr'; did you mean 'optim.lr'? python -m loraexp train"),
    ("train", ["model.lr=0.001"], "unknown key 'model.lr'; did you mean 'optim.lr'?"),
    ("train", ["dropout=0"], "unknown key 'dropout'; did you mean 'lora.dropout'?"),
    ("train", ["model.droput=0"], "unknown key 'model.droput'; did you mean 'model.dropout'?"),
    ("train", ["batch=4"], "unknown key 'batch'; did you mean 'data.batch_size'?"),
    ("train", ["learning_rate=1"], "unknown key 'learning_rate'; did you mean 'optim.lr'?"),
    ("train", ["r=4"], "unknown key 'r'; did you mean 'lora.rank'?"),
    ("predict", ["run=a", "r=4"], "unknown key 'r'; "),  # which has no such key
    (  # before anything heavy is imported or loaded
        "train",
        ["model=gpt2", "lora.target_modules=[q_proj,value]"],
        "lora.target_modules: 'value' matches nothing; did you mean 'v_proj'? there are q_proj",
    ),
    ("train", ["method=lora", "lora.init=pissa"], "lora.init=pissa belongs to method=pissa"),
    ("train", ["+new.thing=1"], "unknown key 'new.thing'; python -m loraexp train --help"),
    ("train", ["lora.rank.x=1"], "unknown key 'lora.rank.x'; did you mean 'lora.rank'?"),
    ("train", ["lora.rank =4"], "unknown key 'lora.rank '; did you mean 'lora.rank'?"),
    ("train", ["=4"], "unknown key ''"),
    ("predict", ["run=a", "txt=b"], "unknown key 'txt'; did you mean 'text'?"),
    (
        "train",
        ["model=gtp2"],
        "unknown model 'gtp2'; did you mean 'gpt2'? known: distilgpt2, gpt2,",
    ),
    ("train", ["method=lroa"], "unknown method 'lroa'; did you mean 'lora'? known: "),
    ("train", ["data=null"], "unknown data 'null'; known: csv, sms_demo, sms_spam"),
    ("train", ["model=[gpt2,nano]"], "unknown model "),
    ("train", ["method=lora,ful", "-m"], "unknown method 'ful'; did you mean 'full'?"),
    ("table", ["runs={}"], "runs must be a list of single values, got {} in it"),
    ("train", ["hydra/launcher=jobb"], "unknown hydra/launcher 'jobb'; known: basic"),
    *(
        (
            "train",
            [f"hydra/launcher={option}", "-m"],
            f"hydra/launcher={option} needs: pip install {package}",
        )
        for option, package in PLUGINS["hydra/launcher"].items()
    ),
    (
        "train",
        ["hydra.launcher._target_=my.Own", "seed=0,1", "-m"],
        "hydra.launcher: Invalid plugin",
    ),
    ("train", ["hydra.sweeper._target_=my.Own", "seed=0,1", "-m"], "hydra.sweeper: Invalid plugin"),
    ("train", ["hydra.mode=${oc.env:NOPE}"], "hydra.mode: KeyError raised while resolving"),
    (
        "train",
        ["hydra.sweeper.params.seed=0,1", "-m"],
        "hydra.sweeper.params.seed: write the swept",
    ),
    ("train", ["hydra.sweeper.params={seed:1}", "-m"], "hydra.sweeper.params: write the swept key"),
    ("train", ["seed=range(0,10,0)", "-m"], "seed=range(0,10,0): range() arg 3 must not be zero"),
    ("train", ["seed=range(200000)", "-m"], "the sweep has more than 100,000 jobs"),
    ("train", ["--resolve"], "--resolve needs --cfg=job beside it"),
    ("train", ["--cfg"], "--cfg needs a value: --cfg=job"),
    ("train", ["--cfg", "jb"], "--cfg must be job, hydra, all, got jb"),
    ("train", ["-p", "optim"], "--package needs --cfg=job beside it"),
    ("train", ["-x"], "unknown flag '-x': there are -m, --cfg=job, --config-dir=DIR and --help"),
    ("train", ["-m=1"], "-m takes no value, got 1"),
    ("train", ["--config-dir=/no/where"], "--config-dir=/no/where: no such folder"),
    ("train", ["hydra.searchpath=[pkg://a]"], "hydra.searchpath takes folders, got pkg://a"),
    *(("train", [flag], f"{flag} {why}") for flag, why in REFUSED.items()),
    (
        "train",
        ["lora.rank=99999999999999999999"],
        "lora.rank must be below 2^63, got 9999999999999",
    ),
    ("train", ["lora.rank=9223372036854775807"], "the weights alone take "),
    ("train", ["model.n_layer=99999999"], "model.n_layer must be at most 10000, got 99999999"),
    ("params", ["model.n_layer=99999999"], "model.n_layer must be at most 10000, got 99999999"),
    ("train", ["lora.rank_pattern={v_proj:9223372036854775807}"], "the weights alone take "),
    ("train", ["model.d_model=10000000000"], "the weights alone take "),
    (
        "pretrain",
        ["data.text=[a]", "out=b", "model.vocab_size=10000000000000"],
        "the weights alone",
    ),
    ("train", ["lora.alpha=1e308"], "lora.alpha must be at most 3.4e+38, got 1e+308"),
    ("combine", ["runs=[a]", "out=b", "weights=[1e308]"], "weights must be at most 3.4e+38"),
    *(("train", [f"{key}={'9' * 400}"], f"{key} must be ") for key in ("lora.alpha", "lora.rank")),
    ("train", ["optim.schedule=cosin"], "unknown optim.schedule 'cosin'; did you mean 'cosine'?"),
    ("train", ["lora.rank=four"], "lora.rank must be a whole number, got 'four'"),
    ("train", ["lora.rank=1.5"], "lora.rank must be a whole number, got '1.5'"),
    ("train", ["lora.rank="], "lora.rank must be a whole number, got ''"),
    ("train", ["lora.rank=4\n5"], r"lora.rank must be a whole number, got '4\n5'"),
    ("train", ["lora.rank=null"], "lora.rank cannot be null"),
    ("train", ["trainer.max_epochs=abc"], "trainer.max_epochs must be a whole number, got 'abc'"),
    ("train", ["optim.lr=fast"], "optim.lr must be a number, got 'fast'"),
    ("train", ["lora.alpha=${lora.rank"], "lora.alpha must be a number, got '${lora.rank'"),
    ("train", ["lora.alpha=${lora.r}"], "lora.alpha: Interpolation key 'lora.r' not found"),
    ("train", ["head.bias=maybe"], "head.bias must be true or false, got 'maybe'"),
    ("train", ["lora.rank_pattern=4"], "lora.rank_pattern must be like {v_proj:16}"),
    ("train", ["lora.rank_pattern={h.(0|1)}"], "lora.rank_pattern must be like {v_proj:16}"),
    ("train", ["lora.rank_pattern={v_proj:0}"], "lora.rank_pattern.v_proj must be at least 1"),
    ("train", ["lora.rank_pattern=${name}x"], "lora.rank_pattern must be at least 1, got Nonex"),
    ("train", ["hydra/launcher=null"], "Config group override must be a string"),
    ("train", ["lora.rank=0"], "lora.rank must be at least 1, got 0"),
    ("train", ["lora.alpha=-1"], "lora.alpha must be above 0, got -1.0"),
    ("train", ["lora.dropout=1.5"], "lora.dropout must be at most 0.99, got 1.5"),
    ("train", ["optim.lr=0"], "optim.lr must be above 0, got 0.0"),
    ("train", ["optim.lr=nan"], "optim.lr must be a finite number, got nan"),
    ("train", ["optim.lr=inf"], "optim.lr must be a finite number, got inf"),
    ("train", ["data.batch_size=0"], "data.batch_size must be at least 1, got 0"),
    ("train", ["data.pad_to=257"], "data.pad_to must be at most model.context = 256, got 257"),
    (
        "train",
        ["data=csv", "data.split=book"],
        "data.split=book belongs to data=sms_spam, got 'csv",
    ),
    ("train", ["data.path=a.csv"], "data.path=a.csv needs data=sms_spam or data=csv, got data=sms"),
    ("train", ["data.text_column=t"], "data.text_column=t needs data=csv, got data=sms_demo"),
    ("prepare", ["data.label_column=y"], "data.label_column=y needs data=csv, got data=sms_spam"),
    (
        "eval",
        ["run=a", "data=sms_demo", "data.path=a.csv"],
        "data.path=a.csv needs data=sms_spam or data=csv, got data=sms_demo",
    ),
    ("train", ["data=sms_spam", "data.text_column=t"], "data.text_column=t needs data=csv, got"),
    ("train", ["name=../x"], r"name must have no / or \ and no dot in front, got '../x'; output"),
    ("train", ["name=a/b"], r"name must have no / or \ and no dot in front, got 'a/b'"),
    ("train", [r"name=a\b"], r"name must have no / or \ and no dot in front, got 'a\\b'"),
    ("train", ["name=.a"], r"name must have no / or \ and no dot in front, got '.a'"),
    ("train", ["model.d_model=130"], "model.d_model must be a multiple of model.n_head, got 130"),
    ("train", ["lora.target_modules=[]"], "lora.target_modules must be a name or a list of names"),
    *(
        ("train", [f"lora.target_modules={typed}"], f"lora.target_modules must be a name or {more}")
        for typed, more in (
            ("5", "a list of names, got 5"),
            ("[q_proj,5]", "a list of names, got ['q_proj', 5]"),
            ("[null]", "a list of names, got [None]"),
            ("[q_proj,[fc1]]", "a list of names, got ['q_proj', ['fc1']]"),
            ("[{a:1}]", "a list of names, got [{'a': 1}]"),
        )
    ),
    (
        "params",
        ["lora.target_modules=[q_proj,v_proj],all-linear"],
        "lora.target_modules has several values: give one",
    ),
    ("train", ["lora=4"], "lora is a group of keys: set one of lora.rank, lora.alpha,"),
    ("params", ["trainer=cpu"], "trainer is a group of keys: set one of trainer.max_epochs,"),
    ("train", ["foo"], "'foo' is no override: write key=value"),
    ("train", ["~method"], "'~method' is no override: write key=value"),
    ("train", ["--fast"], "unknown flag '--fast': there are -m"),
    ("train", ["lora.rank=4,8"], "lora.rank has several values: add -m to sweep over them"),
    ("train", ["data.path=a,b"], "data.path has several values: add -m to sweep over them, or quo"),
    (
        "train",
        ["lora.target_modules=fc1,fc2"],
        "lora.target_modules has several values: add -m to sweep over them, or write "
        "lora.target_modules=[fc1,fc2]",
    ),
    ("params", ["format=csv,json"], "format has several values: give one"),
    (
        "eval",
        ["run=a", "split=test,train", "-m"],
        "only train and verify_packed make sweeps",
    ),
    (
        "params",
        ["experiment=rank_sweep"],
        "only train and verify_packed make sweeps",
    ),
    ("train", ["seed=range(0)", "-m"], "the sweep is empty"),
    (
        "train",
        ["lora.rank=interval(1,8)", "-m"],
        "lora.rank=interval(1,8): an interval is",
    ),
    ("train", ["-m", "--cfg=job"], "--cfg shows one job"),
    ("train", ["lora.rank=4,8,0", "-m"], "lora.rank must be at least 1, got 0"),
    ("eval", [], "run is required: run=..."),
    ("eval", ["split=test"], "run is required: run=..."),
    ("eval", ["run=a", "data.path=b.csv"], "data.path needs data=... beside it, one of csv,"),
    ("prepare", ["data=csv", "data.split=book"], "data.split=book belongs to data=sms_spam"),
    ("params", ["ranks=[4,0]"], "ranks must be at least 1, got 0"),
]


@pytest.mark.parametrize(("verb", "typed", "line"), MISTAKES, ids=lambda v: str(v)[:40])
def test_a_mistake_is_one_short_line(verb: str, typed: list[str], line: str) -> None:
    GlobalHydra.instance().clear()
    with pytest.raises(UserError) as error:
        plan(verb, typed)
    said = str(error.value)
    assert said.startswith(line)
    assert len(said.splitlines()) == 1
    assert len(said) <= 250


@pytest.mark.parametrize("key", ["text", "batch_size", "format", "text_column"])
@settings(deadline=None, max_examples=6)
@given(st.text(st.sampled_from("a,=[](){}${'\"\\ :~+-019.\n"), max_size=8))
def test_no_value_makes_more_than_one_line(key: str, value: str) -> None:
    GlobalHydra.instance().clear()
    said = ""
    try:
        plan("predict", ["run=a", f"{key}={value}"])
    except UserError as error:
        said = str(error)
    assert len(said.splitlines()) <= 1
