"""A sweep from Python, as `seq2seq-lab train -m` makes it."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq_lab.compare.frame import load_runs
from seq2seq_lab.errors import UserError
from seq2seq_lab.launch.launch import launch

if TYPE_CHECKING:
    import pandas as pd


def sweep(
    settings: Mapping[str, Any],
    *,
    output_dir: str | Path = "outputs",
    jobs: int = 1,
    config_dir: Path | None = None,
) -> "pd.DataFrame":
    """Train a run for each combination of values; returns all runs below `output_dir`, as `load_runs` does.

        sweep({"data": "toy", "forcing": "mixed", "forcing.ratio": [0.25, 0.5], "seed": range(3)})

    Args:
        settings: key → value, or a list of values to sweep over; the keys are those of the command line.
        output_dir: the folder of the runs.
        jobs: how many runs are trained at the same time; more than one needs the extra `parallel`.
        config_dir: a folder with your own options.

    Raises:
        UserError: a setting cannot be, or a run failed; the finished ones are kept.
    """
    overrides = [f"{key}={_value(value)}" for key, value in settings.items()]
    overrides += [f"output_dir={_value(str(output_dir))}", "compare=false"]
    if jobs > 1:
        overrides += ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={jobs}", "hydra.launcher.verbose=0"]
    status = launch(
        overrides, command=f"seq2seq_lab.sweep({dict(settings)!r})", folder=config_dir, flags=["--multirun"]
    )
    if status:
        raise UserError("a run of the sweep failed, see above; the same call goes on from there")
    return load_runs(output_dir)


def _value(value: Any) -> str:
    """A value in Hydra's grammar; several with commas between them."""
    if isinstance(value, Iterable) and not isinstance(value, str | Mapping):
        return ",".join(_value(each) for each in value)
    if isinstance(value, str):
        plain = value.replace("/", "").replace("_", "").replace("-", "").replace(".", "")
        return value if plain.isalnum() and plain.isascii() else "'" + value.replace("'", "\\'") + "'"
    return json.dumps(value)
