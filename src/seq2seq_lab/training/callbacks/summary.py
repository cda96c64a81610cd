"""The summary of a run, kept up to date while it trains."""

import time

import pytorch_lightning as pl

from seq2seq_lab.runs.run import Run
from seq2seq_lab.training.callbacks.scalars import EpochScalars


class Summary(pl.Callback):
    """Keeps the run's summary up to date, an epoch at a time, so that one that was killed tells how far it came.

    Args:
        run: whose summary.
        scalars: what it has measured.
        seconds: that an earlier part of the run took.
    """

    def __init__(self, run: Run, scalars: EpochScalars, seconds: float) -> None:
        self.run = run
        self.scalars = scalars
        self.started = time.monotonic() - seconds

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write it."""
        self.write("running")

    def write(self, status: str) -> None:
        """Write it, with a status: running, finished, interrupted or failed."""
        self.run.write_summary(
            status=status,
            epochs=len(self.scalars.rows),
            last=self.scalars.last,
            best=self.scalars.best,
            seconds=round(time.monotonic() - self.started, 3),
        )
