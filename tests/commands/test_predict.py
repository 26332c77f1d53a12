"""`loraexp predict` labels every text once, in order, and writes its file whole or not at all."""

import csv
import io
import json
import sys
from pathlib import Path

import pytest
import torch
from predicting import Row, csv_rows, json_rows, run

from loraexp.data.splits import load_data
from loraexp.errors import UserError
from loraexp.runs.load import load_run


@pytest.fixture(scope="module")
def texts(finished: Path) -> list[str]:
    """Texts of the run's own test split, and some that are hard to carry."""
    config = load_run(finished).config
    hard = [
        "",
        " ",
        "a, b",
        'say "no"',
        "two\nlines",
        "a\rb",
        "\0",
        "😀",
        "<|endoftext|>",
        "x" * 500,
    ]
    return load_data(config.data).test.texts + hard


def as_lines(texts: list[str]) -> str:
    return "".join(json.dumps({"text": text, "n": 1}) + "\n" for text in texts)


def label_file(finished: Path, texts: list[str], folder: Path) -> list[Row]:
    (folder / "in.jsonl").write_text(as_lines(texts), encoding="utf-8")
    run(finished, file=str(folder / "in.jsonl"), out=str(folder / "out.jsonl"), batch_size=4)
    return json_rows((folder / "out.jsonl").read_text(encoding="utf-8"))


def alone(finished: Path, text: str) -> Row:
    """The oracle: one forward pass of one text that holds nothing but its own tokens."""
    made = load_run(finished)
    tokens = list(text.strip().encode())[: made.max_length]  # as its config says
    row = torch.tensor([tokens or [made.tokenizer.pad]])
    with torch.inference_mode():
        probabilities = (
            made.network.eval()(row, torch.tensor([len(tokens)])).double().softmax(-1)[0]
        )
    return made.labels[int(probabilities.argmax())], float(probabilities.max()), text


def test_file_gives_each_text_its_own_label_and_probability_in_order(
    finished: Path, texts: list[str], tmp_path: Path
) -> None:
    rows, wanted = label_file(finished, texts, tmp_path), [alone(finished, t) for t in texts]
    assert [row[2] for row in rows] == texts
    assert [row[0] for row in rows] == [row[0] for row in wanted]
    probabilities = pytest.approx([row[1] for row in wanted], abs=2e-6)
    assert [row[1] for row in rows] == probabilities
    # in the order of the batches, longest text first, they would not be the same
    by_length = sorted(rows, key=lambda row: -len(row[2].encode()))
    assert [row[1] for row in by_length] != probabilities


def test_one_text_alone_is_labelled_as_in_a_file(
    finished: Path, texts: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(finished, text=texts[0], format="json")
    (row,) = json_rows(capsys.readouterr().out)
    among = label_file(finished, texts, tmp_path)[0]
    assert row[1] == pytest.approx(among[1], abs=2e-6)
    assert (row[0], row[2]) == (among[0], among[2])


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_csv_file_in_gives_a_row_a_text_out(
    kind: str, finished: Path, texts: list[str], tmp_path: Path
) -> None:
    with (tmp_path / "in.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerows([["id", "words"], *enumerate(texts)])
    out = tmp_path / f"new/folder/out.{kind}"
    run(finished, file=str(tmp_path / "in.csv"), text_column="words", out=str(out))
    read = csv_rows if kind == "csv" else json_rows
    with out.open(encoding="utf-8", newline="") as file:
        assert [text for _, _, text in read(file.read())] == texts


def test_terminal_without_a_text_is_told_what_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    with pytest.raises(UserError, match=r"predict needs text=.*file=FILE, or lines on stdin"):
        run(Path("any"))


def test_text_and_file_together_are_refused() -> None:
    with pytest.raises(UserError, match="text= or file=, not both"):
        run(Path("any"), text="a", file="b.csv")


def test_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^no adapter in .*nowhere.*$"):
        run(tmp_path / "nowhere", text="a")


def test_nothing_that_exists_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("text\na\n", encoding="utf-8")
    (tmp_path / "below").mkdir()
    for out in ("in.csv", "below/../in.csv", "below"):  # before a model is loaded
        with pytest.raises(UserError, match=r"^out: .* nothing is written over"):
            run(tmp_path / "any", file=str(tmp_path / "in.csv"), out=str(tmp_path / out))
    assert (tmp_path / "in.csv").read_text(encoding="utf-8") == "text\na\n"


def test_a_bad_row_leaves_no_file(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loraexp.inference.inputs.CHUNK", 1)  # so that two rows are written before
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text(as_lines(["one", "two"]) + "{three\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"in\.jsonl, row 3: no valid JSON"):
        run(finished, file=str(source), out=str(out))
    assert list(tmp_path.iterdir()) == [source]


ROWS = {
    "in.tsv": 'text\tid\nfine\t1\n"Second\t2\n\nThird\t3\nFourth"\t4\n',
    "in.csv": "text\none\n\nthree\n\n",
    "in.txt": 'one\n"two\n\nfour',
    "in.jsonl": as_lines(["one", "", " ", "four"]),
}


@pytest.mark.parametrize("name", ROWS)
def test_there_are_as_many_rows_out_as_in_and_it_is_said(
    name: str, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(ROWS[name], encoding="utf-8")
    run(finished, file=str(tmp_path / name), out=str(tmp_path / "out.csv"))
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        assert len(csv_rows(file.read())) == 4
    assert capsys.readouterr().err.endswith(f"Wrote {tmp_path / 'out.csv'}: 4 texts\n")


def test_a_file_is_read_as_the_keys_say(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes('1;caf\xe9\n2;"b\n'.encode("latin-1"))
    out = tmp_path / "out.jsonl"
    keys = {"header": False, "text_column": "2", "delimiter": ";", "quoting": "none"}
    run(finished, file=str(tmp_path / "in.csv"), out=str(out), encoding="latin-1", **keys)
    rows = json_rows(out.read_text(encoding="utf-8"))
    assert [text for _, _, text in rows] == ["café", '"b']


def test_text_longer_than_the_context_is_labelled_by_its_start(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = "".join(chr(33 + i % 90) for i in range(200))
    for text in (long, long[:64], long[:63]):
        run(finished, text=text, format="json")
    whole, start, shorter = json_rows(capsys.readouterr().out)
    assert whole[:2] == start[:2]
    assert whole[:2] != shorter[:2]
