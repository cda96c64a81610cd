"""Updates the summary of a run while it trains."""

import time

import pytorch_lightning as pl

from seq2seq_lab.data.batches import Block
from seq2seq_lab.runs.checkpoint import epochs_of_checkpoints
from seq2seq_lab.runs.run import Run
from seq2seq_lab.training.callbacks.early_stopping import why_stopped
from seq2seq_lab.training.callbacks.scalars import EpochScalars
from seq2seq_lab.training.module import TranslationModule


class Summary(pl.Callback):
    """Updates the run's summary after each epoch, so that the summary of a killed run still shows its last epoch.

    Args:
        run: the run.
        scalars: the callback that stores the values of its metrics.
        seconds: training time before the run was resumed.
        show_updates: whether to print which implementation makes the updates.
    """

    def __init__(
        self, run: Run, scalars: EpochScalars, *, seconds: float = 0.0, show_updates: bool = False
    ) -> None:
        self.run = run
        self.show_updates = show_updates
        self.written = ""  # which implementation makes the updates, as it stands in the summary
        self.scalars = scalars
        self.started = time.monotonic() - seconds

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Do not go on with a run that was killed after it had stopped early."""
        trainer.should_stop = trainer.should_stop or why_stopped(trainer) is not None

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Block, batch_idx: int
    ) -> None:
        """Write which implementation makes the updates, where the module has selected another one for this epoch."""
        assert isinstance(pl_module, TranslationModule)
        chosen = pl_module.selection
        if chosen is None or str(chosen) == self.written:
            return
        self.written = str(chosen)
        parts = {"parts": list(chosen.parts)} if chosen.parts else {}
        made = {"updates": chosen.name, **parts, "refused": dict(chosen.refused)}
        self.run.write_summary(accelerate=made)
        if self.show_updates:
            print(chosen, flush=True)
        elif chosen.faults:
            print(f"updates are plain PyTorch's, which are slower: {chosen.faults}", flush=True)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the summary with the status `running`."""
        self.write("running")

    def write(
        self,
        status: str,
        stopped: str | None = None,
        *,
        caution: str | None = None,
        diverged: bool = False,
    ) -> None:
        """Write the summary.

        Args:
            status: running, finished, interrupted or failed.
            stopped: why training ended before its last epoch.
            caution: what a reader of the results should know.
            diverged: whether it ended training that the loss is not finite.
        """
        reached = {"epochs": len(self.scalars.rows), "last": self.scalars.last, "best": self.scalars.best}
        self.run.write_summary(
            status=status,
            stopped=stopped,
            caution=caution,
            diverged=diverged,
            **(reached if self.scalars.rows else {}),  # none yet: a run that goes on is not restored
            **({} if status == "running" else {"checkpoints": epochs_of_checkpoints(self.run)}),
            seconds=round(time.monotonic() - self.started, 3),
        )
