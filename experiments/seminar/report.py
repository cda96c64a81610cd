"""Write this study's table and plots from its runs: `python -m experiments.seminar.report outputs/seminar`.

Beside this file: losses.csv (published, ours as mean ± sd over seeds, how many standard deviations the published
value lies from our mean, and whether it could be one of our runs, at epochs 5 … 40), curves.png and curves.svg.
README.md takes the table in between its markers. The comparison itself, with translations, stays beside the runs.
"""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path

from experiments.seminar.conditions import STUDY
from experiments.tables import by_name, run, shown, write
from seq2seq_lab.compare import compare
from seq2seq_lab.compare.comparison import Comparison
from seq2seq_lab.compare.grouping import Group
from seq2seq_lab.compare.statistics import Estimate, student_t_quantile
from seq2seq_lab.runs.reference import Reference, read_curves

AFTERWARDS = (
    "train/loss_forced",
    "train/exact_match",
    "perf/epoch_seconds",
)  # measured after an epoch's updates


def rows(comparison: Comparison, published: Sequence[Reference]) -> list[dict[str, str]]:
    """A row an epoch and experiment.

    Raises:
        UserError: two settings are called as one experiment.
    """
    found = []
    groups = by_name(comparison.groups, experiment_of)
    for reference in (each for each in published if each.name in groups):
        group = groups[reference.name]
        others = {metric: group.curve(metric) for metric in AFTERWARDS}
        curve = group.curve("train/loss")
        for epoch, value in reference.values.items():
            if epoch in curve:
                ours = curve[epoch]
                found.append(
                    {
                        "experiment": reference.name,
                        "epoch": str(epoch),
                        "published": f"{value:.4f}",
                        "train/loss": shown(ours, 4),
                        "n": str(ours.n),
                        "published, in sd": f"{(value - ours.mean) / ours.sd:+.1f}" if ours.n > 1 else "",
                        "as one of ours": as_one_of(ours, value),
                        **{metric: shown(others[metric].get(epoch), 2) for metric in AFTERWARDS},
                    }
                )
    return found


def experiment_of(group: Group) -> str:
    """The name of a group's experiment, as `seq2seq_full`."""
    return str((*group.runs, *group.others)[0].config()["name"]).removeprefix("seminar/")


def as_one_of(ours: Estimate, value: float) -> str:
    """Whether a value lies in the 95 % prediction interval of one run more: mean ± t · sd · √(1 + 1/n)."""
    if ours.n < 2:
        return ""
    half = student_t_quantile(0.95, ours.n - 1) * ours.sd * math.sqrt(1 + 1 / ours.n)
    return "yes" if abs(value - ours.mean) <= half else "no"


def main(folders: list[str]) -> None:
    """Compare the runs and write the study's files."""
    published = read_curves(STUDY / "published.csv", "train/loss")
    comparison = compare([Path(folder) for folder in folders], metrics=["train/loss", *AFTERWARDS])
    write(rows(comparison, published), "losses", STUDY)
    for name in ("curves.png", "curves.svg"):
        shutil.copyfile(comparison.output / name, STUDY / name)


if __name__ == "__main__":
    run(main)
