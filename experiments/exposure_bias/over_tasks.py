"""The methods and the tasks of parts 2 to 4 together: `python -m experiments.exposure_bias.over_tasks`.

From the TASK_runs.csv files that are there. Writes over_tasks.csv (a row a method) and over_methods.csv (a row a task),
and their tables in README.md.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, median

from scipy.stats import spearmanr

from experiments.exposure_bias.plan import FEWEST, NO_OWN_WORDS, TASKS, Task
from experiments.exposure_bias.quality import STUDY, by_method
from experiments.tables import Row, read_csv, run, write
from seq2seq_lab.compare.statistics import detectable, paired_difference
from seq2seq_lab.compare.tasks import (
    Interval,
    interquartile_mean,
    normalised,
    probability_of_improvement,
    with_interval,
)
from seq2seq_lab.errors import UserError
from seq2seq_lab.evaluation.measures import measure

PART_2 = ("sentences", "sounds")
ORDERED = 4  # methods whose order says something


def table(rows: Mapping[str, Sequence[Row]]) -> list[Row]:
    """A row for each method that all tasks have with some seeds, from task → a row a run.

    Raises:
        UserError: there are not two tasks, or they share no method beside full forcing.
    """
    qualities = [TASKS[name].quality for name in rows]
    raw = [
        by_method(of_task, quality.removeprefix("test/"))
        for of_task, quality in zip(rows.values(), qualities, strict=True)
    ]
    common = [
        method
        for method in (raw[0] if raw else ())
        if all(len(each.get(method, {})) >= FEWEST for each in raw)
    ]
    if len(raw) < 2 or len(common) < 2:
        raise UserError("nothing is compared over tasks: two tasks with two methods each are needed")
    of_common = [
        centred({method: each[method] for method in common}, TASKS[name])
        for name, each in zip(rows, raw, strict=True)
    ]
    normal = [
        normalised(each, lower=measure(quality).better == "lower")
        for each, quality in zip(of_common, qualities, strict=True)
    ]
    scores = {method: [each[method] for each in normal] for method in common}
    return [
        {
            "method": method,
            "tasks": ", ".join(rows),
            "runs": ", ".join(str(len(each)) for each in its),
            "IQM": _shown(with_interval(interquartile_mean, its)),
            "P(better than full)": ""
            if method == "full"
            else _shown(with_interval(probability_of_improvement, its, scores["full"])),
        }
        for method, its in scores.items()
    ]


def tables(rows: Mapping[str, Sequence[Row]]) -> dict[str, list[Row]]:
    """The tasks of part 2, which have all methods; and those of part 3 with them, whose methods are fewer."""
    from_random_weights = [name for name in rows if not TASKS[name].start and not TASKS[name].kept]
    found = {"over_tasks": [name for name in from_random_weights if name in PART_2]}
    if len(from_random_weights) > len(PART_2):
        found["over_all_tasks"] = from_random_weights
    return {each: table({name: rows[name] for name in names}) for each, names in found.items()}


def centred(values: Mapping[str, Mapping[int, float]], task: Task) -> dict[str, list[float]]:
    """Method → its values over the seeds that all methods have; each split has the same mean over methods.

    Splits differ by more than methods do, and the comparisons over tasks do not pair runs.
    """
    seeds = [seed for seed in task.seeds if all(seed in its for its in values.values())]
    means = {
        split: fmean(its[seed] for its in values.values() for seed in seeds if task.split(seed) == split)
        for split in {task.split(seed) for seed in seeds}
    }
    shift = {split: fmean(means.values()) - mean for split, mean in means.items()}
    return {method: [its[seed] + shift[task.split(seed)] for seed in seeds] for method, its in values.items()}


def over_methods(rows: Mapping[str, Sequence[Row]]) -> list[Row]:
    """For each task, what its methods say together.

    Spearman's ρ over methods of the mean exposure gap and the mean quality, of the seeds that all have, also without
    the methods that feed own words, as the gap says most of all how many of these are fed; and the true difference from
    full forcing that a test finds with a probability of 0.8, alone and with Holm's correction. A method with few seeds
    is left out.
    """
    found = []
    for name, measured in rows.items():
        quality = TASKS[name].quality.removeprefix("test/")
        gaps, qualities = (
            {method: its for method, its in by_method(measured, column).items() if len(its) >= FEWEST}
            for column in ("exposure_gap", quality)
        )
        common = set.intersection(*(set(its) for its in qualities.values()))
        means = {
            method: (fmean(gaps[method][seed] for seed in common), fmean(its[seed] for seed in common))
            for method, its in qualities.items()
        }
        rho, p = _rank_correlation([*means.values()])
        rho_without, p_without = _rank_correlation([means[each] for each in means if each in NO_OWN_WORDS])
        full, *others = qualities
        tests = [paired_difference(qualities[full], qualities[other]) for other in others]
        alone, of_all = median(detectable([each]) for each in tests), detectable(tests)
        found.append(
            {
                "task": name,
                "quality": quality,
                "methods": str(len(gaps)),
                "seeds": str(len(common)),
                "ρ of exposure gap and quality": rho,
                "p": p,
                "ρ without own words": rho_without,
                "its p": p_without,
                "detectable": f"{of_all:.{TASKS[name].measures[TASKS[name].quality]}f}",
                "detectable by one test": f"{alone:.{TASKS[name].measures[TASKS[name].quality]}f}",
            }
        )
    return found


def _rank_correlation(points: Sequence[tuple[float, float]]) -> tuple[str, str]:
    """Spearman's ρ and its p-value; of few points, which any order may have by chance, nothing."""
    if len(points) < ORDERED:
        return "", ""
    rho, p = spearmanr(*zip(*points, strict=True))
    return f"{rho:.2f}", f"{p:.3f}"


def _shown(found: Interval) -> str:
    interval = "" if math.isnan(found.low) else f" [{found.low:.2f}, {found.high:.2f}]"
    return f"{found.value:.2f}{interval}"


def rows_of_tasks() -> dict[str, list[Row]]:
    """Task → a row a run, of the tasks whose runs are there."""
    return {name: read_csv(f"{name}_runs", STUDY) for name in TASKS if (STUDY / f"{name}_runs.csv").exists()}


def main(arguments: list[str]) -> None:
    """Write the tables."""
    if arguments:
        raise UserError("usage: over_tasks")
    rows = rows_of_tasks()
    write(over_methods(rows), "over_methods", STUDY)
    for name, its in tables(rows).items():
        write(its, name, STUDY)


if __name__ == "__main__":
    run(main)
