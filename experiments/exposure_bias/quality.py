"""Which method translates better than full forcing? `python -m experiments.exposure_bias.quality train TASK outputs`.

`train` chooses the learning rate of each method with a seed that is not used afterwards, and trains the other seeds:
first full forcing, then all other methods of one seed, then those of the next; methods named after the folder are the
only ones. Where the best rate is the largest or the smallest one that was tried, the search goes on beyond it. What is
finished is not trained again, so that a call goes on where the last one was stopped. A task that starts from trained
weights trains those first. `report` evaluates what was not evaluated yet, adds its runs to TASK_rates.csv (the search)
and TASK_runs.csv (a row a run), where runs that are not in the folder keep theirs, and writes TASK.csv and
TASK-changes.csv with their tables on a page; without a folder, these are made from TASK_runs.csv alone. TASK_wrong.csv,
where the quality is the share of outputs with an error, has 1 for each of them, else 0, in the order of the test part.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch

from experiments.exposure_bias.plan import METHODS, TASKS, TEACHER, Task
from experiments.tables import (
    Row,
    add_to_csv,
    best_validation,
    paired_differences,
    read_csv,
    run,
    shown,
    with_star,
    write,
)
from seq2seq_lab import sweep
from seq2seq_lab.compare.statistics import Estimate
from seq2seq_lab.errors import UserError
from seq2seq_lab.evaluation.analyses import ANALYSES
from seq2seq_lab.runs.evaluate import Corpora, Request, evaluate_run
from seq2seq_lab.runs.evaluations import SOURCE, read_translated
from seq2seq_lab.runs.run import Run
from seq2seq_lab.runs.select import select

STUDY = Path(__file__).parent
SEARCH_SEED, JOBS = 100, 2
REACH = 4  # a search may go on to the largest learning rate of its task times this, and to the smallest divided by it
PART = "test"
Chosen = Mapping[str, Mapping[int, Run]]  # method → seed → run


def train(name: str, folder: Path, methods: Sequence[str] = (), **settings: Any) -> None:
    """Train the search of some methods, then each seed of them with their learning rates.

    Args:
        methods: by default, all of the task; the runs that they learn from are trained too.
        settings: further ones of all runs; a test makes them small.
    """
    task = TASKS[name]
    start = task.start or name
    if task.start:
        train(start, folder, ["full"], **settings)

    def jobs(several: Iterable[str], seeds: Iterable[int], rates: Mapping[str, Any]) -> list[dict[str, Any]]:
        of_full = chosen(start, folder).get("full", {})
        found = []
        for seed, method in product(seeds, several):
            job = task.settings() | task.methods[method]
            job |= (task.search if seed == SEARCH_SEED else {}) | settings
            job |= {"name": f"exposure_bias/{name}/{method}", "seed": seed, "optimizer.lr": rates[method]}
            job |= {"split.seed": task.split(seed)} if task.splits > 1 else {}
            job |= {"init_from": place(of_full[seed], folder)} if task.start else {}
            job |= {"target.run": place(of_full[task.teacher(seed)], folder)} if method == TEACHER else {}
            found.append(job)
        return found

    for several in task.in_order(methods):
        tried = dict.fromkeys(several, task.rates)
        while tried:
            sweep(jobs(tried, [SEARCH_SEED], tried), output_dir=folder, jobs=JOBS)
            runs = runs_of(name, folder)
            tried = {method: more for method in tried if (more := beyond(searched(runs[method]), task))}
        rates = {method: rate(its[SEARCH_SEED]) for method, its in chosen(name, folder).items()}
        sweep(jobs(several, task.seeds, rates), output_dir=folder, jobs=JOBS)


def runs_of(name: str, folder: Path) -> dict[str, list[Run]]:
    """Method → its finished runs, in the order of the task's methods."""
    below = folder / "exposure_bias" / name
    every = [each for each in select([below]).runs if each.finished] if below.exists() else []
    named = [(Path(each.config()["name"]).name, each) for each in every]
    return {method: [each for its, each in named if its == method] for method in TASKS[name].methods}


