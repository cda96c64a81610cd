"""One training run, from a composed configuration to a finished folder."""

import logging
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.exceptions import MisconfigurationException  # type: ignore[attr-defined]

from seq2seq_lab.data.datamodule import TranslationDataModule
from seq2seq_lab.errors import UserError, first_line, of_files
from seq2seq_lab.evaluation.measures import to_dict
from seq2seq_lab.runs.identity import fingerprint
from seq2seq_lab.runs.place import remember
from seq2seq_lab.runs.reference import read_reference
from seq2seq_lab.runs.run import Run
from seq2seq_lab.training.callbacks.early_stopping import why_stopped
from seq2seq_lab.training.callbacks.interruption import (
    Interrupted,
    Interruption,
    Pruned,
    ShouldPrune,
    TimeOver,
)
from seq2seq_lab.training.callbacks.scalars import EpochScalars, scalars_of
from seq2seq_lab.training.callbacks.summary import Summary
from seq2seq_lab.training.cautions import show_cautions
from seq2seq_lab.training.ddp import meet, watched
from seq2seq_lab.training.loggers.base import close, errors_explained
from seq2seq_lab.training.machine import check_accelerator, set_threads
from seq2seq_lab.training.module import DivergenceError, TranslationModule
from seq2seq_lab.training.parts.data import make_data
from seq2seq_lab.training.parts.metrics import check_metrics, described
from seq2seq_lab.training.parts.module import make_module
from seq2seq_lab.training.parts.trainer import make_trainer, max_time
from seq2seq_lab.training.processes import run_of_process, start_processes, to_start
from seq2seq_lab.training.resume import Start
from seq2seq_lab.training.show import caution, show_result
from seq2seq_lab.training.test import evaluate_test


def train(
    config: Mapping[str, Any],
    folder: Path,
    *,
    jobs: int = 1,
    command: str | None = None,
    verbose: bool = False,
    should_prune: ShouldPrune | None = None,
) -> dict[str, float]:
    """Train one run in `folder`; returns the last value of every metric.

    A finished run is not trained again, and an interrupted run is resumed, unless `config["fresh"]` is true. With
    `trainer.fast_dev_run` it is tried in a temporary folder, and no run is left.

    Args:
        config: resolved and checked, with the group choices under `choices`.
        folder: the run's folder.
        jobs: number of runs that train at the same time on this machine and share its processors.
        command: the command line that launched it; None: that of this process.
        verbose: whether to print how the updates are made; always printed if `accelerate` is not `auto`.
        should_prune: as `callbacks.interruption.Interruption` takes it; it can be pickled.

    Raises:
        UserError: the configuration is invalid, and nothing was written; or training diverged.
        Interrupted: stopped by a signal; a checkpoint was written.
        KeyboardInterrupt: stopped by a signal, but the run was already complete.
    """
    if not config["trainer"].get("fast_dev_run"):
        return _train(config, folder, jobs=jobs, command=command, verbose=verbose, should_prune=should_prune)
    tried = {**config, "logger": {}, "fresh": False}
    with tempfile.TemporaryDirectory(prefix="seq2seq-lab-") as temporary:
        results = _train(tried, Path(temporary, folder.name), jobs=jobs, command=command, verbose=verbose)
    print(f"{folder}: tried with trainer.fast_dev_run={config['trainer']['fast_dev_run']}; no run is left")
    return results


def _train(
    config: Mapping[str, Any],
    folder: Path,
    *,
    jobs: int,
    command: str | None,
    verbose: bool,
    should_prune: ShouldPrune | None = None,
) -> dict[str, float]:
    """Train one run, or go on with it, in this process or in several."""
    run = Run(folder)
    with run_of_process(run, config["trainer"]) as own:
        start = Start(run, config)
        if start.finished:
            if start.has_other_length:  # an early stop ended it; with a schedule it would be another run
                data = make_data(config)
                start.check_length(make_module(config, data), data)
            return _already_finished(start)
        _prepare(config, jobs)
        if count := to_start(config["trainer"]):
            how = {"jobs": jobs, "command": command, "verbose": verbose, "should_prune": should_prune}
            return start_processes(count, _train, config, folder, **how)
        return _train_here(config, start, own, command=command, verbose=verbose, should_prune=should_prune)


