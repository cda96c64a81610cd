"""One training run, from a composed configuration to a finished folder."""

import logging
import math
import sys
import tempfile
import uuid
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.exceptions import MisconfigurationException  # type: ignore[attr-defined]

from seq2seq_lab.data.datamodule import TranslationDataModule
from seq2seq_lab.errors import UserError, first_line, of_files, printable
from seq2seq_lab.evaluation.measures import measure, to_dict
from seq2seq_lab.launch.machine import check_accelerator, set_threads
from seq2seq_lab.runs.events import discard_after
from seq2seq_lab.runs.load import start_from
from seq2seq_lab.runs.naming import remember
from seq2seq_lab.runs.reference import read_reference
from seq2seq_lab.runs.run import Run
from seq2seq_lab.targets.gold import Gold
from seq2seq_lab.training.callbacks.early_stopping import why_stopped
from seq2seq_lab.training.callbacks.interruption import Interrupted, Interruption, TimeOver
from seq2seq_lab.training.callbacks.progress import on_screen
from seq2seq_lab.training.callbacks.samples import translate_block
from seq2seq_lab.training.callbacks.scalars import EpochScalars
from seq2seq_lab.training.callbacks.summary import Summary
from seq2seq_lab.training.loggers.base import close, errors_explained
from seq2seq_lab.training.module import DivergenceError, TranslationModule
from seq2seq_lab.training.parts import (
    check_metrics,
    described,
    make_data,
    make_module,
    make_trainer,
    max_time,
)
from seq2seq_lab.training.resume import check_end, epochs_of, is_longer, resumable, resume_from, unused
from seq2seq_lab.training.test import evaluate_test

SAMPLES = 10  # translations shown at the end