def searched(runs: Iterable[Run]) -> dict[float, float]:
    """Learning rate → validation, of the runs of the search, the smallest rate first: it is chosen among equals."""
    return dict(sorted((rate(each), best_validation(each)) for each in runs if each.seed == SEARCH_SEED))


def beyond(tried: Mapping[float, float], task: Task) -> list[float]:
    """The next learning rate of a search whose best one (rate → validation) is at its end; none where it is not."""
    best = max(tried, key=tried.__getitem__)
    further = {max(tried): 2 * best, min(tried): best / 2}.get(best)
    if further is None or not min(task.rates) / REACH <= further <= max(task.rates) * REACH:
        return []
    return [further]


def chosen(name: str, folder: Path) -> Chosen:
    """The runs with the learning rate of the best validation in the search, that of the search among them."""
    found = {}
    for method, runs in runs_of(name, folder).items():
        if tried := searched(runs):
            best = max(tried, key=tried.__getitem__)
            found[method] = {each.seed: each for each in runs if each.seed is not None and rate(each) == best}
    return found


def place(each: Run, folder: Path) -> Path:
    """The folder of a run below the one that was given, also where the study has moved to."""
    return folder / each.folder.relative_to(folder.resolve())


def rate(each: Run) -> float:
    """The learning rate of a run."""
    return float(each.config()["optimizer"]["lr"])


def evaluated(name: str, folder: Path) -> Chosen:
    """The runs of the task's seeds, evaluated on the test part.

    Raises:
        UserError: there are none.
    """
    task = TASKS[name]
    found = {
        method: {seed: each for seed, each in runs.items() if seed in task.seeds}
        for method, runs in chosen(name, folder).items()
    }
    if not any(found.values()):
        missing = f"no finished run of exposure_bias/{name} in {folder}"
        raise UserError(f"{missing}; run `make exposure-quality TASK={name}`")
    request = Request(analyses=tuple(ANALYSES.values()))
    corpora = Corpora()
    return {
        method: {seed: with_values(each, task.measures, request, corpora) for seed, each in runs.items()}
        for method, runs in found.items()
        if runs
    }


def with_values(each: Run, metrics: Iterable[str], request: Request, corpora: Corpora) -> Run:
    """A run that has values of some metrics: it is evaluated if it has not."""
    if all(each.last(metric) is not None for metric in metrics):
        return each
    torch.set_num_threads(1)  # more are slower for steps as small as these
    print(f"evaluating {each.folder} on {request.part}", flush=True)
    evaluate_run(each.folder, request, corpora)
    return Run(each.folder)


def report(name: str, folder: Path) -> None:
    """Write the files of a task.

    Raises:
        UserError: there are no runs; or none of full forcing, here and in the files.
    """
    task = TASKS[name]
    tried = [
        {"method": method, "lr": f"{lr:g}", "validation": f"{abs(value):.6g}"}
        for method, runs in runs_of(name, folder).items()
        for lr, value in searched(runs).items()
    ]
    of_seeds = evaluated(name, folder)
    measured = [
        {"method": method, "seed": str(seed), "split": str(task.split(seed)), "lr": f"{rate(each):g}"}
        | {"epochs": str(each.epochs), "best_epoch": str(each.evaluations[PART].epoch)}
        | {
            key.removeprefix("test/"): "" if (value := each.last(key)) is None else f"{value:.6g}"
            for key in task.measures
        }
        for method, runs in of_seeds.items()
        for seed, each in runs.items()
    ]
    add(measured, f"{name}_runs")
    add_to_csv(tried, f"{name}_rates", STUDY, "method", "lr")
    if task.quality == "test/sequence_error_rate":
        add(wrong(of_seeds), f"{name}_wrong")
    report_again(name)


def add(rows: Sequence[Row], name: str, *keys: str) -> None:
    """Add rows of runs to `name`.csv, each in place of the one with the same method, seed, and further keys.

    Raises:
        UserError: neither the rows nor the file have full forcing, which all other methods are compared with.
    """
    known = read_csv(name, STUDY) if (STUDY / f"{name}.csv").exists() else []
    if not any(row["method"] == "full" for row in (*known, *rows)):
        raise UserError(f"{name}: no run of full forcing, which others are compared with; train that too")
    add_to_csv(rows, name, STUDY, "method", "seed", *keys)


