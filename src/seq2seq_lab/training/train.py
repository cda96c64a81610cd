"""One training run, from a composed configuration to a finished folder."""

import hashlib
import logging
import random
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities.exceptions import MisconfigurationException  # type: ignore[attr-defined]

from seq2seq_lab.config.check import build, call, check, first_line
from seq2seq_lab.data.datamodule import TranslationDataModule
from seq2seq_lab.decoding.greedy import greedy
from seq2seq_lab.errors import UserError
from seq2seq_lab.launch.machine import check_accelerator, set_threads
from seq2seq_lab.runs.load import read_checkpoint
from seq2seq_lab.runs.run import Run
from seq2seq_lab.training.callbacks.checkpoint import WholeFiles
from seq2seq_lab.training.callbacks.samples import translate_block
from seq2seq_lab.training.callbacks.scalars import (
    EpochScalars,
    HyperParameters,
    Interrupted,
    Interruption,
    Lines,
    RandomState,
    Summary,
)
from seq2seq_lab.training.module import EVALUATED, DivergenceError, TranslationModule

SAMPLES = 10  # translations shown at the end


def train(config: Mapping[str, Any], folder: Path, *, jobs: int = 1) -> dict[str, float]:
    """Train what `config` says into `folder`; returns the last value of every metric.

    A run that is finished is not trained again, one that was interrupted goes on, unless `config["fresh"]`.

    Args:
        config: resolved, as `config.resolve` gives it, with the group choices under `choices`.
        folder: the run's folder.
        jobs: runs that go on at once on this machine, to share its processors with.

    Raises:
        UserError: something in the configuration cannot be, and nothing was written; or training diverged.
        Interrupted: stopped by a signal; a checkpoint was written.
        KeyboardInterrupt: the same, but the run had come to its end.
    """
    check(config)
    run = Run(folder)
    resume, before = _resumable(run, config), run.summary()
    if resume and before.get("status") == "finished":
        print(f"{folder}: finished already, not trained again (fresh=true would)")
        return dict(before["last"])

    _quieten()
    set_threads(config, jobs)
    check_accelerator(config["trainer"])
    data = make_data(config)
    if resume and before.get("corpus", {}).get("fingerprint") != data.corpus.fingerprint:
        raise UserError(f"{folder} was begun on other pairs than data gives now; fresh=true replaces it")
    module = make_module(config, data)
    scalars = EpochScalars()
    _check_monitor(config["monitor"]["metric"], data.evaluated)
    interruption = Interruption(run.last_checkpoint)
    trainer = make_trainer(config, run, scalars, interruption, data.evaluated)
    checkpoint = run.last_checkpoint if resume and run.last_checkpoint.exists() else None
    if checkpoint is not None:
        read_checkpoint(checkpoint)  # a damaged one shows here, in words
    with run.held():
        if run.summary() != before:
            raise UserError(
                f"{folder} was just trained by another process; the same command goes on from there"
            )
        summary = Summary(run, scalars, seconds=before.get("seconds", 0.0) if checkpoint else 0.0)
        trainer.callbacks.append(summary)  # type: ignore[attr-defined]
        if checkpoint is None:
            run.clear()
        run.begin(config, data.corpus, max_length=data.max_length, loss_floor=data.loss_floor)
        print(f"training {folder}", flush=True)
        status = "failed"
        try:
            _fit(trainer, module, data, checkpoint)
            status = "finished"
        except (Interrupted, KeyboardInterrupt):
            status = "interrupted"
            raise
        finally:
            summary.write(status)
    _show_result(run, data, module)
    if interruption.asked:
        raise KeyboardInterrupt  # heard too late for this run, but not for the rest of a sweep
    return scalars.last


def _fit(
    trainer: pl.Trainer, module: TranslationModule, data: TranslationDataModule, checkpoint: Path | None
) -> None:
    try:
        trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True if checkpoint else None)
    except (MisconfigurationException, DivergenceError) as error:
        raise UserError(f"{trainer.default_root_dir}: {first_line(error)}") from error
    except SystemExit:  # what Lightning makes of a KeyboardInterrupt, a second Ctrl-C's
        raise KeyboardInterrupt from None


def _resumable(run: Run, config: Mapping[str, Any]) -> bool:
    """Whether the folder holds this very run; another one there is an error, nothing there is not."""
    if config["fresh"] or not run.exists():
        return False
    if (key := run.difference(config)) is not None:
        raise UserError(
            f"{run.folder} holds another run (it differs in {key}); give this one a name=… of its own, or replace "
            "it with fresh=true"
        )
    return True


def _quieten() -> None:
    """Lightning's advice is about loaders, loggers and GPUs that are not used here."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for message in (
        ".*treespec.*",
        ".*does not have many workers.*",
        ".*Checkpoint directory .* exists.*",
        ".*could not find the monitored key.*",  # not in epochs without an evaluation
    ):
        warnings.filterwarnings("ignore", message=message)


def _check_monitor(metric: str, evaluated: str) -> None:
    """Refuse a metric that this run does not measure, such as one of the other part of the data."""
    measured = ["train/loss", "train/forced_share", *(f"{evaluated}/{name}" for name in EVALUATED)]
    if metric in measured or metric.startswith("perf/"):
        return
    name = metric.rpartition("/")[2]
    if name not in EVALUATED:
        raise UserError(f"monitor.metric: {metric} is not measured; measured are {', '.join(measured)}")
    nothing = "nothing is held out (loader.held_out=0)"
    why = nothing if evaluated == "train" else "held-out pairs are evaluated"
    raise UserError(f"monitor.metric: {metric} is not measured, as {why}; use {evaluated}/{name}")


def _name(config: Mapping[str, Any]) -> str:
    return f"{config['name']}/seed-{config['seed']}"


def owner_seed(seed: int, owner: str) -> int:
    """A seed for one owner of randomness, unrelated to the others'."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{owner}".encode()).digest()[:6], "big")


