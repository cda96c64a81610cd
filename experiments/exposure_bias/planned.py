"""What was said of some runs before they were trained, tested: `python -m experiments.exposure_bias.planned`.

From the CSV files of the runs that are there. Writes NAME-planned.csv for each plan, a row a method, and its table in
README.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.exposure_bias.plan import TASKS
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

BETTER, WORSE = "better", "worse"
DRAWS = 10_000
Values = Mapping[str, Mapping[int, float]]  # method → seed → quality
Wrong = Mapping[
    str, Mapping[int, NDArray[np.float64]]
]  # method → seed → 1 for each output with an error, else 0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What was expected of methods, one family of tests with Holm's correction.

    Attributes:
        task: the task of `plan.TASKS` whose runs they are.
        expected: method → `BETTER` or `WORSE`.
        as_good: a method is as good where the 90 % interval of its difference lies within this on both sides of 0.
        others: the methods that are not expected to differ have a row too, as each may be as good.
        pairs: the pairs of TASK-shift_runs.csv that are translated; by default, the test part.
        against: the method that the others are compared with.
        beyond: a task with the same methods and seeds: what is compared is what a run has more than the one there, so
            that the difference of two methods is that of their differences in both tasks.
    """

    task: str
    expected: Mapping[str, str]
    as_good: float
    others: bool = False
    pairs: str = ""
    against: str = "full"
    beyond: str = ""

    @property
    def compared(self) -> str:
        """What the column of the differences is called."""
        return "difference of both differences" if self.beyond else f"difference from {self.against}"


OF_FOUR = {"RAML": BETTER, "R-Drop": BETTER, "free": WORSE, "two-pass": WORSE}
OF_REWARD = {"smoothing": BETTER, "self-critical": BETTER}
OF_OWN_WORDS = dict.fromkeys(("free", "optimal-completion", "confidence", "mixed", "two-pass"), BETTER)
PLANS = {
    "sounds": Plan(task="sounds", expected=OF_FOUR, as_good=0.01, others=True),
    "sentences": Plan(task="sentences", expected=OF_FOUR, as_good=1, others=True),
    "sentences-longer": Plan(
        task="sentences",
        pairs="longer",
        expected={"R-Drop": BETTER, "free": WORSE, "confidence": WORSE},
        as_good=1,
        others=True,
    ),
    "sentences-control": Plan(task="sentences", against="smoothing", expected={"R-Drop": BETTER}, as_good=1),
    "sentences-longer-control": Plan(
        task="sentences", pairs="longer", against="smoothing", expected={"R-Drop": BETTER}, as_good=1
    ),
    "sentences-others": Plan(
        task="sentences", expected={"confidence-soft": BETTER, "optimal-completion": WORSE}, as_good=1
    ),
    "sentences-longer-others": Plan(
        task="sentences",
        pairs="longer",
        expected=dict.fromkeys(
            ("mixed", "scheduled-down", "scheduled-up", "uniform", "optimal-completion"), WORSE
        ),
        as_good=1,
    ),
    "sentences-longer-curricula": Plan(
        task="sentences",
        pairs="longer",
        against="scheduled-up",
        expected={"scheduled-down": BETTER},
        as_good=1,
    ),
    "sentences-continued": Plan(
        task="sentences-continued",
        expected=OF_REWARD | {"free": WORSE, "optimal-completion": WORSE},
        as_good=1,
        others=True,
    ),
    "sentences-continued-longer": Plan(
        task="sentences-continued",
        pairs="longer",
        expected=OF_REWARD | {"R-Drop": BETTER, "free": WORSE, "optimal-completion": WORSE},
        as_good=1,
        others=True,
    ),
    "sentences-continued-control": Plan(
        task="sentences-continued", against="constant-reward", expected={"self-critical": BETTER}, as_good=1
    ),
    "sentences-continued-longer-control": Plan(
        task="sentences-continued",
        pairs="longer",
        against="constant-reward",
        expected={"self-critical": BETTER},
        as_good=1,
    ),
    "sentences-continued-beyond": Plan(
        task="sentences-continued", beyond="sentences", expected=OF_OWN_WORDS, as_good=1
    ),
    "sentences-continued-longer-beyond": Plan(
        task="sentences-continued",
        beyond="sentences",
        pairs="longer",
        expected=OF_OWN_WORDS,
        as_good=1,
    ),
    # Looked at afterwards: the same hypothesis with other runs of part 2, by whose results no method was chosen.
    "sentences-continued-beyond-first": Plan(
        task="sentences-continued",
        beyond="sentences-first",
        expected=OF_OWN_WORDS | dict.fromkeys(("scheduled-down", "uniform"), BETTER),
        as_good=1,
    ),
    "sentences-continued-others": Plan(
        task="sentences-continued",
        expected=dict.fromkeys(("scheduled-down", "confidence-soft"), WORSE),
        as_good=1,
    ),
    "sentences-continued-longer-others": Plan(
        task="sentences-continued",
        pairs="longer",
        expected={"scheduled-down": WORSE, "RAML": BETTER, "teacher": BETTER},
        as_good=1,
    ),
    "sentences-continued-longer-curricula": Plan(
        task="sentences-continued",
        pairs="longer",
        against="scheduled-up",
        expected={"scheduled-down": WORSE},
        as_good=1,
    ),
    "sentences-continued-others-beyond": Plan(
        task="sentences-continued",
        beyond="sentences",
        expected=dict.fromkeys(("scheduled-down", "uniform", "confidence-soft"), BETTER),
        as_good=1,
    ),
    "transformer": Plan(
        task="transformer",
        expected={"smoothing": BETTER, "mixed": WORSE},
        as_good=1,
        others=True,
    ),
    "transformer-longer": Plan(
        task="transformer",
        pairs="longer",
        expected={"smoothing": BETTER, "mixed": WORSE},
        as_good=1,
        others=True,
    ),
    "transformer-beyond": Plan(task="transformer", beyond="sentences", expected={}, as_good=1, others=True),
    "transformer-longer-beyond": Plan(
        task="transformer", beyond="sentences", pairs="longer", expected={}, as_good=1, others=True
    ),
}


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
        row |= {"90 %": f"[{low:+.{digits}f}, {high:+.{digits}f}]"}
        row |= {"as good": "yes" if max(abs(low), abs(high)) < plan.as_good else "no"}
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