def wrong(runs: Chosen) -> list[Row]:
    """A row a run: 1 for each output with an error, 0 for the others."""
    found = []
    for method, its in runs.items():
        for seed, each in its.items():
            translated = read_translated(each.evaluations[PART].path, SOURCE)
            assert translated is not None, each.folder
            right = zip(translated.hypotheses, translated.references, strict=True)
            bits = "".join("01"[hypothesis not in references] for hypothesis, references in right)
            found.append({"method": method, "seed": str(seed), "wrong": bits})
    return found


def report_again(name: str) -> None:
    """Write the tables of a task from its TASK_runs.csv, and that of the methods."""
    measured = read_csv(f"{name}_runs", STUDY)
    write(settings_of_methods(), "methods", STUDY)
    write(table(measured, TASKS[name]), name, STUDY)
    write(changes(measured, TASKS[name]), f"{name}-changes", STUDY)


def table(measured: Sequence[Row], task: Task) -> list[Row]:
    """A row a method: its values, and the difference of its quality from that of full forcing, paired by seed."""
    values = {key: by_method(measured, key.removeprefix("test/")) for key in task.measures}
    against = paired_differences(values[task.quality], task.quality)
    rates = {row["method"]: row["lr"] for row in measured}
    found = []
    for method, seeds in values[task.quality].items():
        row = {"method": method, "lr": rates[method]}
        row |= {
            key.removeprefix("test/"): shown(Estimate.of([*values[key][method].values()]), digits)
            for key, digits in task.measures.items()
        }
        row |= {"seeds": str(len(seeds)), "difference from full": "", "seeds of both": ""}
        if method in against:
            difference, p = against[method]
            row["difference from full"] = with_star(difference, p, task.measures[task.quality])
            row["seeds of both"] = str(difference.n)
        found.append(row)
    return found


def settings_of_methods() -> list[Row]:
    """A row a method: what it adds to the preset of a task on the command line."""
    return [
        {"method": method, "settings": " ".join(f"`{key}={value}`" for key, value in settings.items())}
        for method, settings in METHODS.items()
    ]


def changes(measured: Sequence[Row], task: Task) -> list[Row]:
    """A row a method but full forcing: how its measures beside the quality differ from those, paired by seed.

    The other measures of quality show whether a verdict rests on the one that was chosen.
    """
    found = {
        key: paired_differences(by_method(measured, key.removeprefix("test/")), key)
        for key in task.measures
        if key not in (task.quality, "test/loss_forced")
    }
    return [
        {"method": method}
        | {
            key.removeprefix("test/"): with_star(*its[method], task.measures[key])
            for key, its in found.items()
        }
        for method in next(iter(found.values()))
    ]


def by_method(measured: Sequence[Row], column: str) -> dict[str, dict[int, float]]:
    """Method → seed → value, in the order of the rows; a value that is not finite is missing."""
    found: dict[str, dict[int, float]] = {row["method"]: {} for row in measured}
    for row in measured:
        if row[column] and math.isfinite(float(row[column])):
            found[row["method"]][int(row["seed"])] = float(row[column])
    return found


def main(arguments: list[str]) -> None:
    """Train or report a task."""
    what, name, folder, *methods = [*arguments, *[""] * (3 - len(arguments))]
    trained = [each for each, task in TASKS.items() if not task.kept]
    if what not in ("train", "report") or name not in TASKS or (what == "train" and not folder):
        raise UserError(
            f"usage: quality train {'|'.join(trained)} OUTPUTS [METHOD …], or quality report TASK [OUTPUTS]"
        )
    if TASKS[name].kept and folder:
        raise UserError(
            f"{name}: its runs are of earlier settings; `quality report {name}` makes its tables again"
        )
    if unknown := [method for method in methods if method not in TASKS[name].methods]:
        raise UserError(f"{unknown[0]}: no such method; those of {name} are {', '.join(TASKS[name].methods)}")
    if what == "train":
        train(name, Path(folder), methods)
    elif folder:
        report(name, Path(folder))
    else:
        report_again(name)


if __name__ == "__main__":
    run(main)
