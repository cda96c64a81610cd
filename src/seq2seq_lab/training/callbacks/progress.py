"""The progress of a run where the output is not a terminal."""

import pytorch_lightning as pl

from seq2seq_lab.training.module import TranslationModule


class Lines(pl.Callback):
    """Prints one line per epoch, where the output is not a terminal.

    Args:
        name: the name of the run in each line, as the runs of a sweep may share one log.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print what the module measured in this epoch. Must be called before `EpochScalars`, which clears it."""
        assert isinstance(pl_module, TranslationModule)
        values = "  ".join(f"{name} {value:.4g}" for name, value in pl_module.scalars.items())
        print(f"{self.name} epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  {values}", flush=True)
