"""What was said of some runs before they were trained, tested: `python -m experiments.exposure_bias.planned`.

From the CSV files of the runs that are there. Writes NAME-planned.csv for each plan, a row a method, and its table in
README.md.
"""

from collections.abc import Mapping
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from experiments.exposure_bias.expected import BETTER, PLANS, WORSE, Plan
from experiments.exposure_bias.plan import TASKS, Task
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
from seq2seq_lab.evaluation.measures import measure

DRAWS = 10_000
Values = Mapping[str, Mapping[int, float]]  # method → seed → quality
Wrong = Mapping[
    str, Mapping[int, NDArray[np.float64]]
]  # method → seed → 1 for each output with an error, else 0


def table(values: Values, plan: Plan, wrong: Wrong | None = None) -> list[Row]:
    """A row for each method, by the seeds that all methods of the family have; a method that lacks one has no row."""
    task = TASKS[plan.task]
    digits = task.measures[task.quality]
    named = plan.expected or values  # where nothing is expected, all methods
    seeds = set.intersection(*(set(values.get(method, {})) for method in (plan.against, *named)))
    baseline = {seed: value for seed, value in values[plan.against].items() if seed in seeds}
    found = {
        method: paired_difference(baseline, its)
        for method, its in values.items()
        if (plan.others or method in plan.expected)
        and method != plan.against
        and seeds
        and its.keys() >= seeds
    }
    expected = [method for method in plan.expected if method in found]
    p = dict(zip(expected, holm([found[method].p for method in expected]), strict=True))
    rows = []
    for method, each in found.items():
        low, high = interval(each, 0.9)
        row = {"method": method, "expected": plan.expected.get(method, "")}
        row |= {plan.compared: with_interval(each, digits), "seeds": str(each.n)}
        row |= {"p (Holm, family)": f"{p[method]:.3f}" if method in p else ""}
        row |= {"verdict": _verdict(plan, method, each, p[method]) if method in p else ""}
        if p_over_splits := over_splits(baseline, values[method], task):
            row["p over splits"] = p_over_splits
        row |= {"90 %": f"[{low:+.{digits}f}, {high:+.{digits}f}]"}
        row |= {"as good": "yes" if max(abs(low), abs(high)) < task.as_good else "no"}
        if wrong is not None:
            first, second = ({seed: wrong[name][seed] for seed in seeds} for name in (plan.against, method))
            low, high = crossed(first, second)
            row["over seeds and words"] = f"[{low:+.{digits}f}, {high:+.{digits}f}]"
        rows.append(row)
    return rows


def _verdict(plan: Plan, method: str, difference: Difference, p: float) -> str:
    lower = measure(TASKS[plan.task].quality).better == "lower"
    way = BETTER if (difference.mean < 0) == lower else WORSE
    if not p < ALPHA:
        return "not seen"
    return "as expected" if way == plan.expected[method] else f"{way}, against what was expected"


def over_splits(first: Mapping[int, float], second: Mapping[int, float], task: Task) -> str:
    """The p-value of the same difference where the runs of one split are one value, their mean; empty where a task has
    one split. Runs that share a test part are not independent."""
    splits = {task.split(seed) for seed in first}
    if len(splits) < 2:
        return ""
    of_first, of_second = (
        {split: fmean(its[seed] for seed in first if task.split(seed) == split) for split in splits}
        for its in (first, second)
    )
    return f"{paired_difference(of_first, of_second).p:.3f}"


def interval(difference: Difference, share: float) -> tuple[float, float]:
    """The interval of Student's t that has the mean difference with some probability."""
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


def read_values(task: str, pairs: str) -> Values:
    """The qualities of a task's runs on some pairs, as in `Plan.pairs`; none where there is no file of them."""
    runs = f"{task}-shift_runs" if pairs else f"{task}_runs"
    if not (STUDY / f"{runs}.csv").exists():
        return {}
    rows = [row for row in read_csv(runs, STUDY) if row.get("pairs", "") == pairs]
    return by_method(rows, TASKS[task].quality.removeprefix("test/"))


def _beyond(values: Values, start: Values) -> Values:
    return {
        method: {seed: value - start[method][seed] for seed, value in its.items() if seed in start[method]}
        for method, its in values.items()
        if method in start
    }


def tables() -> dict[str, list[Row]]:
    """Plan → its table, of the plans whose runs are there with a method of theirs."""
    found = {}
    for name, plan in PLANS.items():
        values = read_values(plan.task, plan.pairs)
        if plan.beyond:
            values = _beyond(values, read_values(plan.beyond, plan.pairs))
        of_items = not plan.beyond and (STUDY / f"{plan.task}_wrong.csv").exists()
        wrong = read_wrong(plan.task) if of_items else None
        if plan.against in values and (of_plan := table(values, plan, wrong)):
            found[name] = of_plan
    return found


def main(arguments: list[str]) -> None:
    """Write the tables."""
    if arguments:
        raise UserError("usage: planned")
    for name, rows in tables().items():
        write(rows, f"{name}-planned", STUDY)


if __name__ == "__main__":
    run(main)
