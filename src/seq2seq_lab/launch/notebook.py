"""A sweep from Python, as `seq2seq-lab train -m` makes it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from numbers import Number
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from seq2seq_lab.compare.frame import load_runs
from seq2seq_lab.config.options import groups
from seq2seq_lab.config.texts import is_plain, quoted
from seq2seq_lab.errors import UserError, are_texts, as_list, is_path, is_whole, require
from seq2seq_lab.launch.launch import launch
from seq2seq_lab.runs.filters import outputs

if TYPE_CHECKING:
    import pandas as pd

_one_at_a_time = RLock()  # a launch sets Hydra, and the arguments and variables of the process


def sweep(
    settings: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    *,
    zipped: Sequence[Sequence[str]] = (),
    output_dir: str | Path | None = None,
    jobs: int = 1,
    config_dir: str | Path | None = None,
) -> "pd.DataFrame":
    """Train a run for each combination of values; returns all runs of its folder, as `load_runs` does.

        sweep({"data": "toy", "forcing": "mixed", "forcing.ratio": [0.25, 0.5], "seed": range(3)})

    Calls of several threads follow one another.

    A list is a list of values to sweep over. Each of them, and every other value, is passed as it is: a text stays a
    text (`"2024"`), a list in the list is one value (`[["default", "early_stopping"]]`), and so is a dictionary.

    Args:
        settings: key → value, or a list of values, at least one; the keys are those of the command line. None for a
            key that begins with `~` leaves it out. Several of them are sweeps that are joined.
        zipped: groups of keys whose values are taken in step.
        output_dir: the folder of the runs; by default that of `$SEQ2SEQ_LAB_OUTPUTS`, or `outputs`.
        jobs: how many runs are trained at the same time; more than one needs the extra `parallel`.
        config_dir: a folder with your own options.

    Raises:
        UserError: a setting cannot be, there is none, an argument is of another type, or a run failed; the
            finished ones are kept.
    """
    output_dir = outputs() if output_dir is None else output_dir
    several = [settings] if isinstance(settings, Mapping) else as_list(settings)
    zipped = as_list(zipped)
    _check(several, zipped, jobs, {"output_dir": output_dir, "config_dir": config_dir})
    config_dir = None if config_dir is None else Path(config_dir)
    known = groups([config_dir] if config_dir else [])
    common, *rest = [[_override(key, value, known) for key, value in each.items()] for each in several]
    parts = [common, *rest] if rest else []
    overrides = [] if rest else common
    overrides += [f"output_dir={quoted(str(output_dir))}", "compare=false"]
    if jobs > 1:
        overrides += ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={jobs}", "hydra.launcher.verbose=0"]
    with _one_at_a_time:
        status = launch(
            overrides,
            command=f"seq2seq_lab.sweep({settings!r})",
            folder=config_dir,
            flags=["--multirun"],
            zipped=[",".join(group) for group in zipped],
            sweeps=parts,
        )
    if status:
        raise UserError("a run of the sweep failed, see above; the same call goes on from there")
    return load_runs(output_dir)


def _check(several: Sequence[Any], zipped: Sequence[Any], jobs: Any, folders: Mapping[str, Any]) -> None:
    """Refuse arguments of `sweep` that are of another type; each of Hydra's would be another setting than was meant."""
    keyed = all(isinstance(each, Mapping) and are_texts(each) for each in several)
    example = 'a dictionary of keys and values, such as {"data": "toy", "seed": [0, 1]}, or a list of them'
    require(keyed, "settings", several, example)
    if not any(several):  # as where a program found none, which would train the defaults for minutes
        raise UserError('settings: there are none; one run of the defaults is that of {"seed": 0}')
    grouped = all(map(are_texts, zipped))
    require(grouped, "zipped", zipped, 'a list of groups of keys, such as [["forcing.ratio", "seed"]]')
    if any("output_dir" in each for each in several):
        raise UserError("output_dir: give it as an argument of its own: sweep({…}, output_dir=…)")
    require(is_whole(jobs) and jobs > 0, "jobs", jobs, "a whole number of at least 1")
    for name, folder in folders.items():
        require(folder is None or is_path(folder), name, folder, "a folder, such as outputs")


def _override(key: str, value: Any, known: Collection[str]) -> str:
    """A setting as an override; the options of groups are names, which have no quotation marks."""
    if key.startswith("~") and value is None:
        return key
    is_group = key.lstrip("+~") in known
    value = _plain(value)
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        values = [_value(key, each, is_group) for each in value]
        if not values:
            raise UserError(f"{key}: an empty list of values; [[]] is one value, an empty list")
        return f"{key}={','.join(values)}"
    return f"{key}={_value(key, value, is_group)}"


def _value(key: str, value: Any, is_group: bool) -> str:
    """One value of a key in Hydra's grammar."""
    value = _plain(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{name}:{_value(key, each, False)}" for name, each in value.items()) + "}"
    if isinstance(value, str | Path):
        return str(value) if is_group or is_plain(str(value)) else quoted(str(value))
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return f"[{','.join(_value(key, each, is_group) for each in value)}]"
    require(
        value is None or isinstance(value, Number), key, value, "a text, a number, a list or a dictionary"
    )
    return "null" if value is None else str(value).lower()


def _plain(value: Any) -> Any:
    """Numbers and arrays of NumPy, pandas and PyTorch as those of Python; every other value as it is."""
    convert = getattr(value, "tolist", None)
    return value if convert is None else convert()
