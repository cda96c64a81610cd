"""Does a quirk explain attention's loss? `python -m experiments.seminar.quirks outputs`.

Quirk A: attention over a block of 8 positions with its padding unmasked. Quirk B: `<sos>` is the first word to
predict. Takes the runs that `make quirks` left under the folders given, all at one epoch, and writes
beside this file, and between the README's markers:

quirks.csv: losses with each quirk on and off, as mean ± sd over seeds, and seed by seed.
differences.csv: what each change does, with its 95 % interval: paired by seed within an architecture, by Welch's test
between the two.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from experiments.seminar.conditions import STUDY, quirks_of
from experiments.tables import run, shown, write
from seq2seq_lab.compare.statistics import Difference, Estimate, paired_difference, welch_difference
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs.find import common_root, find
from seq2seq_lab.runs.run import Run

EPOCH = 20  # attention's loss is the higher one from here on
LOSS = "train/loss"
BySeed = dict[int, float]
METRICS = {LOSS: 4, "train/loss_forced": 2, "train/exact_match": 2}  # and digits


class Condition(NamedTuple):
    """A cell of the study; plain seq2seq has no quirk A."""

    model: str
    quirks: str

    def __str__(self) -> str:
        return ", ".join(self)


PLAIN, PLAIN_SOUND = Condition("seq2seq", "B"), Condition("seq2seq", "none")
BOTH, ONLY_A, ONLY_B, SOUND = (Condition("attention", quirks) for quirks in ("A + B", "A", "B", "none"))
COMPARED = (
    (BOTH, ONLY_B),
    (ONLY_A, SOUND),
    (BOTH, ONLY_A),
    (ONLY_B, SOUND),
    (BOTH, SOUND),
    (PLAIN, PLAIN_SOUND),
    (PLAIN, BOTH),
    (PLAIN_SOUND, SOUND),
)


def condition_of(run: Run) -> Condition | None:
    """The cell that a run belongs to; None for one that is not of the study."""
    models = {"seminar/seq2seq_mixed": "seq2seq", "seminar/attention_mixed": "attention"}
    model = models.get(str(run.config()["name"]))
    if model is None or EPOCH not in run.curves().get(LOSS, {}):
        return None
    return Condition(model, quirks_of(run.config()))


def cell(condition: Condition, runs: dict[int, Run]) -> dict[str, str]:
    """A row of quirks.csv."""
    estimates = {
        metric: Estimate.of([run.curves()[metric][EPOCH] for run in runs.values()]) for metric in METRICS
    }
    return {
        "model": condition.model,
        "quirks": condition.quirks,
        **{f"{metric}, epoch {EPOCH}": shown(estimates[metric], METRICS[metric]) for metric in METRICS},
        f"{LOSS} by seed": ", ".join(
            f"{seed}: {runs[seed].curves()[LOSS][EPOCH]:.4f}" for seed in sorted(runs)
        ),
    }


def interval(difference: Difference) -> str:
    """Mean and interval; the mean alone where there is no interval."""
    mean, low, high = (
        round(each, 4) + 0.0 for each in (difference.mean, difference.low, difference.high)
    )  # no -0
    return f"{mean:+.4f}" if math.isnan(low) else f"{mean:+.4f} [{low:+.4f}, {high:+.4f}]"


def verdict(difference: Difference) -> str:
    """The interval in a word."""
    if difference.without_variation:
        return "no variation"
    if not difference.excludes_zero:
        return "not distinguishable"
    return "higher" if difference.mean > 0 else "lower"


def excess(first: BySeed, second: BySeed) -> BySeed:
    """Second minus first, seed by seed."""
    return {seed: second[seed] - first[seed] for seed in first.keys() & second.keys()}


def row(start: str, end: str, first: BySeed, second: BySeed, *, paired: bool) -> dict[str, str]:
    """A row of differences.csv."""
    if paired:
        difference = paired_difference(first, second)
    else:
        difference = welch_difference(list(first.values()), list(second.values()))
    return {
        "from": start,
        "to": end,
        f"difference of {LOSS}, epoch {EPOCH}": interval(difference),
        "": verdict(difference),
        "test": difference.method,
        "seeds": difference.seeds,
    }


def difference_rows(losses: Mapping[Condition, BySeed]) -> list[dict[str, str]]:
    """The rows of differences.csv.

    Runs of one model and seed start from the same weights, as neither quirk changes their shapes; those of two models
    share nothing. In the last row, what both quirks do to a model is paired by seed, and compared between the models.
    """
    rows = [
        row(str(first), str(second), losses[first], losses[second], paired=first.model == second.model)
        for first, second in COMPARED
        if losses[first].keys() & losses[second].keys()
    ]
    effects = [excess(losses[PLAIN], losses[PLAIN_SOUND]), excess(losses[BOTH], losses[SOUND])]
    last = "seq2seq, none − B", "attention, none − (A + B)"
    return [*rows, row(*last, *effects, paired=False)]


def main(folders: list[str]) -> None:
    """Write both tables."""
    if not folders:
        raise UserError("usage: quirks OUTPUTS …")
    paths = [Path(folder) for folder in folders]
    root = common_root(paths)
    cells: dict[Condition, dict[int, Run]] = defaultdict(dict)
    for folder in find(paths)[0]:
        run = Run(folder, name=folder.relative_to(root).as_posix())
        condition = condition_of(run)
        if condition is None or run.seed is None:
            continue
        if (other := cells[condition].setdefault(run.seed, run)) is not run:
            raise UserError(
                f"{other.folder} and {run.folder}: both are {condition} with seed {run.seed}; name folders that "
                "hold the study's runs alone"
            )
    conditions = (PLAIN, PLAIN_SOUND, BOTH, ONLY_A, ONLY_B, SOUND)
    write(
        [cell(condition, cells[condition]) for condition in conditions if condition in cells], "quirks", STUDY
    )
    losses = {
        condition: {seed: run.curves()[LOSS][EPOCH] for seed, run in cells[condition].items()}
        for condition in conditions
    }
    write(difference_rows(losses), "differences", STUDY)


if __name__ == "__main__":
    run(main)
