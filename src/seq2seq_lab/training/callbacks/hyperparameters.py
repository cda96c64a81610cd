"""Hyperparameters for TensorBoard's HParams tab."""

from collections.abc import Mapping

import pytorch_lightning as pl
from pytorch_lightning.loggers import TensorBoardLogger


class HyperParameters(pl.Callback):
    """Logs the hyperparameters of a run, once.

    No list of columns is written with them: TensorBoard takes the list of only one run for all of them, and would lose
    the settings that only another policy has. Without such a list it shows the settings and scalars of all runs.

    Args:
        values: the hyperparameters.
        trial: what the runs have in common that differ only in their seed; TensorBoard averages them.
    """

    def __init__(self, values: Mapping[str, bool | int | float | str], trial: str) -> None:
        self.values = dict(values)
        self.trial = trial

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log them; the event files of a run that goes on have them already."""
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb

        goes_on = trainer.current_epoch or trainer.global_step
        for logger in trainer.loggers:
            if not isinstance(logger, TensorBoardLogger):
                logger.log_hyperparams(self.values)
            elif not goes_on:
                writer = logger.experiment._get_file_writer()
                writer.add_summary(hparams_pb(self.values, trial_id=self.trial))
                writer.flush()
