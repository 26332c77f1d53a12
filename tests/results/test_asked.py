"""Columns that are asked for: what they hold, beside the usual ones, and none unasked."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from loraexp.errors import UserError
from loraexp.records.record import Record
from loraexp.results.asked import ASKED
from loraexp.results.beside import Beside
from loraexp.results.comparison import findings
from loraexp.results.explained import explained
from loraexp.results.tables import to_csv
from loraexp.results.tables import to_terminal as shown

MakeRecord = Callable[..., Record]


def two_seeds(make: MakeRecord, seconds: tuple[float, float]) -> list[Record]:
    runs = [make({"seed": seed}) for seed in (0, 1)]
    return [
        replace(run, seconds={**run.seconds, "fit": taken})
        for run, taken in zip(runs, seconds, strict=True)
    ]


def test_a_column_is_the_mean_over_the_seeds(make_record: MakeRecord) -> None:
    found = findings(two_seeds(make_record, (2.0, 4.0)), ["method"], also=["fit_seconds"])
    assert dict(zip(found.table.header, found.table.rows[0], strict=True))["fit_seconds"] == 3.0
    assert "s fit" in shown(found.brief(also=["fit_seconds"]))
    assert "s fit" not in shown(found.brief())


def test_a_seed_that_lacks_it_leaves_it_empty(make_record: MakeRecord) -> None:
    one, other = two_seeds(make_record, (2.0, 4.0))
    records = [one, replace(other, seconds={"total": 5.0})]
    found = findings(records, ["method"], also=["fit_seconds"])
    assert found.table.rows[0][-1] is None


def test_nothing_is_added_unasked(make_record: MakeRecord) -> None:
    records = two_seeds(make_record, (2.0, 4.0))
    plain = findings(records, ["method"]).table
    asked = findings(records, ["method"], also=[*ASKED]).table
    assert asked.header == [*plain.header, *ASKED]
    assert to_csv(asked.only(plain.header)) == to_csv(plain)


def test_a_column_that_is_there_anyway_is_shown_and_not_doubled(make_record: MakeRecord) -> None:
    found = findings(two_seeds(make_record, (2.0, 4.0)), ["method"], also=["settings", "settings"])
    assert found.table.header.count("settings") == 1
    assert "tried" in shown(found.brief(also=["settings"]))


def test_an_unknown_one_is_refused_with_all_there_are(make_record: MakeRecord) -> None:
    with pytest.raises(UserError, match=r"unknown columns 'fit_second'; did you mean 'fit_sec"):
        findings([make_record()], ["method"], also=["fit_second"])


@pytest.mark.parametrize("name", ASKED)
def test_each_is_explained_and_reads_any_record(name: str, make_record: MakeRecord) -> None:
    assert explained(ASKED[name].column)
    value = ASKED[name].of(make_record(), Beside())
    assert value is None or isinstance(value, (int, float))
