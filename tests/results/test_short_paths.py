"""Of paths only the names are shown, and what was told apart by them still is."""

from dataclasses import replace
from typing import Any

import pytest

from loraexp.results.short_paths import (
    cut_path,
    names_in,
    short_names,
    shortened,
    without_folders,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/a/mail.csv, 5,574 rows", "mail.csv, 5,574 rows"),
        ("~/data/mail.csv: no column 'x'", "mail.csv: no column 'x'"),
        ("cannot read '/a b/c/d.csv'", "cannot read 'd.csv'"),
        ("https://x.y/a/b", "https://x.y/a/b"),
        ("12/24 texts and/or 3 / 4", "12/24 texts and/or 3 / 4"),
        ("data/mail.csv", "data/mail.csv"),
    ],
)
def test_absolute_paths_in_words_lose_their_folders(text: str, shown: str) -> None:
    assert without_folders(text) == shown


def test_a_name_has_as_many_folders_as_tell_it_from_the_others() -> None:
    assert short_names(["/a/b/x.csv", "/a/b/y.csv"]) == {
        "/a/b/x.csv": "x.csv",
        "/a/b/y.csv": "y.csv",
    }
    assert [*short_names(["/a/1/x", "/a/2/x"]).values()] == ["1/x", "2/x"]
    assert [*short_names(["/x", "x", "/"]).values()] == ["/x", "x", "/"]
    assert short_names([]) == {}


def test_configs_differ_after_as_before(make_record: Any) -> None:
    runs = [make_record({"data.path": path}) for path in ("/a/1/x.csv", "/a/2/x.csv", "/a/1/x.csv")]
    paths = [one.config["data"]["path"] for one in shortened(runs, names_in(runs))]
    assert paths == ["1/x.csv", "2/x.csv", "1/x.csv"]
    assert runs[0].config["data"]["path"] == "/a/1/x.csv"  # the records are left as they are
    odd = make_record({"data.path": "/a b/c d/x.csv"}, data={"note": "/a b/c d/x.csv: 9 rows"})
    assert shortened([odd], names_in([odd]))[0].data["note"] == "x.csv: 9 rows"
    assert shortened(runs, {}) == [replace(run) for run in runs]


@pytest.mark.parametrize(
    ("path", "most", "shown"),
    [
        ("/home/a/sets/mail.csv", 48, "/home/a/sets/mail.csv"),  # the control: there is room
        ("/home/ann/projects/long/sets/mail.csv", 24, "/home/.../sets/mail.csv"),
        ("outputs/sweeps/2026-11-26_18-44", 30, "outputs/.../2026-11-26_18-44"),
        ("outputs/sweeps/2026-11-26_18-44", 22, ".../2026-11-26_18-44"),
        ("/home/ann/a_very_long_name_of_a_file.csv", 12, ".../a_very_long_name_of_a_file.csv"),
        ("no path, but words that are longer than this", 12, None),
    ],
)
def test_a_long_path_is_cut_in_its_middle_by_whole_names(
    path: str, most: int, shown: str | None
) -> None:
    assert cut_path(path, most) == (shown or path)
