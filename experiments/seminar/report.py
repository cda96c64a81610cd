"""Write this study's table and plots from its runs: `python experiments/seminar/report.py outputs/seminar`.

Beside this file: losses.csv (published, ours as mean ± sd over seeds, and how many standard deviations the
published value lies from our mean, at epochs 5 … 40), curves.png and curves.svg.
README.md takes the table in between its markers. The comparison itself, with translations, stays beside the runs.
"""

import shutil
import sys
from pathlib import Path

from tables import STUDY, shown, write

from seq2seq_lab.compare import compare
from seq2seq_lab.compare.comparison import Comparison
from seq2seq_lab.compare.published import experiment_of, published

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
                        **{metric: shown(others[metric].get(epoch), 2) for metric in AFTERWARDS},
                    }
                )
    return found


def main(folders: list[str]) -> None:
    """Compare the runs and write the study's files."""
    comparison = compare([Path(folder) for folder in folders], metrics=["train/loss", *AFTERWARDS])
    write(rows(comparison), "losses")
    for name in ("curves.png", "curves.svg"):
        shutil.copyfile(comparison.output / name, STUDY / name)


if __name__ == "__main__":
    main(sys.argv[1:])