def make_data(config: Mapping[str, Any]) -> TranslationDataModule:
    """The data module, its corpus loaded."""
    recipe = build(config["data"], "data")
    data: TranslationDataModule = call(
        build(config["loader"], "loader"), "loader", recipe=recipe, seed=owner_seed(config["seed"], "order")
    )
    data.setup()
    return data


def make_module(config: Mapping[str, Any], data: TranslationDataModule) -> TranslationModule:
    """The model with its initial weights, its forcing and its optimizer."""
    seed = config["seed"]
    # PyTorch's and Python's own generators: initial weights first, then whatever a user's code draws.
    torch.manual_seed(owner_seed(seed, "weights"))
    random.seed(owner_seed(seed, "python"))
    np.random.seed(owner_seed(seed, "numpy") % 2**32)
    corpus = data.corpus
    model = call(
        build(config["model"], "model"),
        "model",
        source_vocabulary_size=len(corpus.source_vocabulary),
        target_vocabulary_size=len(corpus.target_vocabulary),
    )
    module = TranslationModule(
        model=model,
        forcing=build(config["forcing"], "forcing"),
        optimizer=build(config["optimizer"], "optimizer"),
        to_text=lambda ids: " ".join(corpus.target_vocabulary.decode(ids)),
        max_length=data.max_length,
        references=data.references(data.evaluation),
        evaluated=data.evaluated,
        gradient_clip=config["gradient_clip"],
        seed=owner_seed(seed, "coins"),
    )
    # What the first update, or the longest sentence, would refuse shows here, before anything is written.
    call(module.configure_optimizers, "optimizer")
    longest = data.block(np.array([corpus.source.lengths.argmax()]))
    call(greedy, "model", model=model.eval(), source=longest.source, source_lengths=None, max_length=1)
    model.train()
    return module


def make_trainer(
    config: Mapping[str, Any],
    run: Run,
    scalars: EpochScalars,
    interruption: Interruption,
    evaluated: str,
) -> pl.Trainer:
    """Lightning's trainer with the callbacks and loggers of the run; `evaluated` as in `TranslationModule`."""
    results = ["train/loss", *(f"{evaluated}/{name}" for name in EVALUATED)]  # for the HParams tab
    loggers = [
        call(build(node, f"logger.{name}"), f"logger.{name}", save_dir=str(run.folder))
        for name, node in config["logger"].items()
    ]
    on_terminal = sys.stdout.isatty()
    progress = pl.callbacks.TQDMProgressBar(refresh_rate=1) if on_terminal else Lines(_name(config))
    callbacks = [
        progress,
        HyperParameters(_hyper_parameters(config), results, scalars),
        scalars,
        RandomState(),
        interruption,
        *(build(node, f"callbacks.{name}") for name, node in config["callbacks"].items()),
    ]
    checkpoints = [each for each in callbacks if isinstance(each, ModelCheckpoint)]
    for each in checkpoints:
        if each.dirpath is None:  # else Lightning would follow the first logger
            each.dirpath = str(run.last_checkpoint.parent.absolute())
    return call(  # type: ignore[no-any-return]
        build(config["trainer"], "trainer"),
        "trainer",
        default_root_dir=str(run.folder),
        logger=loggers,
        callbacks=callbacks,
        enable_checkpointing=bool(checkpoints),
        plugins=[WholeFiles()],
        enable_progress_bar=on_terminal,
        log_every_n_steps=1,
    )


def _hyper_parameters(config: Mapping[str, Any]) -> dict[str, Any]:
    flat = {group: option for group, option in config["choices"].items() if group in _TOLD}
    for group in _TOLD:
        for key, value in config[group].items():
            if isinstance(value, bool | int | float | str) and not key.startswith("_"):
                flat[f"{group}.{key}"] = value
    return {**flat, "batch_size": config["loader"]["batch_size"], "seed": config["seed"]}


_TOLD: Sequence[str] = ("model", "forcing", "optimizer")


def _show_result(run: Run, data: TranslationDataModule, module: TranslationModule) -> None:
    summary = run.summary()
    chosen = np.random.default_rng(1).permutation(data.training)[:SAMPLES]
    samples = translate_block(data.block(chosen), data, module)
    loss = summary["last"].get("train/loss", float("nan"))
    print(
        f"\n{run.folder}: train/loss {loss:.4f} after {summary['epochs']} epochs, {summary['seconds']:.1f} s",
        "some training sentences: source → reference → hypothesis",
        *(f"  {each['source']} → {each['references'][0]} → {each['hypothesis']}" for each in samples),
        sep="\n",
        flush=True,
    )
