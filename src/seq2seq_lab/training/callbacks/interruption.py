"""Stop a run on Ctrl-C (SIGINT) and SIGTERM, and when its time is over, with a checkpoint."""

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint, ModelCheckpoint
from pytorch_lightning.utilities import rank_zero_only

from seq2seq_lab.runs import layout
from seq2seq_lab.training.callbacks.scalars import scalars_of

ShouldPrune = Callable[[Mapping[str, float], int], bool]
SAME_SIGNAL = 0.5  # seconds in which a second signal is the same one


class Interrupted(Exception):  # noqa: N818, as it is not an error
    """The user or the system asked the run to stop; a checkpoint was written."""


class TimeOver(Interrupted):
    """The time that `trainer.max_time` gives is over; a checkpoint was written."""


class Pruned(Interrupted):
    """A search gave the run up, as it is worse than others were at the same epoch; a checkpoint was written."""


class Interruption(Checkpoint):
    """On Ctrl-C or SIGTERM, saves a checkpoint at the end of the block and stops; the run can be resumed exactly there.

    A second signal ends it at once. Lightning calls a `Checkpoint` after all other callbacks, so that what it saves is
    their state at the end of the epoch.

    Args:
        checkpoint: the path to save to.
        max_time: seconds after which the run is stopped in the same way; None: no limit. Lightning's own limit cuts an
            epoch short, and a run could not go on from there.
        should_prune: is told the scalars of an epoch and its number, counted from 1; whether the run is given up.
    """

    def __init__(
        self, checkpoint: Path, max_time: float | None = None, should_prune: ShouldPrune | None = None
    ) -> None:
        self.checkpoint = checkpoint
        self.asked = False  # of all processes of the run, at the end of the last block
        self.asked_at = 0.0  # when the signal came to this process
        self.until = math.inf if max_time is None else time.monotonic() + max_time
        self.over = False
        self.should_prune = should_prune
        self.pruned = False
        self._before: dict[int, Any] = {}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Store the current signal handlers, before Lightning installs its own."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Install the handler; if it were installed earlier, Lightning would restore it after the run."""
        for number in self._before:
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked_at = time.monotonic()
        rank_zero_only(print)(
            "\nstopping at the end of this block; press Ctrl-C again to stop at once",
            file=sys.stderr,
            flush=True,
        )
        for each in self._before:
            signal.signal(each, self._ask_again)

    def _ask_again(self, number: int, frame: FrameType | None) -> None:
        # Ctrl-C in a terminal comes twice to a job of a sweep: from the terminal and from the sweep.
        if time.monotonic() - self.asked_at > SAME_SIGNAL:
            self._restore()
            os.kill(os.getpid(), number)

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop if a signal was received."""
        if (
            self._must_stop(trainer) and not trainer.is_last_batch
        ):  # the end of the epoch has its own hook below
            trainer.save_checkpoint(self.checkpoint)
            self._stop()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save a checkpoint if a signal was received during the end of the epoch, or the run is given up."""
        prune = bool(
            self.should_prune and self.should_prune(scalars_of(trainer).rows[-1], trainer.current_epoch + 1)
        )
        self.pruned = trainer.strategy.reduce_boolean_decision(prune, all=False)
        if self._must_stop(trainer):
            trainer.save_checkpoint(self.checkpoint)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop if a signal was received during the end of the last epoch."""
        if self._must_stop(trainer):
            self._stop()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remove the checkpoint of an earlier interruption, unless the run writes it at the end of each epoch.

        It is older than the trained model, and everything else would take it for that.
        """
        written = [
            each.filename for each in trainer.checkpoint_callbacks if isinstance(each, ModelCheckpoint)
        ]
        if self.checkpoint.stem not in written:
            for path in (self.checkpoint, self.checkpoint.with_name(layout.PREVIOUS)):
                path.unlink(missing_ok=True)

    def _must_stop(self, trainer: pl.Trainer) -> bool:
        """Whether any process of the run has received a signal, or its time is over: all of them stop at this place."""
        anywhere = partial(trainer.strategy.reduce_boolean_decision, all=False)
        self.asked = self.asked or anywhere(self.asked_at > 0)
        self.over = self.over or anywhere(time.monotonic() > self.until)
        return self.asked or self.over or self.pruned

    def _stop(self) -> None:
        raise Interrupted if self.asked else TimeOver if self.over else Pruned

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Restore the original signal handlers."""
        self._restore()
