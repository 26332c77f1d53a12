"""`make pages`: write every table of docs/ anew, from what the benchmarks stored.

A table stands between `<!-- made: NAME -->` and `<!-- end -->`; none is typed.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import drawn
import regret_page

from loraexp.adapters.methods import METHODS
from loraexp.commands.params import ParamsConfig, params_table
from loraexp.records.record import Record, read_file
from loraexp.results.ledger import BRIEF, PUBLISHED, SMS, ledger_table
from loraexp.results.tables import Column, Table, to_markdown, to_terminal
from loraexp.runtime.escape import markdown_safe
from loraexp.tools.peft.to_peft import WRITERS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
RESULTS = Path(__file__).parent / "results"
BUSY = 3.0  # load of a machine of 2 cores that somebody else uses as well
MADE = re.compile(r"(<!-- made: (\w+) -->\n).*?(<!-- end -->)", re.S)


def stored(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def listing(*lines: str) -> str:
    return "\n".join(["```text", *lines, "```"])


def text(*tables: Table) -> str:
    """Tables as a terminal shows them."""
    return listing(*"\n\n".join(map(to_terminal, tables)).splitlines())


def demo() -> str:
    found = stored("demo")
    table = listing(*found["table"], "", *found["answer"])
    return f"{table}\n\nThat took {found['seconds']:.0f} seconds ({found['device']})."


def ladder() -> str:
    """Four commands and what they say."""
    found = stored("ladder")
    (typed, said), slurm, status = found["steps"].items()
    short = [re.sub(r"[:;] .*", "", line) for line in said if line[0] != " "]
    here = "train lora.rank=4,8,16 -m                # here: the table above", []
    steps = [(typed, short), here, slurm, status]
    lines = [line for typed, said in steps for line in (f"$ python -m loraexp {typed}", *said)]
    busy = f" that others used as well, a load of {found['load']:.0f}"
    return (
        f"{listing(*lines)}\n\n`plan` on {found['device']}{busy * (found['load'] > BUSY)}; of "
        "SLURM there were stand-ins."
    )


def whole_sweep() -> str:
    parts = []
    for found in map(stored, ("sweep", "sweep-fp32", "sweep-zen4")):
        what = f"{found['runs']} runs of `nano` on the real messages, {found['precision']}"
        parts.append(f"{what} ({found['device']}; `make bench-sweep`):")
        parts.append(text(drawn.sweep(found)))
    parts.append(
        "One after another, all train texts are measured at the end, as before; else a sample."
    )
    return "\n\n".join(parts)


def cluster() -> str:
    found = stored("cluster")
    typed, took = found["typed"], found["measured"]["seconds"]
    return "\n\n".join(
        [
            f"{typed['jobs']:,} jobs of {took['job']:.1f} s, {took['packed']:.1f} s in a pack of "
            f"{max(line['width'] for line in found['lines'])}; a process starts in "
            f"{took['start']:.1f} s; {typed['failures']:g} failures of a node an hour, each of "
            f"{typed['repair']:.0f} s and what it had in hand ({found['device']}; "
            "`make simulate`):",
            text(drawn.cluster(found)),
        ]
    )


def cluster_check() -> str:
    found = stored("cluster_check")
    what = (
        f"Two workers of one machine ({found['device']}); what a start, a job and the command "
        "around them take was read from a sweep of fewer"
    )
    most = max(abs(line["simulated"] / line["measured"] - 1) for line in found["lines"])
    return f"{what}. It is off by {most:.0%} at most:\n\n{text(drawn.cluster_check(found))}"


def many_runs() -> str:
    found = stored("many_runs")
    busy = f"; others used it as well, a load of up to {max(found['load']):.0f}"
    what = "Many runs, before each was sped up and now, measured once"
    table = text(drawn.plain(found["lines"], drawn.MANY_RUNS))
    return f"{what} ({found['device']}{busy * (max(found['load']) > BUSY)}):\n\n{table}"


def planned() -> str:
    found = stored("planned")
    what = f"Sweeps of `nano`, {found['precision']} ({found['device']}; `make bench-plan`):"
    load = max(load for line in found["lines"] for load in line["load"])
    busy = (
        f"Others used the machine meanwhile (a load of up to {load:.0f}): the seconds, planned and "
        "taken, are those of that moment."
    )
    table = text(drawn.planned(found["lines"]))
    return f"{what}\n\n{table}" + f"\n\n{busy}" * (load > BUSY)


def sheet() -> str:
    found = stored("sheet")
    return listing(f"$ python -m loraexp {found['typed']}", *found["said"])


def rank_sweep() -> str:
    found = stored("tuning")["tuned"]
    return listing(*found["table"], *found["notes"])


def tuned_beside_grid() -> str:
    found = stored("tuning")
    verdicts = [[row.split()[-1] for row in found[way]["table"]] for way in ("tuned", "grid")]
    same = "the same verdict" if verdicts[0] == verdicts[1] else "another verdict"
    grid, device = len(found["rates_of_the_grid"]), found["device"]
    return (
        f"Of `rank_sweep` it took {found['ratio']:.2f} of the processor's time of a full grid of "
        f"{grid}\nrates, and came to {same} on every rank ({device}, one of them used;\n"
        "`make bench-tuning`)."
    )


def kinds() -> str:
    lines = ["| method | what trains | in peft |", "|:--|:--|:--|"]
    for name, row in METHODS.items():
        peft = row.peft if row.peft in WRITERS else "merged only" if row.branch else "no adapter"
        lines.append(f"| `{name}` | {markdown_safe(row.summary)} | {peft} |")
    return "\n".join(lines)


def method_costs() -> str:
    found = stored("method_costs")
    what = f"{found['device']} (`make bench-methods`):"
    return f"{what}\n\n{text(drawn.method_costs(found['lines']))}"


def inspected() -> str:
    found = stored("inspected")
    return listing(*found["typed"], "", *found["table"])


def parameters() -> str:
    return text(params_table(ParamsConfig(models=["gpt2", "gpt2-large"], ranks=[4, 8, 16])))


def speed() -> str:
    (found,) = stored("epyc-2-cores")["compared"]
    table = to_terminal(drawn.speed(found["measured"])).splitlines()
    return listing(*table, "", *drawn.roofs(found))


def frozen_and_streams() -> str:
    found = stored("epyc-2-cores-scale")
    pairs = (("frozen", drawn.FROZEN), ("streams", drawn.STREAM))
    return text(*(drawn.plain(found[name], keys) for name, keys in pairs))


def serving() -> str:
    found = stored("serving")
    return text(drawn.merged(found["speed"]), drawn.many(found["memory"]))


def worth() -> str:
    lines = stored("base")["lines"]
    return to_markdown(
        drawn.worth([line for line in lines if line["data"] == "sms_spam, book split"])
    )


def published() -> str:
    """The rows that have records; the others are not run."""
    kept: dict[str, list[Record]] = {name: [] for name in PUBLISHED}
    for file in sorted((RESULTS / "ledger").glob("*.json")):
        kept[file.name.rpartition("-seed")[0]].append(read_file(file))
    table = ledger_table(kept, dict.fromkeys(PUBLISHED, "")).only(BRIEF)
    return text(Table(table.columns, [row for row in table.rows if kept[str(row[0])]]))


def without_network() -> str:
    found = stored("lines")
    parts = [f"{found['device']}; `make bench-lines`:"]
    for name, what in (
        ("sms", "The real messages, LoRA of rank 8 on `nano`:"),
        ("banking77", "banking77, 77 classes, LoRA of rank 16 on `nano`:"),
    ):
        parts += [what, listing(*found[name]["table"], "", *found[name]["last"])]
    return "\n\n".join(parts)


def of_rates(name: str) -> Callable[[], str]:
    """A sweep's table, and what the guard says of it."""

    def made() -> str:
        found = stored("lines")[name]
        why = ["Not evidence of which is better, because", *(f"- {r}" for r in found["reasons"])]
        return listing(*found["table"], "", *(why if found["reasons"] else [found["answer"]]))

    return made


