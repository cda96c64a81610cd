"""Ctrl-C and SIGTERM."""

import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint


class Interrupted(Exception):  # noqa: N818, since it is no error
    """The user or the system asked the run to stop; a checkpoint was written."""


class Interruption(Checkpoint):
    """Ctrl-C and SIGTERM end a run at the end of a block, with a checkpoint that it can go on from exactly.

    A second signal ends it at once. Lightning calls a `Checkpoint` after all other callbacks, so that what it saves is
    their state at the end of the epoch.
    """

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        self.asked = False
        self._before: dict[int, Any] = {}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remember who listens, before Lightning does."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Listen; had it begun earlier, Lightning would put it back when the run has ended."""
        for number in self._before:
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        print("\nstopping at the end of this block; once more to stop at once", file=sys.stderr, flush=True)
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop if asked."""
        if self.asked and not trainer.is_last_batch:  # else the epoch's end comes first
            self._stop(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the epoch if asked to stop while it ended."""
        if self.asked:
            trainer.save_checkpoint(self.checkpoint)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop if asked while the last epoch ended."""
        if self.asked:
            raise Interrupted

    def _stop(self, trainer: pl.Trainer) -> None:
        trainer.save_checkpoint(self.checkpoint)
        raise Interrupted

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Listen no more."""
        self._restore()
