"""Arms compared: what validation chooses, what is told apart, and when it is no evidence."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from loraexp.errors import UserError
from loraexp.records.record import Failure, Record
from loraexp.results.arm_keys import varied
from loraexp.results.arms import arms
from loraexp.results.beside import Beside
from loraexp.results.comparison import findings
from loraexp.results.paired import best, compare
from loraexp.results.tables import to_terminal

N = 300
MakeRecord = Callable[..., Record]


def run(make: MakeRecord, right: np.ndarray, val: float = 0.95, **settings: Any) -> Record:
    """A record that labels these test texts rightly."""
    settings = {key.replace("__", "."): value for key, value in settings.items()}
    true = np.arange(N) % 2
    record = make(settings)
    metrics = {name: dict(scores) for name, scores in record.metrics.items()}
    metrics["test"] |= {"accuracy": float(right.mean()), "n": N}
    metrics["validation"] |= {"accuracy": val}
    predicted = np.where(right, true, 1 - true)
    predictions = {"test": {"true": true.tolist(), "predicted": predicted.tolist()}}
    return replace(record, metrics=metrics, predictions=predictions)


def sweep(
    make: MakeRecord, shares: dict[int, float], rng: np.random.Generator, seeds: int = 5
) -> list[Record]:
    """Ranks with the given chance to label a text rightly; texts differ in how hard they are."""
    hard = rng.beta(8, 1, N)
    return [
        run(make, rng.random(N) < np.clip(hard + share, 0, 1), lora__rank=rank, seed=seed)
        for rank, share in shares.items()
        for seed in range(seeds)
    ]


def winner(records: list[Record]) -> int | None:
    """The rank that is told apart from every other one, if there is one."""
    found = arms(records, ["lora.rank"])
    reference = best(found)
    others = [one for one in compare(found) if one is not None]
    return reference.name[0] if all(one.significant for one in others) else None


def test_a_real_difference_is_found(make_record: MakeRecord) -> None:
    rng = np.random.default_rng(0)
    shares = {1: 0.0, 2: 0.0, 4: 0.12}
    named = [winner(sweep(make_record, shares, rng)) for _ in range(5)]
    assert named.count(4) >= 4


def test_validation_chooses_the_setting_and_test_does_not(make_record: MakeRecord) -> None:
    poor, good = np.arange(N) < 240, np.arange(N) < 290
    records = [
        run(make_record, good, val=0.91, optim__lr=1e-4),
        run(make_record, poor, val=0.97, optim__lr=1e-3),
        run(make_record, good, val=0.93, optim__lr=1e-2),
    ]
    (arm,) = arms(records, ["method"])
    assert arm.chosen.config["optim.lr"] == 1e-3
    assert arm.seeds.mean == 240 / N


def rates(make: MakeRecord, best: float, **settings: Any) -> list[Record]:
    right = np.arange(N) < 290
    return [
        run(make, right, val=0.97 if lr == best else 0.9, optim__lr=lr, seed=seed, **settings)
        for lr in (1e-4, 1e-3, 1e-2)
        for seed in range(3)
    ]


def caveats(records: list[Record]) -> list[str]:
    notes = findings(records, ["method"]).notes
    return [note.removeprefix("- ") for note in notes if note.startswith("- ")]


def test_a_fair_comparison_raises_no_doubt(make_record: MakeRecord) -> None:
    records = rates(make_record, 1e-3) + rates(make_record, 1e-3, method="full")
    assert caveats(records) == []
    assert not any("Not evidence" in note for note in findings(records, ["method"]).notes)


def test_each_unfairness_is_named(make_record: MakeRecord) -> None:
    fair = rates(make_record, 1e-3)
    other = rates(make_record, 1e-3, method="full")
    edge = rates(make_record, 1e-2, method="full")
    assert caveats(fair + edge) == [
        "the best learning rate is at the edge of its grid: full (0.01)"
    ]
    assert "only 2 of at least 3 learning rates tried: full" in caveats(fair + other[:6])
    assert caveats(fair + [replace(r, epochs=2) for r in other]) == [
        "the arms were not trained on the same number of texts"
    ]
    late = [record for record in other if record.config["seed"] > 0]
    assert "the arms do not have the same seeds" in caveats(fair + late)
    one = [r for r in fair + other if r.config["seed"] == 0]
    assert "1 seed only; three are the least" in caveats(one)


def test_arms_of_other_splits_have_no_p(make_record: MakeRecord) -> None:
    other = rates(make_record, 1e-3, method="full")
    foreign = [replace(r, hashes={**r.hashes, "split": "another"}) for r in other]
    table = findings(rates(make_record, 1e-3) + foreign, ["method"]).table
    verdicts = [row[table.header.index("verdict")] for row in table.rows]
    assert sorted(map(str, verdicts)) == ["not paired", "not paired"]


def test_arms_that_were_tested_on_other_parts_of_a_split_have_no_p(make_record: MakeRecord) -> None:
    """As trainer.limit_batches leaves them."""
    whole = run(make_record, np.ones(N, bool), method="lora")
    part = run(make_record, np.ones(N, bool), method="head", trainer__limit_batches=1)
    test = {key: values[:100] for key, values in part.predictions["test"].items()}
    part = replace(part, predictions={"test": test})
    against = compare(arms([whole, part], ["method"]))
    assert [one.untested for one in against if one is not None] == ["not paired"]


def test_repeated_texts_are_told(make_record: MakeRecord) -> None:
    records = [
        replace(r, data={**r.data, "repeats": {"test": 37}}) for r in rates(make_record, 1e-3)
    ]
    told = "Note: 37 of 300 test texts stand verbatim in train."
    assert told in findings(records, ["method"]).notes
    # Limited batches measure fewer texts: the 37 are still of all 300.
    few = {"n": 32, "confusion": [[16, 0], [0, 16]]}
    limited = [replace(r, metrics={**r.metrics, "test": r.metrics["test"] | few}) for r in records]
    assert told in findings(limited, ["method"]).notes


def test_a_baseline_is_one_row_and_others_are_better_or_worse(make_record: MakeRecord) -> None:
    rng = np.random.default_rng(1)
    records = sweep(make_record, {1: -0.2, 2: 0.0, 4: 0.12}, rng)
    table = findings(records, ["lora.rank"], "lora.rank=2").table
    verdicts = {row[0]: row[table.header.index("verdict")] for row in table.rows}
    assert verdicts == {1: "worse", 2: "baseline", 4: "better"}
    with pytest.raises(UserError, match=r"baseline=lora.rank=3 fits 0 rows; give one by its"):
        findings(records, ["lora.rank"], "lora.rank=3")
    with pytest.raises(UserError, match=r"unknown by 'lora.rnk'; did you mean 'lora.rank'"):
        findings(records, ["lora.rnk"])


def test_rows_come_in_the_order_asked_for(make_record: MakeRecord) -> None:
    records = sweep(make_record, {16: 0.0, 2: 0.1, 4: -0.2}, np.random.default_rng(1))

    def order(sort: str) -> list[Any]:
        return [row[0] for row in findings(records, ["lora.rank"], sort=sort).table.rows]

    assert order("name") == [2, 4, 16]
    assert order("test") == [2, 16, 4]


def test_a_method_without_a_branch_has_one_row_whatever_the_rank(make_record: MakeRecord) -> None:
    counts = {**make_record().counts, "adapted_modules": 0}
    heads = [
        replace(make_record({"method": "head", "lora.rank": rank}), counts=counts)
        for rank in (4, 8)
    ]
    (arm,) = arms(heads[:1] + heads[1:], ["method", "lora.rank"])
    assert arm.name == ("head", None)


def test_a_method_without_a_branch_does_not_make_the_keys_of_lora_differ(
    make_record: MakeRecord,
) -> None:
    counts = {"trainable": 1_536, "total": 124_441_344, "adapted_modules": 0, "percent": 0.0}
    head = make_record({"method": "head", "lora.rank": 2}, counts=counts)
    lora = make_record({"lora.rank": 4})
    assert varied([head, lora]) == ["method"]
    assert varied([head, lora, make_record({"lora.rank": 8})]) == ["method", "lora.rank"]


def test_ia3_beside_lora_has_targets_and_no_rank(make_record: MakeRecord) -> None:
    counts = make_record().counts | {"low_rank_modules": 0}

    def ia3(rank: int, seed: int = 0, target: str = "v_proj") -> Record:
        settings = {"lora.rank": rank, "lora.target_modules": [target], "seed": seed}
        return make_record({"method": "ia3", **settings}, counts=counts)

    records = [make_record({"lora.target_modules": ["v_proj"]}), ia3(4), ia3(8, seed=1)]
    failures = [Failure("b", ia3(2).config, "no memory", "")]
    keys = ["method", "lora.rank", "lora.alpha", "lora.target_modules"]
    rows = findings(records, keys, beside=Beside(failures)).table.rows
    assert [row[:4] for row in rows] == [["ia3", None, None, "v"], ["lora", 8, 16.0, "v"]]
    assert varied(records) == ["method"]
    assert varied([*records, ia3(4, target="fc2")]) == ["method", "lora.target_modules"]
    of_before = {key: n for key, n in counts.items() if key != "low_rank_modules"}
    old = replace(records[1], counts=of_before)
    assert findings([old], keys).table.rows[0][:4] == ["ia3", 4, 16.0, "v"]


def test_the_brief_table_fits_80_columns(make_record: MakeRecord) -> None:
    records = sweep(make_record, {1: 0.0, 16: 0.1}, np.random.default_rng(1))
    large = {**records[0].counts, "trainable": 124_441_344}
    records[0] = replace(records[0], counts=large)
    for i, record in enumerate(records):
        method = "last_block" if i % 2 else "lora_plus"
        records[i] = replace(record, config={**record.config, "method": method})
    result = findings(records, ["method", "lora.rank"])
    lines = to_terminal(result.brief(80), width=80).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) == 1 + 4  # no cell is folded
    assert "124,441,344" in "".join(lines)
    assert {"sd", "test", "p"} <= {*lines[0].split()}
    assert any("300 test texts" in note for note in result.notes)


def test_no_row_is_the_best_where_the_highest_scores_are_equal(make_record: MakeRecord) -> None:
    def verdicts(*counts: int, seeds: int = 1) -> list[Any]:
        records = [
            run(make_record, np.arange(N) < count, lora__rank=rank, seed=seed)
            for rank, count in enumerate(counts, 1)
            for seed in range(seeds)
        ]
        found = findings(records, ["lora.rank"])
        return [row[found.table.header.index("verdict")] for row in found.table.rows]

    assert verdicts(290, 290, 280) == ["equal", "equal", "one seed"]
    assert verdicts(290, 290, seeds=3) == ["equal", "equal"]
    assert verdicts(280, 290) == ["one seed", "best"]  # the control


def test_one_seed_is_never_tested_be_a_baseline_named_or_not(make_record: MakeRecord) -> None:
    counts = {2: 290, 4: 200}
    for seeds, untested in ((1, "one seed"), (3, None)):
        records = [
            run(make_record, np.arange(N) < count, lora__rank=rank, seed=seed)
            for rank, count in counts.items()
            for seed in range(seeds)
        ]
        for baseline in (None, "lora.rank=2"):
            one = findings(records, ["lora.rank"], baseline).against[1]
            assert one is not None
            assert (one.untested, one.p is None) == (untested, untested is not None)


def test_no_two_columns_have_one_heading(make_record: MakeRecord) -> None:
    keys = ["lora.rank", "optim.lr", "lora.dropout", "model.dropout"]
    records = [make_record({"optim.lr": lr}) for lr in (1e-3, 1e-2)]
    found = findings(records, keys)
    names = [column.heading for column in found.table.columns]
    assert len({*names}) == len(names)
    assert names[:5] == ["rank", "optim.lr", "lora.dropout", "model.dropout", "tried"]
    assert "lr" not in found.brief(300).header
    assert "lr" in findings(records, ["method", "seed"]).table.header  # the control


def test_a_column_of_paths_shows_what_tells_them_apart(make_record: MakeRecord) -> None:
    records = [make_record({"data.path": path}) for path in ("/a/1/x.csv", "/a/2/x.csv")]
    table = findings(records, ["data.path"]).table
    assert [row[0] for row in table.text()] == ["1/x.csv", "2/x.csv"]
    assert table.rows[0][0] == "/a/1/x.csv"  # the control: files have all


def test_an_unknown_key_is_told_the_ten_likeliest(make_record: MakeRecord) -> None:
    records = [make_record({"head.bias": bias}) for bias in (True, False)]
    with pytest.raises(UserError) as error:
        findings(records, ["lora.rnk"])
    lead, _, listed = str(error.value).partition(" likely keys: ")
    assert lead == "unknown by 'lora.rnk'; did you mean 'lora.rank'?"
    keys, _, rest = listed.partition("; ")
    assert keys.split(", ")[:2] == ["head.bias", "method"]  # what differs comes first
    assert len(keys.split(", ")) == 10
    assert rest == "any key of train will do"
