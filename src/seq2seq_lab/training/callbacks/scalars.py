"""What happens beside training: scalars, interruptions, hyper-parameters."""

import csv
import io
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger

from seq2seq_lab.files import write_text
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.run import Run
from seq2seq_lab.training.module import TranslationModule


class EpochScalars(pl.Callback):
    """One row an epoch, to every logger and to metrics.csv alike; the step of a logger is the epoch, from 1."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write what the module measured in this epoch."""
        assert isinstance(pl_module, TranslationModule)
        epoch = trainer.current_epoch + 1
        scalars, pl_module.scalars = pl_module.scalars, {}
        for logger in trainer.loggers:
            logger.log_metrics(scalars, step=epoch)
        self.rows.append({"epoch": epoch, **scalars})
        columns = dict.fromkeys(name for row in self.rows for name in row)
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(Path(trainer.default_root_dir) / layout.METRICS, text.getvalue())

    def state_dict(self) -> dict[str, Any]:
        """The rows so far: a resumed run's table begins with them."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take them back."""
        self.rows = list(state_dict["rows"])

    @property
    def last(self) -> dict[str, float]:
        """The newest value of each scalar."""
        return {name: value for row in self.rows for name, value in row.items() if name != "epoch"}

    @property
    def best(self) -> dict[str, dict[str, float]]:
        """The best value of each measure of quality and its epoch."""
        best: dict[str, dict[str, float]] = {}
        for row in self.rows:
            for name, value in row.items():
                sign = _better(name)
                if sign and (name not in best or sign * value > sign * best[name]["value"]):
                    best[name] = {"value": value, "epoch": int(row["epoch"])}
        return best


def _better(name: str) -> int:
    """1 where more of a metric is better, -1 where less is, 0 where neither."""
    kind = name.rpartition("/")[2]
    if kind in ("bleu", "chrf", "exact_match"):
        return 1
    return -1 if kind.startswith("loss") or kind == "exposure_gap" else 0


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


class Interrupted(Exception):  # noqa: N818, since it is no error
    """The user or the system asked the run to stop; a checkpoint was written."""


class Interruption(pl.Callback):
    """Ctrl-C and SIGTERM end a run at the end of a block, with a checkpoint that it can go on from exactly.

    A second signal ends it at once.
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


class RandomState(pl.Callback):
    """PyTorch's own random numbers (dropout) go on in a resumed run where they stopped."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """The states of the CPU's and, where GPUs are in use, of all their generators."""
        in_use = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        cuda = torch.cuda.get_rng_state_all() if in_use else []
        return {"cpu": torch.get_rng_state(), "cuda": cuda}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep them until all that draws while a run is set up has drawn."""
        self._loaded = state_dict

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Go on from them."""
        if self._loaded is not None:
            torch.set_rng_state(self._loaded["cpu"].cpu())
            if self._loaded["cuda"] and len(self._loaded["cuda"]) == torch.cuda.device_count():
                torch.cuda.set_rng_state_all([state.cpu() for state in self._loaded["cuda"]])
            self._loaded = None


class HyperParameters(pl.Callback):
    """What distinguishes runs, with their results, for TensorBoard's HParams tab.

    Args:
        values: the hyper-parameters, flat.
        results: names of the metrics to show.
        scalars: has their values.
    """

    def __init__(self, values: dict[str, Any], results: Sequence[str], scalars: EpochScalars) -> None:
        self.values = {key: value if value is not None else "none" for key, value in values.items()}
        self.results = results
        self.scalars = scalars

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Announce them."""
        from torch.utils.tensorboard.summary import hparams

        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                writer = logger.experiment._get_file_writer()
                results = dict.fromkeys(map(_hparam, self.results))
                for summary in hparams(self.values, results):  # type: ignore[no-untyped-call]
                    writer.add_summary(summary)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Fill in the results."""
        values = {_hparam(name): value for name, value in self.scalars.last.items() if name in self.results}
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.log_metrics(values, step=trainer.current_epoch)


def _hparam(metric: str) -> str:
    return "hp/" + metric.replace("/", "_")
