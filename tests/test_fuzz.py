"""Whatever is typed and whatever lies in a file ends in a result or in one clear error: no
traceback, no hang. 300 cases by default, 5,000 of each kind under the slow mark."""

import io
import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import pytest
from hydra.core.global_hydra import GlobalHydra
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from verbs import SCHEMAS, SUMMARIES, groups_of, plan

from loraexp.cli import dispatch
from loraexp.commands.predict import PredictConfig
from loraexp.config.keys import keys
from loraexp.config.rules import check
from loraexp.config.schema import Data
from loraexp.data.reading import Reading
from loraexp.data.splits import load_data
from loraexp.errors import UserError
from loraexp.inference.inputs import chunks

T = TypeVar("T")
PATIENCE = 60  # seconds a case may take before it counts as a hang, on a slow machine
# Read only: what is typed for these writes nothing, whatever it is.
READING = ("eval", "verify", "rank_curve", "table", "params", "predict")

OPTIONS = sorted(
    {name for verb in SUMMARIES for names in groups_of(verb).values() for name in names}
)
NUMBERS = st.one_of(
    st.integers(-3, 20),
    st.sampled_from([2**31, 2**63, -(2**63), 10**30, 10**399]),
    st.floats(allow_nan=True, allow_infinity=True, width=32),
    st.sampled_from(["1e308", "1e-308", "-0", "0x10", "1_000", "١", "1e30", "nan", "9" * 400]),
).map(str)
WORDS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["", "null", "true", "~", "???", "a" * 5000, "\x1b[2J", "\u202e", "$x$", "$$"]),
    st.sampled_from(["${seed}", "${oc.env:NOPE}", "${oc.env:HOME}", "${nope}", "${", "}"]),
    st.sampled_from(
        ["/", "..", "../../x", "a/b", "\\", "C:\\x", "*", "a,b", "'", '"', "[", "{", "("]
    ),
    st.sampled_from(
        sorted({name for verb in SUMMARIES for of in groups_of(verb).values() for name in of})
    ),
)
SIMPLE = st.one_of(NUMBERS, WORDS)
VALUES = st.one_of(
    SIMPLE,
    st.lists(SIMPLE, max_size=3).map(lambda parts: f"[{','.join(parts)}]"),
    st.lists(st.tuples(WORDS, SIMPLE), max_size=2).map(
        lambda pairs: "{" + ",".join(f"{a}:{b}" for a, b in pairs) + "}"
    ),
    st.lists(SIMPLE, min_size=2, max_size=3).map(",".join),
    st.tuples(
        st.sampled_from(["range", "interval", "choice", "glob", "sort", "shuffle", "tag", "int"]),
        st.lists(NUMBERS, max_size=3),
    ).map(lambda call: f"{call[0]}({','.join(call[1])})"),
)
HYDRA = ("hydra.mode", "hydra.sweep.dir", "hydra.run.dir", "hydra.job.name", "hydra.verbose")
HYDRA += ("hydra/launcher", "hydra/sweeper", "hydra.sweeper.n_trials", "hydra.sweeper.params")
FLAGS = ("-m", "--multirun", "--cfg=job", "--cfg=all", "--resolve", "--cfg", "-x", "--help")


@st.composite
def commands(draw: st.DrawFn, verbs: tuple[str, ...]) -> tuple[str, list[str]]:
    """A verb and what is typed after it."""
    verb = draw(st.sampled_from(verbs))
    known = [name for name, _ in keys(SCHEMAS[verb])]
    key = st.one_of(
        st.sampled_from(known),
        st.sampled_from([*groups_of(verb), *HYDRA]),
        st.sampled_from(known).map(lambda name: name.rpartition(".")[0]),
        st.text(max_size=6),
    )
    mark = st.sampled_from(["", "", "", "+", "++", "~"])
    override = st.tuples(mark, key, VALUES).map(lambda parts: f"{parts[0]}{parts[1]}={parts[2]}")
    typed = draw(st.lists(st.one_of(override, st.sampled_from(FLAGS), WORDS), max_size=4))
    return verb, [text.replace("\0", "") for text in typed]  # NUL is what no shell can hand over


@contextmanager
def ends(*, allowed: tuple[type[BaseException], ...] = ()) -> Iterator[None]:
    """The block ends in time, in success or in an error of the user's of a line or two."""

    def hangs(*_: Any) -> None:
        raise AssertionError(f"not done after {PATIENCE} s")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(PATIENCE)
    try:
        yield
    except UserError as error:
        lines = str(error).splitlines()
        if not 1 <= len(lines) <= 2:
            raise AssertionError(f"an error of {len(lines)} lines: {error!s:.300}") from error
    except allowed:
        pass
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        GlobalHydra.instance().clear()


