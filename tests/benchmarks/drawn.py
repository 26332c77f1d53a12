"""Tables of the benchmarks, drawn from what each stored: they print them, and docs/ shows them."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ways import OURS

from loraexp.results.comparison import FIGURES
from loraexp.results.tables import Column, Table, size

Lines = Sequence[Mapping[str, Any]]
PEERS = ("peft, bf16 base", "peft, tuned")


def times(value: float) -> str:
    return f"{value:.2f} x"


def speed(measured: Lines) -> Table:
    """Texts a second: the median over the rounds; ratios are taken within a round."""
    rows = []
    for line in measured:
        (best,) = (
            other["texts_per_second"]
            for other in measured
            if (other["what"], other["batch"], other["way"]) == (line["what"], line["batch"], OURS)
        )
        rates = line["texts_per_second"]
        ratio = statistics.median(a / b for a, b in zip(best, rates, strict=True))
        rows.append([line["what"], line["batch"], line["way"], statistics.median(rates), ratio])
    columns = [
        Column("what", "what", words=True),
        Column("batch", "batch"),
        Column("way", "way", words=True),
        Column("texts_per_second", "texts/s", lambda v: f"{v:.1f}"),
        Column("ratio", "loraexp is faster by", times),
    ]
    return Table(columns, rows)


def roofs(found: Mapping[str, Any]) -> Iterator[str]:
    """How near our training steps come to the rate of a large matrix product."""
    for line in found["measured"]:
        if line["what"] == "train" and line["way"] == OURS:
            rate = statistics.median(line["texts_per_second"])
            share = 4 * found["parameters"] * found["mean_tokens"] * rate
            yield (
                f"batch {line['batch']}: 4 x parameters x tokens/s is "
                f"{share / found['matrix_product_flops']:.0%} of the "
                f"{found['matrix_product_flops'] / 1e9:.0f} GFLOP/s of a large matrix product"
                f"{' in ' + found['precision'] if 'precision' in found else ''}"
            )


def memory(ways: Lines) -> Table:
    (ours,) = (way["peak"] for way in ways if way["way"] == OURS)
    columns = [
        Column("way", "way", words=True),
        Column("peak", "peak memory, GB", lambda v: f"{v / 1e9:.2f}"),
        Column("ratio", "beside loraexp", times),
        Column("first", "first step after, s", lambda v: f"{v:.1f}"),
    ]
    return Table(columns, [[w["way"], w["peak"], w["peak"] / ours, w["first_step"]] for w in ways])


def whole(starts: Lines) -> Table:
    columns = [
        Column("what", "from Enter to the end", words=True),
        Column("seconds", "s", lambda v: f"{v:.2f}"),
    ]
    return Table(columns, [[line["what"], line["seconds"]] for line in starts])


def sweep(found: Mapping[str, Any]) -> Table:
    """A whole sweep in several ways: the least seconds of each, beside one run after another."""
    columns = [
        Column("way", "way", words=True),
        Column("seconds", "s", lambda v: f"{v:.0f}"),
        Column("ratio", "beside one after another", times),
    ]
    least = {way: min(seconds) for way, seconds in found["seconds"].items()}
    alone = least["one after another"]
    return Table(columns, [[way, taken, taken / alone] for way, taken in least.items()])


def cluster(found: Mapping[str, Any]) -> Table:
    """A simulated sweep a row."""
    columns = [
        Column("disk", "disk", lambda factor: f"{factor:g} x"),
        Column("way", "process", words=True),
        Column("workers", "workers"),
        Column("makespan", "hours", hours),
        Column("ideal", "ideal", hours),
        Column("efficiency", "efficiency", lambda share: f"{share:.0%}"),
        Column("folder", "folder op/s", lambda v: f"{v:,.0f}"),
        Column("limit", "lost to", words=True),
    ]
    rows = [
        [
            *(line["factor"], one_does(line), line["workers"], line["makespan"], line["ideal"]),
            *(line["efficiency"], line["operations_per_second"], line["limit"]),
        ]
        for line in found["lines"]
    ]
    return Table(columns, rows)


def cluster_check(found: Mapping[str, Any]) -> Table:
    """A simulated sweep beside the real one, a row."""
    columns = [
        Column("way", "process", words=True),
        Column("told", "read from"),
        Column("jobs", "jobs"),
        Column("simulated", "simulated s", lambda v: f"{v:.1f}"),
        Column("measured", "measured s", lambda v: f"{v:.1f}"),
        Column("off", "off", lambda v: f"{v:+.1%}"),
    ]
    rows = [
        [
            *(one_does(line), line["told"], line["jobs"], line["simulated"], line["measured"]),
            line["simulated"] / line["measured"] - 1,
        ]
        for line in found["lines"]
    ]
    return Table(columns, rows)


def one_does(line: Mapping[str, Any]) -> str:
    what = "job" if line["width"] == 1 else "pack"
    return f"1 {what}" if line["fresh"] else f"many {what}s"


def hours(seconds: float) -> str:
    return f"{seconds / 3600:.3g}"


def verbs(found: Lines) -> Table:
    columns = [
        Column("verb", "verb", words=True),
        Column("help", "--help, s", lambda v: f"{v:.2f}"),
        Column("job", "smallest job, s", lambda v: f"{v:.2f}"),
    ]
    return Table(columns, [[verb["verb"], verb["help"], verb["job"]] for verb in found])


def precision(arms: Lines) -> Table:
    known = {column.name: column for column in FIGURES}
    words = Column("trainer.precision", "precision", words=True)
    names = ("trainable", "seeds", "validation", "test", "deviation", "over_seeds", "over_texts")
    columns = [words, *(known[name] for name in (*names, "p", "verdict"))]
    rows = [[arm[column.name] for column in columns] for arm in arms]
    return Table(columns, [[tuple(c) if isinstance(c, list) else c for c in row] for row in rows])


STEP = ("model", "length", "batch", "texts_per_second", "tokens_per_second")
BESIDE = ("length", "batch", "loraexp", *PEERS, "ratio")
FROZEN = ("method", "computed_anew", "kept", "ratio")
MANY_RUNS = ("what", "runs", "which", "seconds", "processor_s", "gigabytes", "megabytes")
STREAM = ("texts", "seconds", "texts_per_second", "peak_MB")


def plain(lines: Lines, keys: Sequence[str]) -> Table:
    """Of lines of numbers, each to three digits or so."""
    columns = [
        Column(key, key.replace("_", " "), shown, words=key in ("model", "method", "what", "which"))
        for key in keys
    ]
    return Table(columns, [[line.get(key, "") for key in keys] for line in lines])


def shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if value % 1 == 0 else f"{value:,.{1 if value >= 10 else 2}f}"


def merged(speed: Mapping[str, Mapping[str, float]]) -> Table:
    columns = [
        Column("way", "way", words=True),
        Column("texts_per_second", "texts/s", lambda v: f"{v:.1f}"),
        Column("ratio", "time beside the base", lambda v: f"{v:.3f} x"),
    ]
    rows = [[way, found["texts_per_second"], found["ratio"]] for way, found in speed.items()]
    return Table(columns, rows)


def many(memory: Lines) -> Table:
    columns = [
        Column("adapters", "adapters"),
        Column("bytes", "MB", lambda v: f"{v / 1e6:.1f}"),
        Column("ratio", "beside the base alone", lambda v: f"{v:.3f} x"),
    ]
    return Table(columns, [[line["adapters"], line["bytes"], line["ratio"]] for line in memory])


def worth(lines: Lines) -> Table:
    """Of a base, by what is trained on it."""
    columns = [
        Column("arm", "arm", words=True),
        Column("lr", "rate", lambda v: f"{v:g}"),
        Column("trainable", "trainable"),
        Column("accuracy", "test", lambda v: f"{v:.2%}"),
        Column("interval", "95 % over 5 seeds", words=True),
    ]
    return Table(columns, [[line[column.name] for column in columns] for line in lines])


METHOD = ("method", "trainable", "in peft", "merged in peft", "merged", "mixed batch")


def methods(lines: Lines) -> Table:
    columns = [Column(key, key, words=key != "trainable") for key in METHOD]
    return Table(columns, [[line[key] for key in METHOD] for line in lines])


def method_costs(lines: Lines) -> Table:
    """Bytes and seconds a step of each method, beside lora in the same rounds."""
    columns = [
        Column("method", "method", words=True),
        Column("trainable", "trainable"),
        Column("state_bytes", "grads + optimizer", size),
        Column("peak_bytes", "peak", size),
        Column("seconds", "ms a step", lambda v: f"{1000 * v:.0f}"),
        Column("beside_lora", "beside lora", times),
    ]
    return Table(columns, [[line[column.name] for column in columns] for line in lines])


def planned(lines: Lines) -> Table:
    """What was planned beside what it took: seconds, peak of a process, bytes that are left."""

    def off(line: Mapping[str, Any], what: str) -> float:
        return float(line["planned"][what] / line["took"][what] - 1)

    def signed(share: float) -> str:
        return f"{100 * share:+.0f}%"

    columns = [
        Column("case", "sweep", words=True),
        Column("runs", "runs"),
        Column("planned", "planned, s", lambda v: f"{v:.0f}"),
        Column("took", "took, s", lambda v: f"{v:.0f}"),
        Column("time", "off", signed),
        Column("peak", "peak, GB", lambda v: f"{v / 1e9:.2f}"),
        Column("memory", "off", signed),
        Column("disk", "disk, MB", lambda v: f"{v / 1e6:.1f}"),
        Column("bytes", "off", signed),
    ]
    rows = [
        [
            *(line["case"], line["runs"], line["planned"]["seconds"], line["took"]["seconds"]),
            *(off(line, "seconds"), line["took"]["peak"], off(line, "peak")),
            *(line["took"]["disk"], off(line, "disk")),
        ]
        for line in lines
    ]
    return Table(columns, rows)
