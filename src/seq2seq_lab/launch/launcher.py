"""Hydra's launcher of a sweep, and what goes on beside its jobs."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from seq2seq_lab.config.options import chosen_by
from seq2seq_lab.config.schema import EXPERIMENT
from seq2seq_lab.launch import slurm, sweep
from seq2seq_lab.launch.register import Register

_GROUP = "hydra/launcher"


def launcher(overrides: Sequence[str], extra: Sequence[Path]) -> str | None:
    """The option of `hydra/launcher`: of the command line, else of the experiment; None: Hydra's own.

    It has to be known before Hydra composes anything, as what goes on beside the jobs begins before them.

    Args:
        overrides: of the command line.
        extra: folders of the user's own options.
    """
    given = dict(each.split("=", 1) for each in overrides if "=" in each)
    if _GROUP in given:
        return given[_GROUP]
    return chosen_by(EXPERIMENT, given.get(EXPERIMENT, ""), _GROUP, extra)


def attending(chosen: str | None, register: Register) -> AbstractContextManager[None]:
    """What goes on beside the jobs of a launcher."""
    if chosen == "joblib":
        return sweep.stopping(register)
    return slurm.queue(register) if chosen == slurm.LAUNCHER else nullcontext()
