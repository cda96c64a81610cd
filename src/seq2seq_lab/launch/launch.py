"""`seq2seq-lab train`: Hydra composes the configurations and passes each to a job, here or through a launcher."""

import math
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from seq2seq_lab.config.check import check_output_dir
from seq2seq_lab.config.compose import search_path
from seq2seq_lab.config.explain import explained
from seq2seq_lab.config.misuse import refuse_misuse
from seq2seq_lab.config.options import ROOT, config_dir, said_by
from seq2seq_lab.config.schema import EXPERIMENT
from seq2seq_lab.config.texts import as_texts
from seq2seq_lab.errors import UserError
from seq2seq_lab.launch import slurm, sweep
from seq2seq_lab.launch.combine import as_overrides
from seq2seq_lab.launch.job import TaskFunction
from seq2seq_lab.launch.launcher import attending, launcher, refuse_ignored, with_sweeper
from seq2seq_lab.launch.notify import announced
from seq2seq_lab.launch.plan import Shown
from seq2seq_lab.launch.register import FAILED, Register, remove_stale
from seq2seq_lab.launch.startup import environment
from seq2seq_lab.runs.filters import outputs


def launch(
    overrides: Sequence[str],
    *,
    command: str,
    folder: Path | None = None,
    flags: Sequence[str] = (),
    zipped: Sequence[str] = (),
    sweeps: Sequence[Sequence[str]] = (),
    dry_run: bool = False,
    verbose: bool = False,
) -> int:
    """Train one run or a sweep; returns the exit status.

    Args:
        overrides: as on the command line.
        command: the complete command line, stored in each run's summary.
        folder: a folder with the user's own options, as given by `--config-dir`.
        flags: Hydra's flags, such as `--multirun`.
        zipped: keys with commas between them, whose values are taken in step.
        sweeps: the further overrides of each of several sweeps, which are joined.
        dry_run: whether to show only what would be trained; nothing is written.
        verbose: whether each run prints how its updates are made.

    Raises:
        UserError: no configuration can be composed from the overrides, or a single run failed.
    """
    import hydra

    overrides, extra = search_path(list(overrides), folder)
    chosen = launcher(overrides, extra)
    if chosen == slurm.LAUNCHER:
        overrides = slurm.with_defaults(overrides)
    of_experiments = [
        hydra.get("sweeper") or {}
        for each in overrides
        if each.startswith(f"{EXPERIMENT}=")
        for hydra in said_by(EXPERIMENT, each.partition("=")[2], "hydra", extra)
    ]
    for flag, many, key in (("--zip", zipped, "zip"), ("--sweep", sweeps, "sweeps")):
        written = any(each.lstrip("+").startswith(f"hydra.sweeper.{key}=") for each in overrides)
        if many and (written or any(key in each for each in of_experiments)):
            raise UserError(f"hydra.sweeper.{key}: {flag} would replace it; leave one of them out")
    multirun = "--multirun" in flags
    overrides = as_texts(overrides, extra, sweep=multirun)
    parts = [as_texts(part, extra, sweep=True) for part in sweeps]
    for part in [[], *parts]:
        refuse_misuse([*overrides, *part], extra)
    if multirun:
        refuse_ignored(_experiments(overrides, parts), overrides, extra)
        overrides = with_sweeper(overrides, extra)
    if multirun and "TORCHELASTIC_RUN_ID" in os.environ:
        raise UserError("-m: a sweep starts the processes of each of its runs itself; leave out torchrun")
    folder_of_sweeps = _output_dir(overrides) / ".hydra"
    if not dry_run:
        remove_stale(folder_of_sweeps)
    values = _swept(overrides)
    register = Register.new(
        folder_of_sweeps,
        math.prod(values.values()) if multirun else None,
        outlived=chosen == slurm.LAUNCHER,
    )
    job = TaskFunction(
        command, Path.cwd(), register, swept=list(values), extra=extra, dry_run=dry_run, verbose=verbose
    )
    if dry_run:  # Hydra makes this folder before it calls the job
        overrides = [*overrides, "hydra.run.dir=."]
    run = hydra.main(version_base="1.3", config_path=str(config_dir()), config_name=ROOT)(job)
    with announced(command, register):
        try:
            with (
                explained(overrides, extra),
                _surroundings([*flags, *overrides, *as_overrides(zipped, parts)]),
                register.open() if multirun and not dry_run else nullcontext(),
                attending(chosen, register),
            ):
                run()
        except Shown:
            register.close()
            return 0
        except KeyboardInterrupt:
            sweep.show(register.entries() if register.outlived else register.close())
            raise
        except BaseException:
            sweep.show(register.close())
            raise
        return _status(job, overrides, multirun=multirun)