def train(
    config: Mapping[str, Any],
    folder: Path,
    *,
    jobs: int = 1,
    command: str | None = None,
    verbose: bool = False,
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

    Raises:
        UserError: the configuration is invalid, and nothing was written; or training diverged.
        Interrupted: stopped by a signal; a checkpoint was written.
        KeyboardInterrupt: stopped by a signal, but the run was already complete.
    """
    if not config["trainer"].get("fast_dev_run"):
        return _train(config, folder, jobs=jobs, command=command, verbose=verbose)
    tried = {**config, "logger": {}, "fresh": False}
    with tempfile.TemporaryDirectory(prefix="seq2seq-lab-") as temporary:
        results = _train(tried, Path(temporary, folder.name), jobs=jobs, command=command, verbose=verbose)
    print(f"{folder}: tried with trainer.fast_dev_run={config['trainer']['fast_dev_run']}; no run is left")
    return results


def _train(
    config: Mapping[str, Any], folder: Path, *, jobs: int, command: str | None, verbose: bool
) -> dict[str, float]:
    """Train one run, or go on with it."""
    run = Run(folder)
    resume, before = resumable(run, config), run.summary()
    if resume and before.get("status") == "finished" and not is_longer(run, config):
        return _already_finished(run, config)
    _prepare(config, jobs)
    data = make_data(config)
    known = before.get("corpus", {}).get("fingerprint")  # not in a damaged summary
    if resume and known not in (None, data.corpus.fingerprint):
        raise UserError(f"{folder} was started on different sentence pairs; use fresh=true to replace it")
    module = make_module(config, data)
    check_metrics(config, module)
    reference = read_reference(config["reference"])
    scalars = EpochScalars(described(module))
    identity = str((resume and before.get("identity")) or uuid.uuid4().hex[:16])
    interruption = Interruption(run.last_checkpoint, max_time(config["trainer"]))
    trainer = make_trainer(config, run, scalars, interruption, identity)
    if resume:
        check_end(run, module, data, config)
    checkpoint = resume_from(run, module) if resume else None
    init_from = _initialise(config, module, data) if checkpoint is None else before.get("init_from")
    with run.lock():
        _check_unchanged(run, before)
        seconds = before.get("seconds", 0.0) if checkpoint else 0.0
        shown = verbose or config["choices"]["accelerate"] != "auto"
        summary = Summary(run, scalars, seconds=seconds, show_updates=shown)
        trainer.callbacks.append(summary)  # type: ignore[attr-defined]
        if checkpoint is None:
            run.clear()
        else:
            discard_after(folder, epochs_of(checkpoint))
        run.begin(
            config,
            data.corpus,
            max_length=data.max_length,
            loss_floor=data.loss_floor,
            measures=to_dict(described(module).values()),
            reference=reference,
            init_from=init_from,
            command=command,
            identity=identity,
            goes_on=checkpoint is not None,
        )
        remember(folder, config)
        print(f"training {folder}", flush=True)
        _show_caution(data)
        try:
            with errors_explained():
                _fit(trainer, module, data, checkpoint)
                tested = evaluate_test(run, data, module, trainer, segments=config["segments"])
        except BaseException as error:
            summary.write(*_ended(error))
            raise
        finally:
            close(trainer.loggers)
        summary.write("finished", why_stopped(trainer), caution=_caution(scalars, data, module))
    _show_result(run, data, module, tested)
    if interruption.asked:
        raise KeyboardInterrupt  # this run is complete, but the rest of the sweep must stop
    return scalars.last | tested


def _already_finished(run: Run, config: Mapping[str, Any]) -> dict[str, float]:
    """Say that a run is not trained again; returns what it measured last."""
    print(f"{run.folder}: already finished, not trained again (use fresh=true to train it again)")
    for line in unused(run, config):
        print(f"  {line}")
    return dict(run.summary()["last"])


def _check_unchanged(run: Run, before: Mapping[str, Any]) -> None:
    if run.summary() != before:
        raise UserError(
            f"{run.folder} was just trained by another process; run the same command again to resume it"
        )


def _ended(error: BaseException) -> tuple[str, str | None]:
    """The status of a run that an error ended, and why."""
    if isinstance(error, TimeOver):
        return "interrupted", "the time that trainer.max_time gives is over"
    if isinstance(error, Interrupted | KeyboardInterrupt | SystemExit):  # the last: a cluster's time limit
        return "interrupted", None
    return "failed", first_line(error)


def _caution(scalars: EpochScalars, data: TranslationDataModule, module: TranslationModule) -> str | None:
    """What a reader should know of a finished run: a loss far above that of a uniform guess has diverged."""
    loss, uniform = scalars.last.get("train/loss"), math.log(len(data.corpus.target_vocabulary))
    if loss is None or not loss > 2 * uniform or not isinstance(module.target, Gold):
        return None
    return (
        f"train/loss is {loss:.3g} at the end, and that of a uniform guess {uniform:.2f}: training diverged; try a "
        "smaller optimizer.lr, or gradient_clip=1"
    )


def _show_caution(data: TranslationDataModule) -> None:
    """The first of the cautions about the sentences, and how many more there are, in one line."""
    first, *others = [*data.corpus.cautions] or [""]
    more = f" ({len(others)} more: seq2seq-lab data)" if others else ""
    if first:
        print(f"caution: {printable(first)}{more}", file=sys.stderr, flush=True)


def _initialise(
    config: Mapping[str, Any], module: TranslationModule, data: TranslationDataModule
) -> dict[str, str] | None:
    """Give the model the weights of the run that `init_from` names; returns what the summary says of it."""
    if config["init_from"] is None:
        return None
    corpus = data.corpus
    words = {"source": corpus.source_vocabulary, "target": corpus.target_vocabulary}
    which = config["init_from_checkpoint"]
    return start_from(config["init_from"], module.model, words, config, which=which)


def _fit(
    trainer: pl.Trainer, module: TranslationModule, data: TranslationDataModule, checkpoint: Path | None
) -> None:
    try:
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
    finally:
        module.close()


def _prepare(config: Mapping[str, Any], jobs: int) -> None:
    """Set the threads, check the device, and hide Lightning's advice, which does not apply here."""
    check_accelerator(config)
    set_threads(config, jobs)
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    logging.getLogger("pytorch_lightning.profilers").setLevel(logging.INFO)  # the profile of trainer.profiler
    for message in (
        ".*use .self.log.*sync_dist.*",  # only the process that evaluates logs
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


def _show_result(
    run: Run, data: TranslationDataModule, module: TranslationModule, tested: Mapping[str, float]
) -> None:
    summary = run.summary()
    part = "held-out" if data.evaluated == "val" else "training"
    chosen = np.random.default_rng(1).permutation(data.evaluation)[:SAMPLES]
    samples = translate_block(data.block(chosen), data, module)
    loss = summary["last"].get("train/loss", float("nan"))
    print()
    for note in (summary["stopped"], summary["caution"]):
        if note:
            print(f"{run.folder}: {note}")
    if tested:
        shown = {name: value for name, value in tested.items() if measure(name).shown}
        print(on_screen("  ".join(f"{name} {value:.4g}" for name, value in shown.items())))
        print("test: the {checkpoint} checkpoint, of epoch {epoch}".format(**summary["tested"]))
    print(
        f"{run.folder}: train/loss {loss:.4f} after {summary['epochs']} epochs, {summary['seconds']:.1f} s",
        f"some {part} sentences: source → reference → hypothesis",
        *(
            on_screen(f"  {each['source']} → {each['references'][0]} → {each['hypothesis']}")
            for each in samples
        ),
        sep="\n",
        flush=True,
    )
