"""Which checkpoint of a run is loaded: the same rule for every command, and in Python."""

from pathlib import Path
from typing import Literal

from seq2seq_lab.errors import UserError
from seq2seq_lab.runs.run import Run

Which = Literal["best", "last"]
WHICH: tuple[Which, ...] = ("best", "last")


def check_which(which: str | None) -> None:
    """Raise `UserError` for a kind of checkpoint that there is not."""
    if which not in (None, *WHICH):
        raise UserError(f"checkpoint: {which!r} is neither {' nor '.join(WHICH)}")


def find_checkpoint(path: str | Path, which: Which | None = None) -> tuple[Run, Path]:
    """A run and its checkpoint.

    Args:
        path: the run's folder.
        which: the best or the last; None: the best where there is one, else the last.

    Raises:
        UserError: there is no such kind of checkpoint, the folder is not a run, or the run has none.
    """
    check_which(which)
    run = Run(Path(path))
    if not run.exists():
        what = "is not a run: it has no config.yaml" if run.folder.exists() else "does not exist"
        raise UserError(f"{path} {what}; a run's folder looks like outputs/attention-mixed-0.5/seed-0")
    has_best = run.best_checkpoint.exists()
    checkpoint = (
        run.best_checkpoint if which == "best" or (which is None and has_best) else run.last_checkpoint
    )
    if not checkpoint.exists() and run.finished:
        raise UserError(
            f"{path} was trained without {checkpoint.name}: its callbacks keep none; train it with "
            "callbacks=[default,…]"
        )
    if not checkpoint.exists():
        raise UserError(f"{path} has no checkpoint {checkpoint.name} yet; let the run finish its first epoch")
    return run, checkpoint


def name_of(path: str | Path, which: Which | None = None) -> Which:
    """Whether it is the best or the last; as `find_checkpoint`."""
    run, checkpoint = find_checkpoint(path, which)
    return "best" if checkpoint == run.best_checkpoint else "last"
