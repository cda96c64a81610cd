"""What was said of the sounds before their runs, tested: `python -m experiments.exposure_bias.planned`.

From sounds_runs.csv and sounds_wrong.csv. Writes sounds-planned.csv (a row a method), over_methods.csv (a row a task
that is there) and methods.csv (the settings of each) with their tables in README.md.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean, median

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from experiments.exposure_bias.plan import FEWEST, METHODS, TASKS
from experiments.exposure_bias.quality import STUDY, by_method
from experiments.tables import Row, read_csv, run, with_interval, write
from seq2seq_lab.compare.statistics import (
    ALPHA,
    Difference,
    detectable,
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


def over_methods(rows: Mapping[str, Sequence[Row]]) -> list[Row]:
    """For each task, what its methods say together.

    Spearman's ρ over methods of the mean exposure gap and the mean quality, of the seeds that all have; and the true
    difference from full forcing that a test finds with a probability of 0.8, alone and with Holm's correction. A method
    with few seeds is left out.
    """
    found = []
    for name, measured in rows.items():
        quality = TASKS[name].quality.removeprefix("test/")
        gaps, qualities = (
            {method: its for method, its in by_method(measured, column).items() if len(its) >= FEWEST}
            for column in ("exposure_gap", quality)
        )
        common = set.intersection(*(set(its) for its in qualities.values()))
        means = [[fmean(its[seed] for seed in common) for its in each.values()] for each in (gaps, qualities)]
        rho, p = spearmanr(*means)
        full, *others = qualities
        tests = [paired_difference(qualities[full], qualities[other]) for other in others]
        alone, of_all = median(detectable([each]) for each in tests), detectable(tests)
        found.append(
            {
                "task": name,
                "quality": quality,
                "methods": str(len(gaps)),
                "seeds": str(len(common)),
                "ρ of exposure gap and quality": f"{rho:.2f}",
                "p": f"{p:.3f}",
                "detectable": f"{of_all:.{TASKS[name].measures[TASKS[name].quality]}f}",
                "detectable by one test": f"{alone:.{TASKS[name].measures[TASKS[name].quality]}f}",
            }
        )
    return found


def settings_of_methods() -> list[Row]:
    """A row a method: what it adds to the preset of a task on the command line."""
    return [
        {"method": method, "settings": " ".join(f"`{key}={value}`" for key, value in settings.items())}
        for method, settings in METHODS.items()
    ]


def main(arguments: list[str]) -> None:
    """Write the tables."""
    if arguments:
        raise UserError("usage: planned")
    write(settings_of_methods(), "methods", STUDY)
    names = [name for name, task in TASKS.items() if not task.start and (STUDY / f"{name}_runs.csv").exists()]
    write(over_methods({name: read_csv(f"{name}_runs", STUDY) for name in names}), "over_methods", STUDY)
    write(table(read_csv(f"{TASK}_runs", STUDY), read_wrong(TASK)), f"{TASK}-planned", STUDY)


if __name__ == "__main__":
    run(main)
