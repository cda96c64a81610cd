"""Hyperparameters and results for TensorBoard's HParams tab."""

from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import TensorBoardLogger

from seq2seq_lab.training.callbacks.scalars import EpochScalars


class HyperParameters(pl.Callback):
    """Logs the hyperparameters of a run and its results for TensorBoard's HParams tab.

    Args:
        values: the hyperparameters, as a flat dictionary.
        results: names of the metrics to show.
        scalars: the callback that stores the values of these metrics.
    """

    def __init__(self, values: dict[str, Any], results: Sequence[str], scalars: EpochScalars) -> None:
        self.values = {key: value if value is not None else "none" for key, value in values.items()}
        self.results = results
        self.scalars = scalars

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the hyperparameters and the names of the results."""
        from torch.utils.tensorboard.summary import hparams

        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                writer = logger.experiment._get_file_writer()
                results = dict.fromkeys(map(_hparam, self.results))
                for summary in hparams(self.values, results):  # type: ignore[no-untyped-call]
                    writer.add_summary(summary)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the last values of the results."""
        values = {_hparam(name): value for name, value in self.scalars.last.items() if name in self.results}
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.log_metrics(values, step=trainer.current_epoch)


def _hparam(metric: str) -> str:
    return "hp/" + metric.replace("/", "_")
