"""Lightning's trainer of a run, with its callbacks and loggers."""

import re
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import (
    BackboneFinetuning,
    BatchSizeFinder,
    GradientAccumulationScheduler,
    LearningRateFinder,
    ModelCheckpoint,
    ModelPruning,
    OnExceptionCheckpoint,
    ProgressBar,
    StochasticWeightAveraging,
)
from pytorch_lightning.callbacks.spike import SpikeDetection

from seq2seq_lab.config.build import build, build_all, call
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs.run import Run
from seq2seq_lab.training.callbacks.checkpoint import AtomicCheckpointIO, Checkpoint
from seq2seq_lab.training.callbacks.hyperparameters import HyperParameters
from seq2seq_lab.training.callbacks.interruption import Interruption
from seq2seq_lab.training.callbacks.progress import Bar, Lines
from seq2seq_lab.training.callbacks.random_state import RandomState
from seq2seq_lab.training.callbacks.scalars import EpochScalars, WriteScalars
from seq2seq_lab.training.ddp import SharedStrategy
from seq2seq_lab.training.loggers import base as loggers
from seq2seq_lab.training.machine import devices, processes
from seq2seq_lab.training.parts.trackers import facts, hyper_parameters, trial

# Callbacks of Lightning that drive what a run does itself or need what it has not, and what to write instead.
_REFUSED: Mapping[type, str] = {
    BackboneFinetuning: "no module here has a backbone; write a subclass of BaseFinetuning",
    BatchSizeFinder: "write loader.batch_size=…, the pairs of an update",
    GradientAccumulationScheduler: "write loader.batch_size=…, the pairs of an update",
    LearningRateFinder: "write optimizer.lr=…, with -m several values",
    # Lightning saves no masks, so that a run that goes on would be another one.
    ModelPruning: "its masks are in no checkpoint that a run could go on from; leave it out",
    # Where there is one, Lightning goes on from the newest checkpoint in its folder, whatever run has written that.
    OnExceptionCheckpoint: "a run goes on from the checkpoints in its own folder; leave it out",
    ProgressBar: "a run shows its own progress; leave it out",
    SpikeDetection: "a run whose loss is not finite ends by itself; write gradient_clip=…, which limits an update",
    StochasticWeightAveraging: "write callbacks=[default,keep_last], and then seq2seq-lab evaluate RUN --average 5",
}


def make_trainer(
    config: Mapping[str, Any],
    run: Run,
    scalars: EpochScalars,
    interruption: Interruption,
    identity: str,
) -> pl.Trainer:
    """Lightning's trainer with the callbacks and loggers of the run; trackers know it by its identity."""
    settings = {key: value for key, value in config["trainer"].items() if key != "max_time"}
    if here := devices(settings):
        numbers = [each.index for each in here if each.index is not None]
        settings |= {"strategy": "auto", "accelerator": here[0].type, "devices": numbers or len(here)}
    several = {"strategy": SharedStrategy()} if processes(config["trainer"]) > 1 else {}
    chosen = [
        loggers.make(node, f"logger.{name}", str(run.folder), facts(config, run, identity))
        for name, node in config["logger"].items()
    ]
    own = build_all(config, "callbacks")
    for name, each in own.items():
        _check_callback(f"callbacks.{name}", each)
    on_terminal, metric = sys.stdout.isatty(), str(config["monitor"]["metric"])
    shown = f"{run.folder.parent.name}/{run.folder.name}"
    callbacks = [
        Bar(metric) if on_terminal else Lines(shown, metric),
        HyperParameters(hyper_parameters(config), trial(config, run)),
        scalars,
        RandomState(),
        *sorted(own.values(), key=_order),
        WriteScalars(),
        interruption,
    ]
    for each in callbacks:
        if (
            isinstance(each, ModelCheckpoint) and each.dirpath is None
        ):  # else Lightning would follow the first logger
            each.dirpath = str(Path(run.last_checkpoint).parent.absolute())
    given: dict[str, Any] = {
        "default_root_dir": str(run.folder),
        "logger": chosen,
        "callbacks": callbacks,
        "plugins": [AtomicCheckpointIO()],
        "enable_progress_bar": False,
        "log_every_n_steps": 1,
        **several,
    }  # of which the settings have at most what changes nothing (`check_trainer`)
    settings = {key: value for key, value in settings.items() if key not in given}
    trainer: pl.Trainer = call(build(settings, "trainer"), "trainer", **given)
    # With `max_steps` Lightning takes each start for one in the middle of an epoch: a run that goes on from the end of
    # one would have that epoch again, without a pair.
    trainer.fit_loop._iteration_based_training = lambda: False  # type: ignore[method-assign]
    if config["trainer"].get("overfit_batches"):  # Lightning limits both parts by it
        trainer.limit_val_batches = 1.0
    return trainer


def _check_callback(path: str, callback: Any) -> None:
    """Refuse what would not do what it says, before anything is written."""
    kind = type(callback).__name__
    if not isinstance(callback, pl.Callback):
        raise UserError(f"{path}: {kind} is not a callback of Lightning")
    for refused, instead in _REFUSED.items():
        if isinstance(callback, refused):
            raise UserError(f"{path}: a run does not follow {kind}; {instead}")
    if not isinstance(callback, Checkpoint) or callback.save_top_k in (0, 1):
        return
    if (name := callback.filename) and not re.search("{(epoch|step)", name):
        raise UserError(
            f"{path}.save_top_k: {callback.save_top_k} checkpoints would be one file, {name}.ckpt, which need not be "
            "the best of them; callbacks=[default,keep_best] keeps several"
        )


def _order(callback: pl.Callback) -> int:
    """When a callback is called: what stops training first, and what the run goes on from last.

    That checkpoint contains the state of the others, such as the best score. A kill between two writes then leaves an
    earlier state, from which the same files are written again.
    """
    if isinstance(callback, ModelCheckpoint):
        return 3 if callback.monitor is None else 2
    return 0 if isinstance(callback, pl.callbacks.EarlyStopping) else 1


def max_time(trainer: Mapping[str, Any]) -> float | None:
    """The seconds of `trainer.max_time`, which Lightning takes as DD:HH:MM:SS or as {hours: 1}; None: no limit."""
    given = trainer.get("max_time")
    if given is None:
        return None
    try:
        if isinstance(given, str):
            days, hours, minutes, seconds = map(int, given.split(":"))
            given = {"days": days, "hours": hours, "minutes": minutes, "seconds": seconds}
        return timedelta(**given).total_seconds()
    except (TypeError, ValueError):
        raise UserError(
            f"trainer.max_time: {given!r} is neither days:hours:minutes:seconds, as 00:08:00:00, nor as {{hours: 8}}"
        ) from None
