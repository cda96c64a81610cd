"""A list of runs as data: JSON of a fixed form, and CSV. `docs/runs.schema.json` describes the JSON."""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from seq2seq_lab.compare.grouping import group
from seq2seq_lab.compare.naming import written
from seq2seq_lab.compare.views.csv import text_of
from seq2seq_lab.runs.annotations import read_annotations
from seq2seq_lab.runs.facts import (
    activity,
    better_of,
    changed,
    epoch_seconds,
    max_epochs,
    monitored,
    seconds,
    seconds_to_go,
    settings_of,
)
from seq2seq_lab.runs.run import Run
from seq2seq_lab.runs.select import Selection

VERSION = 1  # of the form; another one if a key goes or means something else, not if one is added

# The columns that CSV has of every run; those of a list without a run.
_COLUMNS = (
    "name",
    "path",
    "status",
    "stopped",
    "seed",
    "epochs",
    "max_epochs",
    "started",
    "changed",
    "seconds",
    "seconds_per_epoch",
    "seconds_to_go",
    "metric",
    "value",
    "note",
    "tags",
)


def as_json(selection: Selection) -> str:
    """The runs that were chosen, and the notes; a number that is not finite is null."""
    apart = settings(selection.runs)
    contents = {
        "version": VERSION,
        "runs": [_entry(run, apart.get(run, {})) for run in selection.runs],
        "notes": list(selection.notes),
    }
    return json.dumps(_plain(contents), indent=1, ensure_ascii=False, allow_nan=False)


def as_csv(selection: Selection) -> str:
    """The same facts without the configuration, a row a run; a column `last METRIC` for each metric, and `setting KEY`
    for a key that is called as another column."""
    apart = settings(selection.runs)
    rows: list[dict[str, Any]] = []
    for run in selection.runs:
        entry = _entry(run, apart.get(run, {}))
        row = {key: value for key, value in entry.items() if not isinstance(value, Mapping | list)}
        row["tags"] = ", ".join(entry["tags"])
        row |= {
            f"setting {key}" if key in row else key: written(value)
            for key, value in entry["settings"].items()
        }
        row |= {f"last {metric}": value for metric, value in entry["last"].items()}
        rows.append(row | entry["test"])
    return text_of(rows) if rows else f"{','.join(_COLUMNS)}\n"


def settings(runs: Sequence[Run]) -> dict[Run, Mapping[str, Any]]:
    """The settings in which each run differs from the others, by their short names, as in a comparison."""
    groups = group(runs)[0] if runs else []
    return {run: each.all_settings for each in groups for run in each.every}


def _entry(run: Run, apart: Mapping[str, Any]) -> dict[str, Any]:
    summary, annotations = run.summary(), read_annotations(run.folder)
    best = {metric: run.best(metric, better_of(run, metric)) for metric in run.curves()}
    stopped, started = summary.get("stopped"), summary.get("started")
    return {
        "name": run.name,
        "path": str(run.folder),
        "status": activity(run),
        "stopped": stopped if isinstance(stopped, str) else None,
        "seed": run.seed,
        "epochs": run.epochs,
        "max_epochs": max_epochs(run),
        "started": started if isinstance(started, str) else None,
        "changed": datetime.fromtimestamp(changed(run), UTC).isoformat(timespec="seconds"),
        "seconds": seconds(run),
        "seconds_per_epoch": epoch_seconds(run),
        "seconds_to_go": seconds_to_go(run),
        "metric": monitored(run),
        "value": run.last(monitored(run)),
        "tags": list(annotations.tags),
        "note": annotations.note,
        "settings": dict(apart),
        "choices": {str(key): str(value) for key, value in (run.config().get("choices") or {}).items()},
        "config": settings_of(run),
        "last": {metric: run.last(metric) for metric in run.curves()},
        "best": {
            metric: {"value": found[0], "epoch": found[1]}
            for metric, found in best.items()
            if found is not None
        },
        "test": dict(run.evaluated),
    }


def _plain(value: Any) -> Any:
    """A value as JSON has it; what a YAML file may have beside, such as a date, as its text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int | bool) else str(value)
