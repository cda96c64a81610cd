"""Does a quirk explain attention's loss? `python experiments/seminar/quirks.py outputs`.

Quirk A: attention over a block of 8 positions with its padding unmasked. Quirk B: `<sos>` is the first word to
predict. Takes the runs that `make seminar quirks` left under the folders given, all at one epoch, and writes
beside this file, and between the README's markers:

quirks.csv: losses with each quirk on and off, as mean ± sd over seeds.
differences.csv: what each change does, as the mean over seeds of the difference within a seed, with its 95 %
interval.
"""

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from tables import run, shown, write

from seq2seq_lab.compare.runs import Run, common_root, find, read
from seq2seq_lab.compare.statistics import Difference, Estimate, paired_difference

EPOCH = 20  # attention's loss is the higher one from here on
LOSS = "train/loss"
METRICS = {LOSS: 4, "train/loss_forced": 2, "train/exact_match": 2}  # and digits


class Condition(NamedTuple):
    """A cell of the study; plain seq2seq has no quirk A."""

    model: str
    a: bool
    b: bool

    @property
    def quirks(self) -> str:
        names = [name for name, on in zip("AB", (self.a, self.b), strict=True) if on]
        return " + ".join(names) or "none"

    def __str__(self) -> str:
        return f"{self.model}, {self.quirks}"


PLAIN, PLAIN_SOUND = (Condition("seq2seq", a=False, b=b) for b in (True, False))
BOTH, ONLY_A, ONLY_B, SOUND = (
    Condition("attention", a=a, b=b) for a, b in ((True, True), (True, False), (False, True), (False, False))
)
COMPARED = (
    (BOTH, ONLY_B),
    (ONLY_A, SOUND),
    (BOTH, ONLY_A),
    (ONLY_B, SOUND),
    (PLAIN, PLAIN_SOUND),
    (PLAIN, BOTH),
    (PLAIN, ONLY_B),
    (PLAIN_SOUND, ONLY_A),
    (PLAIN_SOUND, SOUND),
)


def condition_of(run: Run) -> Condition | None:
    """The cell that a run belongs to; None for one that is not of the study."""
    models = {"seminar/seq2seq_mixed": "seq2seq", "seminar/attention_mixed": "attention"}
    model = models.get(str(run.config["name"]))
    if model is None or EPOCH not in run.curves.get(LOSS, {}):
        return None
    unmasked = run.config["model"].get("unmasked_positions") is not None
    return Condition(model, a=unmasked, b=run.config["loader"]["predict_sos"])


def cell(condition: Condition, runs: dict[int, Run]) -> dict[str, str]:
    """A row of quirks.csv."""
    estimates = {
        metric: Estimate.of([run.curves[metric][EPOCH] for run in runs.values()]) for metric in METRICS
    }
    return {
        "model": condition.model,
        "quirks": condition.quirks,
        **{f"{metric}, epoch {EPOCH}": shown(estimates[metric], METRICS[metric]) for metric in METRICS},
        "seeds": ", ".join(map(str, sorted(runs))),
    }


def interval(difference: Difference) -> str:
    """Mean and interval."""
    return f"{difference.mean:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}]"


def verdict(difference: Difference) -> str:
    """The interval in a word."""
    if not difference.told:
        return "cannot be told"
    return "higher" if difference.mean > 0 else "lower"


def main(folders: list[str]) -> None:
    """Write both tables."""
    paths = [Path(folder) for folder in folders]
    cells: dict[Condition, dict[int, Run]] = defaultdict(dict)
    for folder in find(paths)[0]:
        run = read(folder, common_root(paths))
        if (condition := condition_of(run)) and run.seed is not None:
            cells[condition][run.seed] = run
    write(
        [
            cell(condition, cells[condition])
            for condition in (PLAIN, PLAIN_SOUND, BOTH, ONLY_A, ONLY_B, SOUND)
        ],
        "quirks",
    )
    rows = []
    for first, second in COMPARED:
        by_seed = [
            {seed: run.curves[LOSS][EPOCH] for seed, run in cells[condition].items()}
            for condition in (first, second)
        ]
        difference = paired_difference(*by_seed)
        rows.append(
            {
                "from": str(first),
                "to": str(second),
                f"difference of {LOSS}, epoch {EPOCH}": interval(difference),
                "": verdict(difference),
                "seeds": str(difference.n),
            }
        )
    write(rows, "differences")


if __name__ == "__main__":
    run(main)
