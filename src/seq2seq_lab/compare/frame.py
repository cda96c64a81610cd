"""Many runs as one table for pandas."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq_lab.compare.grouping import group
from seq2seq_lab.errors import as_list, require
from seq2seq_lab.runs.annotations import read_annotations
from seq2seq_lab.runs.loaded import import_pandas
from seq2seq_lab.runs.select import require_runs, select

if TYPE_CHECKING:
    import pandas as pd


def load_runs(paths: str | Path | Sequence[str | Path] = ()) -> "pd.DataFrame":
    """A row for each run below some folders; the index is its path below them.

    Columns: `status`, `seed`, `epochs`; `tags` and `note`, if a run has any; the settings in which the runs differ,
    such as `forcing` and `ratio`; the last value of each metric, such as `val/bleu`, its best value as `best val/bleu`,
    and those of the test part, as `test/bleu`.

    Args:
        paths: a folder that contains runs at any depth, or several; texts may also be filters, such as
            `model=attention` and `val/bleu>30`. Without a folder, that of `$SEQ2SEQ_LAB_OUTPUTS`, or `outputs`.

    Raises:
        UserError: there is no run, a folder does not exist, or an argument is neither a path nor a text.
    """
    given = as_list(paths)
    known = all(isinstance(each, str | PathLike) for each in given)
    require(
        known, "paths", paths, 'a folder, a filter, or a list of them, such as ["outputs", "model=attention"]'
    )
    pandas = import_pandas()
    runs = require_runs(select(given)).runs
    groups, _ = group(runs)
    settings = {run: each.all_settings for each in groups for run in each.every}
    rows = []
    annotations = {run: read_annotations(run.folder) for run in runs}
    annotated = any(each.note or each.tags for each in annotations.values())
    for run in runs:
        row: dict[str, Any] = {"status": run.status, "seed": run.seed, "epochs": run.epochs}
        if annotated:
            row |= {"tags": ", ".join(annotations[run].tags), "note": annotations[run].note}
        row |= dict(settings.get(run, {}))
        for metric in run.curves():
            row[metric] = run.last(metric)
            better = groups[0].measure(metric).better
            if (best := run.best(metric, better)) is not None:
                row[f"best {metric}"] = best[0]
        rows.append(row | dict(run.evaluated))
    return pandas.DataFrame(rows, index=pandas.Index([run.name for run in runs], name="run"))
