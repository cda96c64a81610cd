"""What was said of the sounds before their runs, tested: `python -m experiments.exposure_bias.planned`.

From sounds_runs.csv and sounds_wrong.csv. Writes sounds-planned.csv, a row a method, and its table in README.md.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from experiments.exposure_bias.quality import STUDY, by_method
from experiments.tables import Row, read_csv, run, with_interval, write
from seq2seq_lab.compare.statistics import (
    ALPHA,
    Difference,
    holm,
    paired_difference,
    student_t_quantile,
)
from seq2seq_lab.errors import UserError

TASK = "sounds"
EXPECTED = {
    "RAML": "fewer errors",
    "R-Drop": "fewer errors",
    "free": "more errors",
    "two-pass": "more errors",
}
AS_GOOD = 0.01  # a 90 % interval within this on both sides of 0
DRAWS = 10_000
Wrong = Mapping[
    str, Mapping[int, NDArray[np.float64]]
]  # method → seed → 1 for each output with an error, else 0


def table(measured: Sequence[Row], wrong: Wrong) -> list[Row]:
    """A row for each method that has as many seeds as full forcing."""
    values = by_method(measured, "sequence_error_rate")
    full = values["full"]
    found = {
        method: paired_difference(full, its)
        for method, its in values.items()
        if method != "full" and its.keys() == full.keys()
    }
    expected = [method for method in EXPECTED if method in found]
    p = dict(zip(expected, holm([found[method].p for method in expected]), strict=True))
    return [
        {
            "method": method,
            "expected": EXPECTED.get(method, ""),
            "difference": with_interval(each, 4),
            "p (Holm, four)": f"{p[method]:.3f}" if method in p else "",
            "verdict": _verdict(method, each, p.get(method)),
            "90 %": "[{:+.4f}, {:+.4f}]".format(*_interval(each, 0.9)),
            "as good": "yes" if max(map(abs, _interval(each, 0.9))) < AS_GOOD else "no",
            "over seeds and words": "[{:+.4f}, {:+.4f}]".format(*crossed(wrong["full"], wrong[method])),
        }
        for method, each in found.items()
    ]


def _verdict(method: str, difference: Difference, p: float | None) -> str:
    if p is None:
        return ""
    way = "fewer errors" if difference.mean < 0 else "more errors"
    if p >= ALPHA:
        return "not seen"
    return "as expected" if way == EXPECTED[method] else f"{way}, against what was expected"


def _interval(difference: Difference, share: float) -> tuple[float, float]:
    half = student_t_quantile(share, difference.df) * difference.error
    return difference.mean - half, difference.mean + half


def crossed(
    first: Mapping[int, NDArray[np.float64]], second: Mapping[int, NDArray[np.float64]]
) -> tuple[float, float]:
    """The 95 % percentile interval of the difference of two shares, where seeds and items are both drawn anew.

    Args:
        first, second: seed → value of each item; the same seeds and items.
    """
    differences = np.stack([second[seed] - first[seed] for seed in first])
    seeds, items = differences.shape
    random = np.random.default_rng(0)
    of_seeds = random.multinomial(seeds, np.full(seeds, 1 / seeds), size=DRAWS)
    of_items = random.multinomial(items, np.full(items, 1 / items), size=DRAWS)
    drawn = ((of_seeds @ differences) * of_items).sum(axis=1) / (seeds * items)
    low, high = np.quantile(drawn, (ALPHA / 2, 1 - ALPHA / 2))
    return float(low), float(high)


def read_wrong(task: str) -> Wrong:
    """What `quality report` wrote of each output."""
    found: dict[str, dict[int, NDArray[np.float64]]] = {}
    for row in read_csv(f"{task}_wrong", STUDY):
        found.setdefault(row["method"], {})[int(row["seed"])] = np.array([*map(float, row["wrong"])])
    return found


def main(arguments: list[str]) -> None:
    """Write the table."""
    if arguments:
        raise UserError("usage: planned")
    write(table(read_csv(f"{TASK}_runs", STUDY), read_wrong(TASK)), f"{TASK}-planned", STUDY)


if __name__ == "__main__":
    run(main)
