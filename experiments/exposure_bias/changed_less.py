"""Does what loses less from trained weights change less? `python -m experiments.exposure_bias.changed_less`.

From the TASK_runs.csv files of parts 2 and 4. Writes TASK-less.csv, a row a method that feeds other words than gold
ones, and its table in README.md, for each task of part 4 all of whose methods were run.
"""

from collections.abc import Mapping
from pathlib import Path

from scipy.stats import spearmanr

from experiments.exposure_bias.plan import TASKS
from experiments.exposure_bias.quality import STUDY, by_method
from experiments.tables import Row, read_csv, run, write
from seq2seq_lab.compare.statistics import paired_difference
from seq2seq_lab.errors import UserError

GAP = "exposure_gap"


def table(task: str, folder: Path) -> list[Row]:
    """A row a method, and Spearman's ρ over them; none before all methods were run.

    A difference is that from full forcing of the same part, a mean over the seeds of both. What is left of the change
    of the exposure gap is the difference in part 4 as a share of that in part 2; of the qualities, both are subtracted.
    """
    methods = [method for method, each in TASKS[task].methods.items() if each["forcing"] != "full"]
    quality, digits = next(iter(TASKS[task].measures.items()))
    column = quality.removeprefix("test/")
    here, before = (differences(name, column, folder) for name in (task, TASKS[task].start))
    if not here.keys() & before.keys() >= {*methods}:
        return []
    left = {method: here[method][GAP] / before[method][GAP] for method in methods}
    less = {method: here[method][column] - before[method][column] for method in methods}
    rho, p = spearmanr([left[method] for method in methods], [less[method] for method in methods])
    rows = [
        {
            "method": method,
            "gap, part 2": f"{before[method][GAP]:+.3f}",
            "gap, part 4": f"{here[method][GAP]:+.3f}",
            "left": f"{left[method]:.2f}",
            f"{column}, part 4 less part 2": f"{less[method]:+.{digits}f}",
        }
        for method in sorted(methods, key=left.__getitem__)
    ]
    return [
        *rows,
        dict.fromkeys(rows[0], "")
        | {"method": "Spearman's ρ", "left": f"{rho:.2f}", [*rows[0]][-1]: f"p = {p:.3f}"},
    ]


def differences(task: str, quality: str, folder: Path) -> Mapping[str, Mapping[str, float]]:
    """Method → column → its mean difference from full forcing; empty where the task has no runs."""
    if not (folder / f"{task}_runs.csv").exists():
        return {}
    rows = read_csv(f"{task}_runs", folder)
    values = {column: by_method(rows, column) for column in (GAP, quality)}
    return {
        method: {column: paired_difference(its["full"], its[method]).mean for column, its in values.items()}
        for method in values[quality]
        if method != "full"
    }


def main(arguments: list[str]) -> None:
    """Write the tables."""
    if arguments:
        raise UserError("usage: changed_less")
    for name in (each for each, task in TASKS.items() if task.start):
        if rows := table(name, STUDY):
            write(rows, f"{name}-less", STUDY)


if __name__ == "__main__":
    run(main)
