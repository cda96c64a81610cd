"""The scalars of a run, one row per epoch."""

import csv
import io
import math
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger, TensorBoardLogger

from seq2seq_lab.evaluation.measures import TRAINING_LOSS, Measure, measure, tensorboard_tag
from seq2seq_lab.files import write_text
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.events import steps_of
from seq2seq_lab.training.module import TranslationModule


class EpochScalars(pl.Callback):
    """Writes the scalars of each epoch to every logger and to metrics.csv; the step is the epoch, counted from 1.

    Args:
        described: measures that are not in the registry, by name.
    """

    def __init__(self, described: Mapping[str, Measure] | None = None) -> None:
        self.describe = partial(measure, described=described)
        self.rows: list[dict[str, float]] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell the trackers of a run that goes on what it has measured, as they begin anew in each process.

        TensorBoard's files go on, see `runs.events`; they lack the epochs of which another logger was told.
        """
        for logger in trainer.loggers if self.rows else ():
            goes_on = isinstance(logger, TensorBoardLogger)
            told = steps_of(Path(trainer.default_root_dir), TRAINING_LOSS) if goes_on else ()
            for row in self.rows:
                if row["epoch"] not in told:
                    _log(logger, row)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note what the module measured in this epoch, for the callbacks of the user that follow."""
        assert isinstance(pl_module, TranslationModule)
        scalars, pl_module.scalars = pl_module.scalars, {}
        self.rows.append({"epoch": trainer.current_epoch + 1, **scalars})

    def write(self, trainer: pl.Trainer, others: Collection[str]) -> None:
        """Write the values of this epoch.

        Args:
            others: names of what callbacks of the user logged in it.
        """
        logged, row = trainer.callback_metrics, self.rows[-1]
        row |= {name: float(logged[name]) for name in sorted(others) if name in logged and name not in row}
        for logger in trainer.loggers:
            _log(logger, row)
        columns = dict.fromkeys(name for row in self.rows for name in row)
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(Path(trainer.default_root_dir) / layout.METRICS, text.getvalue())

    def has_measured(self, metric: str, epoch: int) -> bool:
        """Whether a metric was measured in an epoch, counted from 1.

        Lightning goes on showing the last value to the callbacks of epochs without an evaluation.
        """
        return any(row["epoch"] == epoch and metric in row for row in self.rows[-1:])

    def state_dict(self) -> dict[str, Any]:
        """The rows so far; the table of a resumed run begins with them."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the rows."""
        self.rows = list(state_dict["rows"])

    @property
    def last(self) -> dict[str, float]:
        """The latest value of each scalar."""
        return {name: value for row in self.rows for name, value in row.items() if name != "epoch"}

    @property
    def best(self) -> dict[str, dict[str, float]]:
        """The best value of each metric that has a better direction, and its epoch; of equal values, the last."""
        best: dict[str, dict[str, float]] = {}
        for row in self.rows:
            for name, value in row.items():
                sign = {"higher": 1, "lower": -1}.get(self.describe(name).better or "", 0)
                if not sign or not math.isfinite(value):
                    continue
                if name not in best or sign * value >= sign * best[name]["value"]:
                    best[name] = {"value": value, "epoch": int(row["epoch"])}
        return best


class WriteScalars(pl.Callback):
    """Has `EpochScalars` write an epoch: after the callbacks of the user have logged, before a checkpoint is saved."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write it."""
        assert isinstance(pl_module, TranslationModule)
        others, pl_module.others = pl_module.others, set()
        scalars_of(trainer).write(trainer, others)


def _log(logger: Logger, row: Mapping[str, float]) -> None:
    tag = tensorboard_tag if isinstance(logger, TensorBoardLogger) else str
    scalars = {tag(name): value for name, value in row.items() if name != "epoch"}
    logger.log_metrics(scalars, step=int(row["epoch"]))


def scalars_of(trainer: pl.Trainer) -> EpochScalars:
    """The callback of a run that has its scalars."""
    (found,) = (each for each in trainer.callbacks if isinstance(each, EpochScalars))  # type: ignore[attr-defined]
    return found
