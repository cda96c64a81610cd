"""Which method translates better than full forcing? `python -m experiments.exposure_bias.quality train TASK outputs`.

`train` chooses the learning rate of each method with a seed that is not used afterwards, and trains its seeds; what is
finished is not trained again, so that a call goes on where the last one was stopped. `report`, after `seq2seq-lab
evaluate`, writes TASK_runs.csv (a row a run), TASK_rates.csv (the search), and TASK.csv with its table in README.md.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from experiments.tables import Row, differences, run, shown, with_interval, write, write_csv
from seq2seq_lab import sweep
from seq2seq_lab.compare.comparison import gather
from seq2seq_lab.compare.grouping import Group
from seq2seq_lab.compare.statistics import ALPHA
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs.run import Run

STUDY = Path(__file__).parent
SEARCH_SEED, SEEDS, JOBS = 100, range(6), 2
METHODS: dict[str, dict[str, Any]] = {
    "full": {"forcing": "full"},
    "free": {"forcing": "free"},
    "mixed": {"forcing": "mixed"},
    "scheduled down": {"forcing": "scheduled", "forcing.share": 0.5},
    "scheduled up": {"forcing": "scheduled", "forcing.share": 0.5, "forcing.start": 0.0, "forcing.end": 1.0},
    "two-pass": {"forcing": "two_pass"},
    "word dropout": {"forcing": "word_dropout"},
    "uniform": {"forcing": "uniform"},
    "confidence": {"forcing": "confidence"},
    "RAML": {"forcing": "full", "target": "reward_sampled"},
    "optimal completion": {"forcing": "free", "forcing/feeder": "sample", "target": "optimal_completion"},
    "R-Drop": {"forcing": "full", "objective": "r_drop"},
    "teacher": {"forcing": "mixed", "forcing/feeder": "sample", "target": "teacher"},
}


@dataclass(frozen=True)
class Task:
    """A task of the study.

    Attributes:
        rates: learning rates that are tried.
        measures: what is said of the test part → digits; the first one is the quality.
        files: the folder that an environment variable names → keys of files in it.
    """

    rates: Sequence[float]
    measures: Mapping[str, int]
    folder: str = ""
    files: Mapping[str, str] | None = None

    def settings(self, name: str) -> dict[str, Any]:
        """The settings that all of its runs share."""
        found: dict[str, Any] = {"experiment": f"exposure_bias/{name}"}
        if self.files:
            folder = os.environ.get(self.folder)
            if not folder:
                raise UserError(
                    f"{name}: set {self.folder} to the folder of {', '.join(self.files.values())}"
                )
            found |= {key: str(Path(folder) / file) for key, file in self.files.items()}
        return found


EXPOSURE = {"test/loss_forced": 3, "test/exposure_gap": 3, "test/recovery_second_best": 3}
TASKS = {
    "sounds": Task(
        rates=(0.0005, 0.001, 0.002),
        measures={"test/sequence_error_rate": 4, "test/symbol_error_rate": 4, **EXPOSURE},
        folder="G2P_FOLDER",
        files={"data.train": "fre_train.tsv", "data.validation": "fre_dev.tsv", "data.test": "fre_test.tsv"},
    ),
    "sentences": Task(
        rates=(0.0005, 0.001, 0.002),
        measures={"test/bleu": 2, "test/chrf": 2, "test/exact_match": 3, **EXPOSURE},
    ),
}


def train(name: str, folder: Path, methods: Sequence[str], **settings: Any) -> None:
    """Train the search of some methods, then the seeds of each with its learning rate.

    Args:
        settings: further ones of all runs; a test makes them small.
    """
    task = TASKS[name]
    each = {method: task.settings(name) | METHODS[method] | settings for method in methods}
    for method, common in each.items():
        common["name"] = f"exposure_bias/{name}/{method}"
        if method == "teacher":
            common["target.run"] = str(search(name, folder)["full"].folder)
    rates = {"optimizer.lr": list(task.rates), "seed": SEARCH_SEED}
    sweep([common | rates for common in each.values()], output_dir=folder, jobs=JOBS)
    best = search(name, folder)
    seeds = [
        common | {"optimizer.lr": best[method].config()["optimizer"]["lr"], "seed": SEEDS}
        for method, common in each.items()
    ]
    sweep(seeds, output_dir=folder, jobs=JOBS)


def groups_of(name: str, folder: Path) -> list[tuple[str, Group]]:
    """Method and group of the runs of a task."""
    prefix = f"exposure_bias/{name}/"
    found = []
    for group in gather([folder]).groups:
        method = str((*group.runs, *group.others)[0].config()["name"]).removeprefix(prefix)
        if group.runs and method in METHODS:
            found.append((method, group))
    return found


def search(name: str, folder: Path) -> dict[str, Run]:
    """Method → the run of the search with the best validation."""
    found: dict[str, tuple[float, Run]] = {}
    for method, group in groups_of(name, folder):
        for each in group.runs:
            value = _validation(each) if each.seed == SEARCH_SEED else None
            if value is not None and (method not in found or value > found[method][0]):
                found[method] = value, each
    return {method: each for method, (_, each) in found.items()}


def _validation(each: Run) -> float | None:
    """The best value of the monitored metric, with its sign such that higher is better."""
    monitor = each.config()["monitor"]
    better = "higher" if monitor["mode"] == "max" else "lower"
    best = each.best(monitor["metric"], better)
    return None if best is None else best[0] if better == "higher" else -best[0]


def report(name: str, folder: Path) -> None:
    """Write the files of a task.

    Raises:
        UserError: the runs of full forcing are not there, or were not evaluated.
    """
    task = TASKS[name]
    found = groups_of(name, folder)
    rates = [
        {"method": method, "lr": f"{each.config()['optimizer']['lr']:g}", "validation": f"{abs(value):.6g}"}
        for method, group in found
        for each in group.runs
        if each.seed == SEARCH_SEED and (value := _validation(each)) is not None
    ]
    groups = {
        method: group for method, group in found if set(group.by_seed(next(iter(task.measures)))) & set(SEEDS)
    }
    if "full" not in groups:
        raise UserError(
            f"no finished run of exposure_bias/{name}/full in {folder}; run `make exposure-quality`"
        )
    seeds = {method: [each for each in group.runs if each.seed in SEEDS] for method, group in groups.items()}
    ordered = {
        method: replace(groups[method], runs=tuple(seeds[method])) for method in METHODS if method in groups
    }
    write_csv(
        [
            {"method": method, "seed": str(each.seed)}
            | {
                k.removeprefix("test/"): "" if (v := each.last(k)) is None else f"{v:.6g}"
                for k in task.measures
            }
            for method, group in ordered.items()
            for each in group.runs
        ],
        f"{name}_runs",
        STUDY,
    )
    write_csv(rates, f"{name}_rates", STUDY)
    write(rows(ordered, task), name, STUDY)


def rows(groups: Mapping[str, Group], task: Task) -> list[Row]:
    """A row a method: its values, and the difference of its quality from that of full forcing."""
    quality = next(iter(task.measures))
    against = differences(groups, quality)
    found = []
    for method, group in groups.items():
        row = {"method": method, "lr": f"{group.config['optimizer.lr']:g}"}
        row |= {
            key.removeprefix("test/"): shown(group.last(key), digits) for key, digits in task.measures.items()
        }
        row["difference from full"] = ""
        if method in against:
            difference, p = against[method]
            row["difference from full"] = with_interval(difference, task.measures[quality]) + (
                " *" if p < ALPHA else ""
            )
        found.append(row | {"seeds": str(len(group.runs))})
    return found


def main(arguments: list[str]) -> None:
    """Train or report a task."""
    if len(arguments) != 3 or arguments[0] not in ("train", "report") or arguments[1] not in TASKS:
        raise UserError(f"usage: quality train|report {'|'.join(TASKS)} OUTPUTS")
    what, name, folder = arguments[0], arguments[1], Path(arguments[2])
    if what == "train":
        train(name, folder, [method for method in METHODS if method != "teacher"])
        train(name, folder, ["teacher"])
    else:
        report(name, folder)


if __name__ == "__main__":
    run(main)
