"""Does what loses less from trained weights change less? `python -m experiments.exposure_bias.changed_less`.

From the TASK_runs.csv files of parts 2 and 4. Writes TASK-less.csv, a row a method with other forcing than full, and
TASK-less-together.csv, and their tables in continued.md, for each task of part 4 all of whose methods were run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scipy.stats import spearmanr

from experiments.exposure_bias.plan import TASKS
from experiments.exposure_bias.quality import STUDY, by_method
from experiments.tables import Row, read_csv, run, write
from seq2seq_lab.compare.statistics import paired_difference
from seq2seq_lab.errors import UserError

GAP = "exposure_gap"


@dataclass(frozen=True)
class Change:
    """What a method changes in a task of part 4, and in that of part 2: differences from full forcing of the same task.

    Attributes:
        gap_before, gap: of the exposure gap, in part 2 and in part 4.
        gained: of the quality, that in part 4 less that in part 2.
    """

    gap_before: float
    gap: float
    gained: float

    @property
    def left(self) -> float:
        """What is left of the change of the exposure gap, as a share."""
        return self.gap / self.gap_before


def changes(task: str, folder: Path) -> dict[str, Change]:
    """Method → what it changes, those first that have the least left; none before all methods were run."""
    methods = [method for method, each in TASKS[task].methods.items() if each["forcing"] != "full"]
    quality = TASKS[task].quality.removeprefix("test/")
    here, before = (differences(name, quality, folder) for name in (task, TASKS[task].start))
    if not here.keys() & before.keys() >= {*methods}:
        return {}
    found = {
        method: Change(
            before[method][GAP], here[method][GAP], here[method][quality] - before[method][quality]
        )
        for method in methods
    }
    return dict(sorted(found.items(), key=lambda each: each[1].left))


def table(found: Mapping[str, Change], task: str) -> list[Row]:
    """A row a method."""
    quality, digits = next(iter(TASKS[task].measures.items()))
    return [
        {
            "method": method,
            "gap, part 2": f"{each.gap_before:+.3f}",
            "gap, part 4": f"{each.gap:+.3f}",
            "left": f"{each.left:.2f}",
            f"{quality.removeprefix('test/')}, part 4 less part 2": f"{each.gained:+.{digits}f}",
        }
        for method, each in found.items()
    ]


def together(found: Mapping[str, Change]) -> list[Row]:
    """Spearman's ρ over methods of what is left and of what is gained."""
    rho, p = spearmanr([each.left for each in found.values()], [each.gained for each in found.values()])
    return [{"methods": str(len(found)), "ρ": f"{rho:.2f}", "p": f"{p:.3f}"}]


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
        if found := changes(name, STUDY):
            write(table(found, name), f"{name}-less", STUDY)
            write(together(found), f"{name}-less-together", STUDY)


if __name__ == "__main__":
    run(main)