def waiting() -> str:
    """The rows that are not of the SMS texts: what is published, of how many texts, and where."""
    columns = [
        Column("row", "row", words=True),
        Column("what", "what", words=True),
        Column("test", "published"),
        Column("n", "texts"),
        Column("recipe", "recipe", words=True),
        Column("source", "source", words=True),
    ]
    rows = [
        [
            *(name, row.what, f"{row.scores[2]:.{row.digits}f}", row.sizes["test"]),
            *(f"experiment={row.recipes}/{name}", row.source),
        ]
        for name, row in PUBLISHED.items()
        if row.sizes != SMS
    ]
    return to_markdown(Table(columns, rows))


def cost(part: str, draw: Callable[[Any], Table]) -> Callable[[], str]:
    return lambda: text(draw(stored("epyc-2-cores-cost")[part]))


def scale(part: str, keys: tuple[str, ...]) -> Callable[[], str]:
    return lambda: text(drawn.plain(stored("epyc-2-cores-scale")[part], keys))


def regrets() -> dict[str, Any]:
    """By data set."""
    files = sorted((RESULTS / "regret").glob("*.json"))
    return {file.stem: stored(f"regret/{file.stem}") for file in files}


TABLES: dict[str, Callable[[], str]] = {
    "demo": demo,
    "ladder": ladder,
    "whole_sweep": whole_sweep,
    "cluster": cluster,
    "cluster_check": cluster_check,
    "many_runs": many_runs,
    "planned": planned,
    "sheet": sheet,
    "rank_sweep": rank_sweep,
    "tuned_beside_grid": tuned_beside_grid,
    "kinds": kinds,
    "methods": lambda: text(drawn.methods(stored("methods"))),
    "method_costs": method_costs,
    "inspected": inspected,
    "parameters": parameters,
    "speed": speed,
    "memory": cost("ways", drawn.memory),
    "whole": cost("starts", drawn.whole),
    "verbs": cost("verbs", drawn.verbs),
    "precision": lambda: text(drawn.precision(stored("epyc-2-cores-precision")["arms"])),
    "steps": scale("steps", drawn.STEP),
    "beside_peft": scale("beside", drawn.BESIDE),
    "frozen_and_streams": frozen_and_streams,
    "serving": serving,
    "worth": worth,
    "regret": lambda: regret_page.page(regrets()),
    "regret_rules": lambda: regret_page.rules(regrets()),
    "regret_quantities": lambda: to_markdown(regret_page.quantities(regrets())),
    "published": published,
    "waiting": waiting,
    "without_network": without_network,
    "shared_rate": of_rates("shared_rate"),
    "tuned_rates": of_rates("tuned_rates"),
}


def filled(page: str) -> str:
    """The page with its tables made anew."""
    return MADE.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n\n{found[3]}", page)


def main() -> None:
    for page in (ROOT / "README.md", *sorted(DOCS.glob("*.md"))):
        before = page.read_text(encoding="utf-8")
        if (after := filled(before)) != before:
            page.write_text(after, encoding="utf-8")
            print(f"wrote {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