def _status(job: TaskFunction, overrides: Sequence[str], *, multirun: bool) -> int:
    """Show what became of the jobs, and compare their runs; returns the exit status."""
    entries = job.register.close()
    if job.error is not None:
        raise job.error
    if multirun and not entries:
        raise UserError(_no_jobs(overrides))
    try:
        sweep.compare_all(entries)
    finally:  # the last lines say what failed
        sys.stdout.flush()
        sweep.show(entries)
    return 1 if any(entry.result == FAILED for entry in entries) else 0


@contextmanager
def _surroundings(arguments: Sequence[str]) -> Iterator[None]:
    """Set Hydra's arguments, and the variable without which Hydra exits the process on an error.

    A variable of ours that is empty is not set: the configuration would have its empty text, and no default.
    """
    empty = {name: None for name, text in os.environ.items() if name.startswith("SEQ2SEQ_LAB_") and not text}
    argv = sys.argv
    sys.argv = ["seq2seq-lab train", *arguments]
    try:
        with environment({**empty, "HYDRA_FULL_ERROR": "1"}):
            yield
    finally:
        sys.argv = argv


def _output_dir(overrides: Sequence[str]) -> Path:
    """The folder for a sweep's register. It is needed before any configuration is composed, as all jobs write to it."""
    given = [each.value() for each in _parsed(overrides) if each.key_or_group == "output_dir"]
    one = given and isinstance(given[-1], str) and given[-1] and "${" not in given[-1]
    path = Path(given[-1]) if one else outputs()  # also of several folders
    check_output_dir(str(path))
    return path.absolute()


def _swept(overrides: Sequence[str]) -> dict[str, int]:
    """The keys that have several values, such as `seed=0,1` or `seed=range(3)`, and the number of these."""
    return {
        each.key_or_group: len(values) for each in _parsed(overrides) if (values := _values(each)) is not None
    }


def _values(override: Any) -> list[str] | None:
    """The values that an override sweeps over; None if it is no sweep, or they cannot be listed, as those of `glob`."""
    from hydra.errors import HydraException

    with suppress(HydraException, ValueError):  # the latter of a range that has no step
        return list(override.sweep_string_iterator()) if override.is_sweep_override() else None
    return None


def _experiments(overrides: Sequence[str], parts: Sequence[Sequence[str]]) -> list[str]:
    """The experiments that only some of the jobs of a sweep have."""
    found: list[str] = []
    for number, part in enumerate([overrides, *parts]):
        for each in _parsed(part):
            values = _values(each) or ([str(each.value())] if number else [])
            found += values if each.key_or_group == EXPERIMENT else []
    return found


def _parsed(overrides: Sequence[str]) -> list[Any]:
    """The overrides by Hydra's parser, without those that it cannot read: Hydra reports them, with an explanation."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    found = []
    for override in overrides:
        with suppress(HydraException):
            found.append(OverridesParser.create().parse_override(override))
    return found


def _no_jobs(overrides: Sequence[str]) -> str:
    empty = [each for each in overrides if "glob(" in each or not math.prod(_swept([each]).values())]
    return f"{' '.join(empty) or 'the sweep'}: no value, so there is nothing to train"
