"""Write this study's table and plots from its runs: `python experiments/seminar/report.py outputs/seminar`.

Beside this file: losses.csv (published, ours as mean ± sd over seeds, how many standard deviations the published
value lies from our mean, and whether it could be one of our runs, at epochs 5 … 40), curves.png and curves.svg.
README.md takes the table in between its markers. The comparison itself, with translations, stays beside the runs.
"""

import math
import shutil
from pathlib import Path

from tables import STUDY, run, shown, write

from seq2seq_lab.compare import compare
from seq2seq_lab.compare.comparison import Comparison
from seq2seq_lab.compare.published import experiment_of, published
from seq2seq_lab.compare.statistics import Estimate, student_t_quantile

AFTERWARDS = (
    "train/loss_forced",
    "train/exact_match",
    "perf/epoch_seconds",
)  # of the model that an epoch leaves


def rows(comparison: Comparison) -> list[dict[str, str]]:
    """A row an epoch and experiment."""
    found = []
    for group in sorted(
        comparison.groups, key=lambda group: list(published()).index(experiment_of(group) or "")
    ):
        experiment = experiment_of(group) or ""
        others = {metric: group.curve(metric) for metric in AFTERWARDS}
        curve = group.curve("train/loss")
        for epoch, value in published()[experiment].items():
            if epoch in curve:
                ours = curve[epoch]
                found.append(
                    {
                        "experiment": experiment.removeprefix("seminar/"),
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


def as_one_of(ours: Estimate, value: float) -> str:
    """Whether a value lies in the 95 % prediction interval of one run more: mean ± t · sd · √(1 + 1/n)."""
    if ours.n < 2:
        return ""
    half = student_t_quantile(0.95, ours.n - 1) * ours.sd * math.sqrt(1 + 1 / ours.n)
    return "yes" if abs(value - ours.mean) <= half else "no"


def main(folders: list[str]) -> None:
    """Compare the runs and write the study's files."""
    comparison = compare([Path(folder) for folder in folders], metrics=["train/loss", *AFTERWARDS])
    write(rows(comparison), "losses")
    for name in ("curves.png", "curves.svg"):
        shutil.copyfile(comparison.output / name, STUDY / name)


if __name__ == "__main__":
    run(main)