def _train_here(
    config: Mapping[str, Any],
    start: Start,
    own: Run,
    *,
    command: str | None,
    verbose: bool,
    should_prune: ShouldPrune | None,
) -> dict[str, float]:
    """Train one run in this process: what it starts from is in the folder of the run, and it writes to `own`."""
    run = start.run
    first = own is run  # of the processes of the run
    data = make_data(config)
    module = make_module(config, data)
    check_metrics(config, module)
    reference = read_reference(config["reference"])
    scalars = EpochScalars(described(module))
    interruption = Interruption(
        own.last_checkpoint, max_time(config["trainer"]), should_prune if first else None
    )
    trainer = make_trainer(
        config if first else {**config, "logger": {}}, own, scalars, interruption, start.identity
    )
    data.trainer = trainer  # whose limits the loader follows; Lightning would set it later
    start.load(module, data)
    meet(trainer, (fingerprint(config), data.corpus.fingerprint, start.checkpoint and start.checkpoint.name))
    shown = verbose or config["choices"]["accelerate"] != "auto"
    with own.lock():
        summary = Summary(own, scalars, seconds=start.seconds, show_updates=shown)
        start.open_folder(
            own, data, measures=to_dict(described(module).values()), reference=reference, command=command
        )
        try:  # from here on the folder says that it is running
            trainer.callbacks.append(summary)  # type: ignore[attr-defined]
            print(f"training {run.folder}", flush=True)
            if first:
                remember(run.folder, config)
                show_cautions(config, data, module, start.trained_again())
            with errors_explained():
                _fit(trainer, module, data, start.checkpoint)
                if not first:
                    return scalars.last
                tested = evaluate_test(run, data, module, trainer, segments=config["segments"])
        except BaseException as error:
            if _while_interrupted(error):
                summary.write("interrupted")
                raise KeyboardInterrupt from error
            summary.write(*_ended(error), diverged=isinstance(error.__cause__, DivergenceError))
            raise
        finally:
            close(trainer.loggers)
        summary.write("finished", why_stopped(trainer), caution=caution(scalars, data, module))
    show_result(run, data, module, tested)
    if interruption.asked or interruption.asked_at:
        raise KeyboardInterrupt  # this run is complete, but the rest of the sweep must stop
    return scalars.last | tested


def _already_finished(start: Start) -> dict[str, float]:
    """Say that a run is not trained again; returns what it measured last."""
    print(f"{start.run.folder}: already finished, not trained again (use fresh=true to train it again)")
    for line in start.unused():
        print(f"  {line}")
    return dict(start.before["last"])


def _while_interrupted(error: BaseException) -> bool:
    """Whether an error came up while Ctrl-C was handled: what is half made may refuse to be taken down."""
    within = error.__context__
    while within is not None and not isinstance(within, KeyboardInterrupt):
        within = within.__context__
    return within is not None and not isinstance(error, KeyboardInterrupt | Interrupted)


def _ended(error: BaseException) -> tuple[str, str | None]:
    """The status of a run that an error ended, and why."""
    if isinstance(error, Pruned):
        return "interrupted", "a search gave it up, as it was worse than other trials at the same epoch"
    if isinstance(error, TimeOver):
        return "interrupted", "the time that trainer.max_time gives is over"
    if isinstance(error, Interrupted | KeyboardInterrupt | SystemExit):  # the last: a cluster's time limit
        return "interrupted", None
    return "failed", first_line(error)


def _fit(
    trainer: pl.Trainer, module: TranslationModule, data: TranslationDataModule, checkpoint: Path | None
) -> None:
    try:
        with watched(trainer):
            trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True if checkpoint else None)
    except (MisconfigurationException, DivergenceError) as error:
        raise UserError(f"{trainer.default_root_dir}: {first_line(error)}") from error
    except torch.cuda.OutOfMemoryError as error:
        raise UserError(
            f"{trainer.default_root_dir}: the GPU's memory is full; use a smaller loader.batch_size, or train fewer "
            "runs at the same time"
        ) from error
    except OSError as error:
        if of_files(error) is None:
            raise
        raise UserError(
            f"{trainer.default_root_dir}: cannot be written ({error.strerror}); the same command goes on from the last "
            "checkpoint"
        ) from error
    except SystemExit as error:
        if error.code == -1:  # a cluster's launcher has queued the job again
            raise
        raise KeyboardInterrupt from None  # Lightning turns a second Ctrl-C into this
    if not scalars_of(trainer).rows:
        raise UserError(f"{trainer.default_root_dir}: a callback ended training before its first epoch")


def _prepare(config: Mapping[str, Any], jobs: int) -> None:
    """Set the threads, check the device, and hide Lightning's advice, which does not apply here."""
    check_accelerator(config)
    set_threads(config, jobs)
    for library in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(library).setLevel(logging.WARNING)
    logging.getLogger("pytorch_lightning.profilers").setLevel(logging.INFO)  # the profile of trainer.profiler
    for message in (
        ".*use .self.log.*sync_dist.*",  # all processes measure the same, and log the values of the first one
        ".*treespec.*",
        ".*does not have many workers.*",
        ".*`srun` command is available.*",  # also where a job of a cluster is not Lightning's
        ".*Checkpoint directory .* exists.*",
        ".*Experiment logs directory .* exists.*",  # a run that goes on logs all its epochs again there
        ".*ModelCheckpoint with manual optimization.*",  # it saves what it should
        ".*could not find the monitored key.*",  # not in epochs without an evaluation
        r".*lr_scheduler\.step\(\). before .*",  # an accelerator's step is not the optimizer's
    ):
        warnings.filterwarnings("ignore", message=message)
