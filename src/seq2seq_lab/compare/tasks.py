"""Methods compared over several tasks (Agarwal et al. 2021, https://arxiv.org/abs/2108.13264).

Raw scores of different tasks are never averaged: a score is first normalised within its task. Over all runs and tasks
stand the interquartile mean and, for each method, the probability that its run is better than one of the reference
method. Intervals are those of a bootstrap that draws the runs of each task anew.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seq2seq_lab.compare.comparable import incomparable
from seq2seq_lab.compare.corpora import by_corpus
from seq2seq_lab.compare.grouping import Group
from seq2seq_lab.compare.naming import ABSENT, differing, told_apart
from seq2seq_lab.compare.presentation import listed, method
from seq2seq_lab.compare.statistics import ALPHA
from seq2seq_lab.evaluation.measures import TEST

SAMPLES = 5000  # of the bootstrap
_REFERENCE = "full"  # the option of `forcing` that is the reference method
DIVERGED = -1.0  # worse than every run that did not; in a mean it counts as 0
_TRIMMED = 0.25  # the share of the runs that an interquartile mean leaves out at either end
Floats = NDArray[np.float64]
Scores = Sequence[
    Floats
]  # of one method: for each task, those of its n runs, [..., n], a row for each sample
WHAT = (
    "Raw scores of different tasks are not averaged. Each score is normalised within its task: 0 is the worst run of "
    "all methods on it, 1 the best; a run that diverged is 0. IQM: interquartile mean, over the middle half of all "
    "runs and tasks. P(better): the probability that a run of the method is better than one of the reference method, "
    f"the mean over tasks. In brackets: 95 % intervals of a bootstrap of {SAMPLES:,} samples, which draws the runs of "
    "each task."
)


@dataclass(frozen=True)
class Interval:
    """A value and its 95 % interval, NaN where a task has one run alone."""

    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class Method:
    """A method over all tasks.

    Attributes:
        name: its settings.
        runs: the number of runs on each task.
        iqm: interquartile mean of its normalised scores.
        better: the probability of improvement over the reference method; None for that method.
    """

    name: str
    runs: Sequence[int]
    iqm: Interval
    better: Interval | None


@dataclass(frozen=True)
class OverTasks:
    """The methods of all tasks, in one metric.

    Attributes:
        tasks: their names.
        reference: the name of the reference method.
    """

    metric: str
    tasks: Sequence[str]
    reference: str
    methods: Sequence[Method]


def over_tasks(
    groups: Sequence[Group], metrics: Sequence[str], baselines: Sequence[Group] = ()
) -> tuple[list[OverTasks], list[str]]:
    """Compare the methods that have runs on every corpus; also returns notes.

    A method is what tells the groups of one corpus apart. Each corpus is a task.

    Args:
        metrics: those to show. Those of the test part are compared, if there are any, else all; only those with a
            better direction that every task has.
        baselines: the groups of the reference method, where it is given: on every corpus the same one. Else it is the
            first method under full forcing, else the first one; if others were given, a note says so.
    """
    corpora = by_corpus(groups)
    if len(corpora) < 2:
        return [], []
    names = list(corpora)
    methods, notes = [], list[str]()
    for corpus, of_task in corpora.items():
        named = _by_method([group for group in of_task if group.runs])
        if alike := [name for name, its in named.items() if len(its) > 1]:
            notes.append(
                f"not compared over tasks, as several groups of {corpus} are called so: {listed(alike)}"
            )
        methods.append({name: its[0] for name, its in named.items() if len(its) == 1})
    common = [name for name in methods[0] if all(name in each for each in methods)]
    if len(common) < 2:
        return [], [
            *notes,
            "there are several corpora, but not two methods with runs on each of them: nothing is compared over tasks",
        ]
    others = list(dict.fromkeys(name for each in methods for name in each if name not in common))
    notes += [f"not compared over tasks, as not every task has it: {'; '.join(others)}"] if others else []
    table = [{name: each[name] for name in common} for each in methods]
    notes += _unlike(dict(zip(names, table, strict=True)))
    tested = [metric for metric in metrics if metric.startswith(f"{TEST}/")]
    given = list(dict.fromkeys(map(method, baselines)))
    reference = given[0] if len(given) == 1 and given[0] in common else _reference(table)
    if given and given != [reference]:
        notes.append(
            f"the baseline ({listed(given)}) is not one method that every task has: over tasks, the reference method "
            f"is {reference}; it may be {listed(common)}"
        )
    found = []
    for metric in tested or metrics:
        if next(iter(table[0].values())).measure(metric).better is None:
            continue
        if missing := _without(metric, names, table):
            notes.append(f"{metric} is not compared over tasks: {missing} has no value")
        elif not any(incomparable(list(each.values()), metric) for each in table):
            found.append(_compared(metric, names, table, reference))
    return found, notes


def _by_method(groups: Sequence[Group]) -> dict[str, list[Group]]:
    named: dict[str, list[Group]] = {}
    for each in groups:
        named.setdefault(method(each), []).append(each)
    return named


def _unlike(table: Mapping[str, Mapping[str, Group]]) -> list[str]:
    """A note for each method that is not the same on every task: in a key that is not the same for all of a task."""
    own = {key for each in table.values() for key in differing([group.config for group in each.values()])}
    notes = []
    for name in next(iter(table.values())):
        on_tasks = {task: each[name].config for task, each in table.items()}
        if keys := [key for key in differing(list(on_tasks.values())) if key in own]:
            shown = told_apart([{keys[0]: config.get(keys[0], ABSENT)} for config in on_tasks.values()])
            values = "; ".join(
                f"{text[keys[0]]} on {task}" for text, task in zip(shown, on_tasks, strict=True)
            )
            notes.append(f"over tasks, {name} is not one method: {keys[0]} is {values}")
    return notes


def _without(metric: str, tasks: Sequence[str], table: Sequence[Mapping[str, Group]]) -> str:
    """The methods of a task that lack a metric; empty if all have it."""
    for task, methods in zip(tasks, table, strict=True):
        if missing := [name for name, group in methods.items() if not group.by_seed(metric)]:
            return f"{listed(missing)} on {task}"
    return ""


def _compared(
    metric: str, tasks: Sequence[str], table: Sequence[Mapping[str, Group]], reference: str
) -> OverTasks:
    """One metric, which all methods have on each task."""
    better = next(iter(table[0].values())).measure(metric).better
    raw = [
        {
            name: [*group.by_seed(metric).values(), *[math.nan] * len(group.diverged)]
            for name, group in each.items()
        }
        for each in table
    ]
    normal = [normalised(each, lower=better == "lower") for each in raw]
    scores: dict[str, Scores] = {name: [each[name] for each in normal] for name in table[0]}
    methods = [
        Method(
            name,
            [len(each) for each in its],
            with_interval(interquartile_mean, its),
            None if name == reference else with_interval(probability_of_improvement, its, scores[reference]),
        )
        for name, its in scores.items()
    ]
    return OverTasks(metric, tasks, reference, methods)


def _reference(table: Sequence[Mapping[str, Group]]) -> str:
    """The first method under full forcing, else the first one."""
    first = table[0]
    return next(
        (name for name, each in first.items() if each.choices.get("forcing") == _REFERENCE), next(iter(first))
    )


def normalised(values: Mapping[str, Sequence[float]], *, lower: bool) -> dict[str, Floats]:
    """Scores between 0, the worst run of a task, and 1, its best; ½ if all are equal. One that diverged is below."""
    finite = [value for each in values.values() for value in each if math.isfinite(value)]
    least, most = min(finite, default=0.0), max(finite, default=0.0)

    def score(value: float) -> float:
        if not math.isfinite(value):
            return DIVERGED
        share = (value - least) / (most - least) if most > least else 0.5
        return 1 - share if lower else share

    return {name: np.array([score(value) for value in each]) for name, each in values.items()}


def interquartile_mean(scores: Scores) -> Floats:
    """The mean without the lowest and the highest quarter of all runs of all tasks, [...]."""
    every = np.sort(np.concatenate(scores, axis=-1), axis=-1).clip(min=0)
    cut = int(_TRIMMED * every.shape[-1])
    found: Floats = every[..., cut : every.shape[-1] - cut].mean(axis=-1)
    return found


def probability_of_improvement(first: Scores, second: Scores) -> Floats:
    """P(a run of the first method is better than one of the second), equal ones half; the mean over tasks, [...]."""
    signs = [
        np.sign(one[..., :, None] - other[..., None, :]).mean(axis=(-2, -1))
        for one, other in zip(first, second, strict=True)
    ]
    found: Floats = (1 + np.mean(signs, axis=0)) / 2
    return found


def with_interval(
    statistic: Callable[..., Floats], *several: Scores, samples: int = SAMPLES, seed: int = 0
) -> Interval:
    """A statistic of the scores of some methods, with its interval: the percentiles of a stratified bootstrap.

    Each sample has, for each method and task, as many runs as there are, drawn with replacement.
    """
    value = float(statistic(*several))
    if min(len(runs) for scores in several for runs in scores) < 2:
        return Interval(value)
    draw = np.random.default_rng(seed)
    drawn = [
        [runs[draw.integers(len(runs), size=(samples, len(runs)))] for runs in scores] for scores in several
    ]
    low, high = np.quantile(statistic(*drawn), [ALPHA / 2, 1 - ALPHA / 2])
    return Interval(value, float(low), float(high))
