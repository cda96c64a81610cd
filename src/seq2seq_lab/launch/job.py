"""`seq2seq-lab train`: Hydra composes and sweeps, `train.train` runs."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq_lab.config.check import GROUPS, check, config_dir, resolve
from seq2seq_lab.config.explain import explain, options
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs.naming import derived_name, run_folder

if TYPE_CHECKING:
    from omegaconf import DictConfig

USAGE = """\
usage: seq2seq-lab train [-m] [GROUP=OPTION ...] [KEY=VALUE ...]

Trains one run; with -m (--multirun), one for each combination of values that commas separate:
  seq2seq-lab train -m model=seq2seq,attention forcing=mixed forcing.ratio=0,0.5,1 seed=0,1
A finished run is not trained again; one that was interrupted goes on where it was stopped.

--cfg job      show the configuration instead of training
--config-dir D add a folder of your own options, groups as below

Groups and their options:
"""


def launch(arguments: Sequence[str]) -> int:
    """Train what the arguments say; returns the exit status."""
    if {"-h", "--help"} & set(arguments):
        print(USAGE + _options(), end="")
        return 0
    import hydra

    from seq2seq_lab.launch import sweep

    global _status
    _status = 0
    # Hydra would end the process on an error, in many lines of its own; with this set it raises.
    asked = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # Hydra wants its flags before the overrides.
    flags = [argument for argument in arguments if argument in ("-m", "--multirun")]
    sys.argv = ["seq2seq-lab train", *flags, *(argument for argument in arguments if argument not in flags)]
    run = hydra.main(version_base="1.3", config_path=str(config_dir()), config_name="train")(_job)
    try:
        status = _status_of(run, explained=asked != "1")
        sweep.compare_all()
    finally:
        os.environ.pop("HYDRA_FULL_ERROR")
        if asked is not None:
            os.environ["HYDRA_FULL_ERROR"] = asked
        sweep.forget()
    return status


def _status_of(run: Callable[[], None], *, explained: bool) -> int:
    try:
        run()
    except UserError as error:
        if not getattr(error, "told", False):
            raise
        return 1
    except Exception as error:
        explanation = explain(error) if explained else None
        if explanation is None:
            raise
        raise UserError(explanation) from error
    return _status


def composed(overrides: Sequence[str]) -> dict[str, Any]:
    """The resolved configuration that these overrides give, as `seq2seq-lab train` would see it."""
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            return resolve(compose("train", overrides=list(overrides)))
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        if (explained := explain(error)) is None:
            raise
        raise UserError(explained) from error


_status = 0  # of a single run; a sweep's jobs speak by their exceptions, which cross processes


def _job(cfg: "DictConfig") -> dict[str, float] | None:
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    global _status
    hydra_config = HydraConfig.get()
    in_sweep = hydra_config.mode == RunMode.MULTIRUN
    try:
        return _train(cfg, hydra_config.runtime.choices, hydra_config.overrides.task, _jobs(hydra_config))
    except UserError as error:
        print(error, file=sys.stderr)
        _status = 1
        if in_sweep:
            error.told = True  # type: ignore[attr-defined]
            raise
        return None


def _train(
    cfg: "DictConfig", choices: Mapping[str, Any], overrides: Sequence[str], jobs: int
) -> dict[str, float] | None:
    from seq2seq_lab.launch import startup, sweep

    startup.forgiving_output()  # a sweep's job may be a process of its own
    config = resolve(cfg)
    check(config)
    for group in GROUPS:
        if group not in choices:
            raise UserError(f"{group}: a run takes one of its options: {', '.join(options(group))}")
    config["choices"] = {group: choices[group] for group in GROUPS}
    named = config["name"] is not None
    if not named:
        config["name"] = derived_name(config["choices"], config)
    folder = run_folder(config, overrides, named)
    if config["compare"]:
        sweep.enter(folder)

    with startup.imports():
        from seq2seq_lab.training.callbacks.scalars import Interrupted
        from seq2seq_lab.training.train import train

    try:
        return train(config, folder, jobs=jobs)
    except Interrupted:
        but = ", without fresh=true" if config["fresh"] else ""
        print(f"{folder}: interrupted; the same command{but} goes on from here", file=sys.stderr)
        raise KeyboardInterrupt from None


def _jobs(hydra_config: Any) -> int:
    """Runs that the launcher has on this machine at once."""
    jobs = hydra_config.launcher.get("n_jobs", 1) or 1
    return int(jobs) if jobs > 0 else os.cpu_count() or 1


def _options() -> str:
    """Every group's options, each with the first line of its file."""
    lines = []
    for group in (*GROUPS, "experiment"):
        lines.append(f"  {group}=")
        folder = config_dir() / group
        for option in options(group):
            lines.append(f"    {option:26} {_first_comment(folder / f'{option}.yaml')}")
    return "\n".join(lines) + "\n"


def _first_comment(path: Path) -> str:
    with path.open(encoding="utf-8") as lines:
        return next((line.lstrip("# ").rstrip() for line in lines if not line.startswith("# @")), "")
