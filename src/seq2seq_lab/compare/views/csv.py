"""The comparison as CSV files with all metrics."""

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from seq2seq_lab.compare.grouping import Group
from seq2seq_lab.compare.naming import OF_SUMMARY, written
from seq2seq_lab.compare.pairing import Pair
from seq2seq_lab.compare.statistics import Bounds, Estimate
from seq2seq_lab.compare.tasks import Interval, OverTasks
from seq2seq_lab.runs.annotations import read_annotations
from seq2seq_lab.runs.run import Run

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
# A number, an interval, or a mean and its deviation: nothing that could be called.
_NUMBERS = re.compile(r"[-+](inf|nan|[-+\d.,%±–()\[\] ]|(?<=\d)e)+")


def results(runs: Iterable[Run], groups: Sequence[Group], metrics: Sequence[str]) -> str:
    """One row per run, also for runs that are not averaged: settings, status, last and best values."""
    evaluated = {metric for group in groups for metric in group.evaluated}
    home = {run: group for group in groups for run in group.every}
    rows = []
    for run in runs:
        group = home.get(run)
        row: dict[str, Any] = {"run": run.name, "group": group.label if group else None}
        row |= {key: written(value) for key, value in group.all_settings.items()} if group else {}
        row |= {
            "seed": run.seed,
            "status": run.status,
            "averaged": "yes" if group and run in group.runs else "no",
            "epochs": run.epochs,
            "corpus": run.corpus.fingerprint,
        }
        for metric in metrics:
            if metric in evaluated:
                row[metric] = run.last(metric)
                continue
            row[f"{metric} last"] = run.last(metric)
            if better := groups[0].measure(metric).better:
                row[f"{metric} best"], row[f"{metric} best epoch"] = run.best(metric, better) or (None, None)
        annotations = read_annotations(run.folder)
        row |= {"tags": ", ".join(annotations.tags), "note": annotations.note}
        row |= {key: run.summary().get(key) for key in OF_SUMMARY}
        rows.append(row)
    return text_of(rows)


def summary(groups: Sequence[Group], metrics: Sequence[str]) -> str:
    """One row per group: its settings, and mean, standard deviation and number of the finished runs."""
    evaluated = {metric for group in groups for metric in group.evaluated}
    rows = []
    for group in groups:
        row: dict[str, Any] = {"group": group.label}
        row |= {key: written(value) for key, value in group.all_settings.items()}
        row |= {"corpus": group.corpus.fingerprint, "runs": len(group.runs) + len(group.others)}
        for metric in metrics:
            if metric in evaluated:
                row |= _with_interval(metric, group.last(metric), group.measure(metric).bounds)
                continue
            estimates = {"last": group.last(metric)}
            if group.measure(metric).better:
                estimates["best"] = group.best(metric)
            for which, estimate in estimates.items():
                row[f"{metric} {which} mean"] = estimate.mean if estimate.n else None
                row[f"{metric} {which} sd"] = None if math.isnan(estimate.sd) else estimate.sd
            row[f"{metric} n"] = estimates["last"].n
            if "best" in estimates:
                row[f"{metric} best n"] = estimates["best"].n
        rows.append(row)
    return text_of(rows)


def _with_interval(metric: str, estimate: Estimate, bounds: Bounds | None) -> dict[str, float | int | None]:
    """The columns of a metric of trained models: mean, standard deviation, 95 % interval and number of the runs."""
    low, high = estimate.interval(bounds)
    values = {"mean": estimate.mean, "sd": estimate.sd, "low": low, "high": high}
    columns: dict[str, float | int | None] = {
        f"{metric} {name}": None if math.isnan(value) else value for name, value in values.items()
    }
    return columns | {f"{metric} n": estimate.n}


def pairs(several: Iterable[Pair]) -> str:
    """One row per pair of groups and metric: the mean difference of the last values, its 95 % interval and its test."""
    return text_of(
        [
            {
                "first": pair.first.label,
                "second": pair.second.label,
                "metric": pair.metric,
                "test": pair.difference.method,
                "seeds": pair.difference.seeds,
                "mean difference": pair.difference.mean,
                "low": _known(pair.difference.low),
                "high": _known(pair.difference.high),
                "p": _known(pair.difference.p),
                "p (Holm)": _known(pair.adjusted),
                "verdict": pair.verdict,
            }
            for pair in several
        ]
    )


def tasks(several: Iterable[OverTasks]) -> str:
    """One row per metric and method over several tasks."""
    return text_of(
        [
            {
                "metric": each.metric,
                "tasks": "; ".join(each.tasks),
                "method": method.name,
                "reference": each.reference,
                "runs": "; ".join(map(str, method.runs)),
                **_interval("IQM", method.iqm),
                **({} if method.better is None else _interval("P(better)", method.better)),
            }
            for each in several
            for method in each.methods
        ]
    )


def _interval(name: str, found: Interval) -> dict[str, float | None]:
    return {name: found.value, f"{name} low": _known(found.low), f"{name} high": _known(found.high)}


def _known(value: float) -> float | None:
    """A value; an empty cell where it is undefined."""
    return None if math.isnan(value) else value


def text_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as CSV, with the union of their columns in order of appearance."""
    text = io.StringIO()
    names = dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(text, list(names), lineterminator="\n")
    writer.writerow({name: plain_text(name) for name in names})
    writer.writerows({name: plain_text(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def plain_text(value: Any) -> Any:
    """The content of a cell; a text that a spreadsheet would take for a formula begins with an apostrophe."""
    formula = isinstance(value, str) and value.startswith(_FORMULA) and not _NUMBERS.fullmatch(value)
    return f"'{value}" if formula else value
