"""Many runs as one table for pandas."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq_lab.compare.comparison import read_runs
from seq2seq_lab.compare.grouping import group
from seq2seq_lab.runs.find import common_root
from seq2seq_lab.runs.loaded import import_pandas

if TYPE_CHECKING:
    import pandas as pd


def load_runs(paths: str | Path | Sequence[str | Path] = "outputs") -> "pd.DataFrame":
    """A row for each run below some folders; the index is its path below them.

    Columns: `status`, `seed`, `epochs`; the settings in which the runs differ, such as `forcing` and `ratio`; the last
    value of each metric, such as `val/bleu`, its best value as `best val/bleu`, and those of the test part, as
    `test/bleu`.

    Args:
        paths: a folder that contains runs at any depth, or several.

    Raises:
        UserError: there is no run, or a folder does not exist.
    """
    pandas = import_pandas()
    given = [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]
    root = common_root(given)
    runs, _ = read_runs(given, root)
    groups, _ = group(runs)
    settings = {run: each.all_settings for each in groups for run in (*each.runs, *each.others)}
    rows = []
    for run in runs:
        row: dict[str, Any] = {"status": run.status, "seed": run.seed, "epochs": run.epochs}
        row |= dict(settings.get(run, {}))
        for metric in run.curves():
            row[metric] = run.last(metric)
            better = groups[0].measure(metric).better
            if (best := run.best(metric, better)) is not None:
                row[f"best {metric}"] = best[0]
        rows.append(row | dict(run.evaluated))
    return pandas.DataFrame(rows, index=pandas.Index([run.name for run in runs], name="run"))
