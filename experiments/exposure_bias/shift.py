"""What does a method lose on other sentences? `python -m experiments.exposure_bias.shift TASK outputs`.

After `make exposure-quality TASK=…`, whose runs it evaluates on pairs that their corpus lacks; what was evaluated is
not evaluated again. The task `corrected` has the runs with attention of `make corrected` in their place. Adds its runs
to TASK-shift_runs.csv (a row a run and kind of pairs), and writes TASK-shift.csv with its table on a page. Without a
folder, the table is made from the first file alone.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.exposure_bias.plan import OF_SEMINAR, OF_SENTENCES, TASKS, Task
from experiments.exposure_bias.quality import STUDY, Chosen, add, by_method, evaluated, with_values
from experiments.forcing_ratio.report import sorted_policies
from experiments.tables import Row, paired_differences, read_csv, run, shown, with_star, write
from seq2seq_lab.compare.comparison import gather
from seq2seq_lab.compare.statistics import Estimate, holm, paired_difference
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs.evaluate import Corpora, Request
from seq2seq_lab.runs.run import Run

OWN = "test"
CORRECTED = Task(preset="", rates=(), measures=OF_SENTENCES, as_good=1, shifts=OF_SEMINAR)
MOST = 2000  # pairs of another kind, at equal distances


def tasks() -> dict[str, Task]:
    """The tasks whose runs are evaluated on other pairs."""
    return {name: task for name, task in TASKS.items() if task.shifts} | {"corrected": CORRECTED}


def of_corrected(folder: Path) -> Chosen:
    """The runs with attention of the study of forcing ratios, with the policies that version 0.3 corrected.

    Raises:
        UserError: there are none.
    """
    groups = gather([folder / "forcing_ratio"]).groups
    policies = sorted_policies(groups, ("forcing_ratio/attention",)).get("attention")
    if not policies:
        raise UserError(f"no finished run of forcing_ratio/attention in {folder}; run `make corrected`")
    return {
        name: {each.seed: each for each in group.runs if each.seed is not None}
        for name, group in policies.items()
    }


def measured(runs: Chosen, task: Task) -> list[Row]:
    """A row for each run and kind of pairs: its quality there."""
    corpora, found = Corpora(), list[Row]()
    quality = task.quality.removeprefix(f"{OWN}/")
    for method, of_method in runs.items():
        for seed, each in of_method.items():
            for kind, data in task.shifts.items():
                request = Request(part=kind, data=data, max_pairs=MOST)
                each = with_values(each, [f"{kind}/{quality}"], request, corpora)
            for kind in (OWN, *task.shifts):
                row = {"pairs": kind, "method": method, "seed": str(seed)}
                found.append(row | _values(each, kind, quality))
    return found


def _values(each: Run, kind: str, quality: str) -> Row:
    """On all pairs, and on `other` ones: those without a training pair within one word on both sides."""
    part = each.evaluations[kind]
    near = part.analyses["by_near_duplicates"]
    groups = zip(near["group"], near["sentences"], near[quality], strict=True)
    count, value = next(((n, value) for group, n, value in groups if group == "others"), (0, float("nan")))
    return {
        "n": str(sum(near["sentences"])),
        quality: f"{part.measures[quality]:.6g}",
        "other n": str(count),
        f"other {quality}": f"{value:.6g}",
    }


def table(rows: Sequence[Row], task: Task) -> list[Row]:
    """A row for each kind of pairs and method: its quality, what it loses to the test part, and that on other pairs.

    Each is beside its difference from full forcing, paired by seed; Holm's correction is over the methods of a column
    and a kind, and for the p-value of the quality over the methods of all kinds.
    """
    quality, found = task.quality.removeprefix(f"{OWN}/"), []
    p = _over_all_kinds(rows, quality)
    own = by_method([row for row in rows if row["pairs"] == OWN], quality)
    for kind in (OWN, *task.shifts):
        of_kind = [row for row in rows if row["pairs"] == kind]
        values = by_method(of_kind, quality)
        columns = {
            quality: values,
            "loss": {
                m: {seed: own[m][seed] - value for seed, value in its.items()} for m, its in values.items()
            },
            f"other {quality}": by_method(of_kind, f"other {quality}"),
        }
        cells = {name: _cells(name, its, task) for name, its in columns.items()}
        for method, its in values.items():
            row = {"pairs": kind, "method": method, "seeds": str(len(its)), "n": _counts(of_kind, "n")}
            row |= cells[quality][method] | {"p, all kinds": p.get((kind, method), "")}
            row |= cells["loss"][method] | {"other n": _counts(of_kind, "other n")}
            found.append(row | cells[f"other {quality}"][method])
    return found


def _over_all_kinds(rows: Sequence[Row], quality: str) -> dict[tuple[str, str], str]:
    """Kind and method → p-value of the difference from full forcing, corrected for all methods of all kinds."""
    found = {}
    for kind in dict.fromkeys(row["pairs"] for row in rows):
        full, *others = by_method([row for row in rows if row["pairs"] == kind], quality).items()
        found |= {(kind, method): paired_difference(full[1], its).p for method, its in others}
    return {key: f"{p:.3f}" for key, p in zip(found, holm([*found.values()]), strict=True)}


def _counts(rows: Sequence[Row], column: str) -> str:
    """The number of pairs; of several splits, the least and the greatest one."""
    found = [int(row[column]) for row in rows]
    return str(min(found)) if min(found) == max(found) else f"{min(found)}–{max(found)}"


def _cells(name: str, values: Mapping[str, Mapping[int, float]], task: Task) -> dict[str, Row]:
    """Method → its value, and its difference from full forcing."""
    digits, against = task.measures[task.quality], paired_differences(values, task.quality)
    return {
        method: {
            name: shown(Estimate.of([*its.values()]), digits),
            f"{name} − full": with_star(*against[method], digits) if method in against else "",
        }
        for method, its in values.items()
    }


def main(arguments: list[str]) -> None:
    """Evaluate and report a task."""
    known = tasks()
    if len(arguments) not in (1, 2) or arguments[0] not in known:
        raise UserError(f"usage: shift {'|'.join(known)} [OUTPUTS]")
    name, task = arguments[0], known[arguments[0]]
    if task.kept and len(arguments) > 1:
        raise UserError(f"{name}: its runs are of earlier settings; `shift {name}` makes its table again")
    for folder in map(Path, arguments[1:]):
        runs = of_corrected(folder) if task is CORRECTED else evaluated(name, folder)
        add(measured(runs, task), f"{name}-shift_runs", "pairs")
    write(table(read_csv(f"{name}-shift_runs", STUDY), task), f"{name}-shift", STUDY)


if __name__ == "__main__":
    run(main)
