"""Hydra's launcher of a sweep, and what goes on beside its jobs."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from seq2seq_lab.config.options import chosen_by, said_by
from seq2seq_lab.config.schema import EXPERIMENT
from seq2seq_lab.errors import UserError
from seq2seq_lab.launch import slurm, sweep
from seq2seq_lab.launch.register import Register

_GROUP = "hydra/launcher"
_SWEEPER = "hydra/sweeper"


def launcher(overrides: Sequence[str], extra: Sequence[Path]) -> str | None:
    """The option of `hydra/launcher`: of the command line, else of the experiment; None: Hydra's own.

    It has to be known before Hydra composes anything, as what goes on beside the jobs begins before them.

    Args:
        overrides: of the command line.
        extra: folders of the user's own options.
    """
    return _chosen(_GROUP, overrides, extra)


def with_sweeper(overrides: Sequence[str], extra: Sequence[Path]) -> list[str]:
    """The overrides, with the option of `hydra/sweeper` that the experiment chooses: ours would win over it."""
    chosen = _chosen(_SWEEPER, overrides, extra)
    given = chosen is None or any(each.startswith(f"{_SWEEPER}=") for each in overrides)
    return [*overrides, *([] if given else [f"{_SWEEPER}={chosen}"])]


def refuse_ignored(swept: Sequence[str], overrides: Sequence[str], extra: Sequence[Path]) -> None:
    """Refuse experiments that are swept over and say how to sweep: Hydra reads its own keys before the jobs.

    Args:
        swept: the experiments that only some of the jobs have.
        overrides: of all jobs; what they say themselves is followed.
        extra: folders of the user's own options.

    Raises:
        UserError: one of them has such a key, or chooses a launcher or a sweeper.
    """
    for option in swept:
        found = [
            f"hydra.{node}.{key}"
            for hydra in said_by(EXPERIMENT, option, "hydra", extra)
            for node in ("sweeper", "launcher")
            if isinstance(its := hydra.get(node), dict) and _chosen(f"hydra/{node}", overrides, extra) is None
            for key in its
            if not any(each.lstrip("+").startswith(f"hydra.{node}.{key}=") for each in overrides)
        ]
        for group in (_GROUP, _SWEEPER):
            if (chosen := chosen_by(EXPERIMENT, option, group, extra)) and _chosen(
                group, overrides, extra
            ) is None:
                found.append(f"{group}={chosen}")
        if found:
            raise UserError(
                f"{EXPERIMENT}={option}: its {found[0]} would have no effect, as only some jobs have this experiment; "
                f"give it in a command of its own: train -m {EXPERIMENT}={option}"
            )


def _chosen(group: str, overrides: Sequence[str], extra: Sequence[Path]) -> str | None:
    given = dict(each.split("=", 1) for each in overrides if "=" in each)
    if group in given:
        return given[group]
    return chosen_by(EXPERIMENT, given.get(EXPERIMENT, ""), group, extra)


def attending(chosen: str | None, register: Register) -> AbstractContextManager[None]:
    """What goes on beside the jobs of a launcher."""
    if chosen == "joblib":
        return sweep.stopping(register)
    return slurm.queue(register) if chosen == slurm.LAUNCHER else nullcontext()
