"""A run at one of its checkpoints, as a run of its own: so the best and the last can be compared."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from seq2seq_lab.errors import UserError
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.chosen import WHICH, Which
from seq2seq_lab.runs.evaluations import Evaluated, read_evaluations
from seq2seq_lab.runs.outdated import checkpoint_epochs
from seq2seq_lab.runs.run import Run

KEY = "checkpoint"  # of its configuration, by which it is grouped


class AtCheckpoint(Run):
    """A run at a checkpoint: its curves end at that epoch, and its evaluations are those of that checkpoint.

    Args:
        run: the whole run.
        which: its best or its last checkpoint.
    """

    def __init__(self, run: Run, which: Which) -> None:
        super().__init__(run.folder, f"{run.name} ({which})")
        self.whole = run
        self.which = which

    @property
    def epoch(self) -> int | None:
        """The epoch of the checkpoint; None if that is not known."""
        if (known := checkpoint_epochs(self.whole.summary()).get(self.which)) is not None:
            return known
        if self.which == "last":
            return self.whole.epochs or None
        return next((each.epoch for each in self._found if each.epoch is not None), None)

    @property
    def _found(self) -> list[Evaluated]:
        folder = self.folder / layout.EVALUATION
        kept, _ = read_evaluations(folder / self.which)
        return [
            each
            for each in (*self.whole.evaluations.values(), *kept.values())
            if each.checkpoint == self.which
        ]

    @cached_property
    def _config(self) -> dict[str, Any]:
        return self.whole.config() | {KEY: self.which}

    @cached_property
    def _metrics(self) -> tuple[dict[str, dict[int, float]], list[str]]:
        curves, end = self.whole.curves(), self.epoch
        if end is None:
            return {}, []
        cut = {metric: {e: v for e, v in curve.items() if e <= end} for metric, curve in curves.items()}
        return {metric: curve for metric, curve in cut.items() if curve}, []

    @cached_property
    def _evaluations(self) -> tuple[dict[str, Evaluated], list[str]]:
        of_now = [each for each in self._found if each.epoch in (None, self.epoch)]
        return {each.path.stem: each for each in reversed(of_now)}, []


def at_checkpoints(runs: Sequence[Run], several: str | Sequence[Which]) -> tuple[list[Run], list[str]]:
    """Each run at each of several checkpoints, and notes on those that were not evaluated.

    Raises:
        UserError: one is neither best nor last.
    """
    named = parse_checkpoints(several if isinstance(several, str) else ",".join(several))
    found = [AtCheckpoint(run, which) for run in runs for which in named]
    missing = [each for each in found if not each.evaluations]
    notes = [
        f"{each.name}: this checkpoint is not evaluated; seq2seq-lab evaluate {each.folder} --checkpoint {each.which}"
        for each in missing[:3]
    ]
    more = [f"and {len(missing) - 3} more checkpoints are not evaluated"] if len(missing) > 3 else []
    return list(found), [*notes, *more]


def parse_checkpoints(text: str | None) -> list[Which]:
    """The checkpoints of a text such as `best,last`; none for None.

    Raises:
        UserError: one is neither best nor last.
    """
    names = [] if text is None else [each.strip() for each in text.split(",")]
    found: list[Which] = [each for each in WHICH if each in names]
    if unknown := [name for name in names if name not in WHICH]:
        raise UserError(f"checkpoints: {unknown[0]!r} is neither best nor last")
    return found