def of(strategy: st.SearchStrategy[T], number: int, claim: Callable[[T], None]) -> None:
    """The claim holds for so many cases, which are always the same."""
    bounded = settings(
        max_examples=number,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=[*HealthCheck],
    )
    bounded(given(strategy)(claim))()


def number(few: int) -> pytest.MarkDecorator:
    many = pytest.param(5000, marks=pytest.mark.slow)
    return pytest.mark.parametrize("number", [few, many], ids=["few", "many"])


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@number(100)
def test_what_is_typed_is_planned_or_refused(number: int, empty: Path) -> None:
    def claim(typed: tuple[str, list[str]]) -> None:
        with ends():
            plan(*typed)

    of(commands(tuple(SUMMARIES)), number, claim)
    assert not [*empty.iterdir()]


@number(50)
def test_what_is_typed_for_a_verb_that_reads_is_answered_or_refused(
    number: int,
    empty: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def claim(typed: tuple[str, list[str]]) -> None:
        verb, arguments = typed
        monkeypatch.setattr("sys.stdin", io.StringIO("a line\n"))
        with ends(allowed=(SystemExit, OSError)):  # `main` makes a line of the second
            dispatch([verb, *(a for a in arguments if not a.lstrip("+").startswith("out"))])
        capsys.readouterr()

    of(commands(READING), number, claim)


# What files of people hold, and what they should not.
CELLS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["", " ", "spam", "ham", "NaN", "1.0", '"', "a,b", "a\tb", "=1+1", "\ufeff"]),
)
ROWS = st.lists(st.tuples(CELLS, st.sampled_from(["spam", "ham", "1", "", "a b"])), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | CELLS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(CELLS, inner, max_size=2),
    max_leaves=4,
)


def separated(rows: list[tuple[str, str]]) -> bytes:
    text = "\n".join(["text,label", *(f"{a},{b}" for a, b in rows)])
    return text.encode("utf-8", "surrogatepass")


CONTENTS = st.one_of(
    st.binary(max_size=60),
    ROWS.map(separated),
    ROWS.map(
        lambda rows: pd.DataFrame(rows, columns=["text", "label"]).to_csv(index=False).encode()
    ),
    ROWS.map(lambda rows: separated(rows).replace(b",", b"\t")),
    ROWS.map(lambda rows: separated(rows).decode("utf-8", "replace").encode("utf-16")),
    st.lists(st.fixed_dictionaries({"text": JSON, "label": JSON}), max_size=8).map(
        lambda rows: "\n".join(map(json.dumps, rows)).encode()
    ),
    st.sampled_from([b"[" * 100_000, b"PAR1" * 9, b'{"text": ' + b"9" * 5000 + b"}"]),
)
READING_KEYS = st.fixed_dictionaries(
    {},
    optional={
        "quoting": st.sampled_from(["auto", "double", "none"]),
        "delimiter": st.sampled_from(["auto", "tab", ";", "|", "", '"', "\n", "ab"]),
        "encoding": st.sampled_from(
            ["utf-8", "utf-16", "latin-1", "ascii", "rot13", "zip", "", "x"]
        ),
        "header": st.booleans(),
        "text_column": st.sampled_from(["text", "1", "", "label"]),
    },
)
KINDS = st.sampled_from([".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".txt", "", ".zip"])
FILES = st.tuples(CONTENTS, KINDS, READING_KEYS, st.booleans())


@number(150)
def test_a_file_is_read_or_refused(number: int, empty: Path) -> None:
    def claim(case: tuple[bytes, str, dict[str, Any], bool]) -> None:
        content, kind, options, to_predict = case
        file = empty / f"file{kind}"
        file.write_bytes(content)
        with ends():
            if to_predict:
                config = PredictConfig(run="a", file=str(file), **options)
                check(config)
                assert all(
                    isinstance(text, str)
                    for rows in chunks(
                        config.text, config.file, [config.text_column or "text"], Reading.of(config)
                    )
                    for text, *_ in rows
                )
            else:
                data = Data(name="csv", path=str(file), **options)
                check(data)
                assert len(load_data(data).test) > 0
        file.unlink()

    of(FILES, number, claim)


def test_a_file_that_is_right_is_read(empty: Path) -> None:
    """The control: not all of the above is refused."""
    file = empty / "file.csv"
    file.write_bytes(separated([(f"a {i}", "spam" if i % 2 else "ham") for i in range(40)]))
    assert len(load_data(Data(name="csv", path=str(file))).train) == 28
    with pytest.raises(AssertionError, match="not done"), ends():
        signal.raise_signal(signal.SIGALRM)
