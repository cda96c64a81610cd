"""The progress of a run in a log that is not a terminal."""

import pytorch_lightning as pl

from seq2seq_lab.training.module import TranslationModule


class Lines(pl.Callback):
    """A plain line an epoch, for logs that are not a terminal.

    Args:
        name: what to call the run; a sweep's runs may share a log.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print what the module measured in this epoch; comes before `EpochScalars` takes it."""
        assert isinstance(pl_module, TranslationModule)
        values = "  ".join(f"{name} {value:.4g}" for name, value in pl_module.scalars.items())
        print(f"{self.name} epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  {values}", flush=True)
