"""The summary of a run, kept up to date while it trains."""

import time

import pytorch_lightning as pl

from seq2seq_lab.runs.run import Run
from seq2seq_lab.training.callbacks.scalars import EpochScalars
from seq2seq_lab.training.module import TranslationModule


class Summary(pl.Callback):
    """Keeps the run's summary up to date, an epoch at a time, so that one that was killed tells how far it came.

    Args:
        run: whose summary.
        scalars: what it has measured.
        seconds: that an earlier part of the run took.
        show_updates: whether to print what makes the updates.
    """

    def __init__(
        self, run: Run, scalars: EpochScalars, *, seconds: float = 0.0, show_updates: bool = False
    ) -> None:
        self.run = run
        self.show_updates = show_updates
        self.updates_written = False
        self.scalars = scalars
        self.stopped: str | None = None  # why training ended before its last epoch
        self.started = time.monotonic() - seconds

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write, once, what makes the updates; `on_train_start` is called before the module has selected it."""
        assert isinstance(pl_module, TranslationModule)
        chosen = pl_module.selection
        if chosen is None or self.updates_written:
            return
        self.updates_written = True
        self.run.write_summary(accelerate={"updates": chosen.name, "refused": dict(chosen.refused)})
        if self.show_updates:
            print(chosen, flush=True)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write it."""
        self.write("running")

    def write(self, status: str) -> None:
        """Write it, with a status: running, finished, interrupted or failed."""
        self.run.write_summary(
            status=status,
            stopped=self.stopped,
            epochs=len(self.scalars.rows),
            last=self.scalars.last,
            best=self.scalars.best,
            seconds=round(time.monotonic() - self.started, 3),
        )
