"""The parts of a run, each built from its node of the configuration."""

import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint

from seq2seq_lab.accelerate.select import Selection, select
from seq2seq_lab.config.build import build, call
from seq2seq_lab.config.trainer import counts_updates
from seq2seq_lab.data.datamodule import TranslationDataModule
from seq2seq_lab.decoding.greedy import greedy
from seq2seq_lab.errors import UserError
from seq2seq_lab.evaluation.measures import REGISTRY, Measure
from seq2seq_lab.forcing.plan import Pairs
from seq2seq_lab.launch.machine import DOUBLE, devices
from seq2seq_lab.runs.naming import fingerprint
from seq2seq_lab.runs.run import Run
from seq2seq_lab.training.callbacks.checkpoint import AtomicCheckpointIO
from seq2seq_lab.training.callbacks.hyperparameters import HyperParameters
from seq2seq_lab.training.callbacks.interruption import Interruption
from seq2seq_lab.training.callbacks.progress import Bar, Lines
from seq2seq_lab.training.callbacks.random_state import RandomState
from seq2seq_lab.training.callbacks.scalars import EpochScalars
from seq2seq_lab.training.checks import check_learning, check_plan
from seq2seq_lab.training.loggers import base as loggers
from seq2seq_lab.training.module import TranslationModule
from seq2seq_lab.training.parallel import ParallelUpdates
from seq2seq_lab.training.seeds import owner_seed, seed_generators
from seq2seq_lab.training.update import Job

# The groups that HParams shows.
_SHOWN: Sequence[str] = ("model", "forcing", "target", "objective", "optimizer", "schedule")


def make_data(config: Mapping[str, Any]) -> TranslationDataModule:
    """The data module, its corpus loaded."""
    recipe = build(config["data"], "data")
    loader = dict(config["loader"])
    if counts_updates(config):
        loader["updates_per_block"] = 1
    data: TranslationDataModule = call(
        build(loader, "loader"),
        "loader",
        recipe=recipe,
        split=build(config["split"], "split"),
        seed=owner_seed(config["seed"], "order"),
    )
    data.setup()
    return data


def make_module(config: Mapping[str, Any], data: TranslationDataModule) -> TranslationModule:
    """The model with its initial weights, its forcing, its optimizer and what is measured of it.

    Raises:
        UserError: a value cannot be; it shows here, before anything is written.
    """
    seed_generators(config["seed"])
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
        schedule=build(config["schedule"], "schedule"),
        objective=build(config["objective"], "objective"),
        target=build(config["target"], "target"),
        select=partial(_select, config),
        to_text=corpus.target_vocabulary.text,
        max_length=data.max_length,
        references=data.references(data.evaluation),
        segments=data.segments(data.evaluation, config["segments"]),
        measures=_members(config, "measures"),
        evaluated=data.evaluated,
        batch_size=data.batch_size,
        gradient_clip=config["gradient_clip"],
        seed=owner_seed(config["seed"], "draws"),
        unk=corpus.target_vocabulary.unk,
    )
    # What the first update, or the longest sentence, would refuse shows here.
    optimizer = call(partial(module.optimizer, model.parameters()), "optimizer")
    call(partial(module.schedule.scheduler, optimizer), "schedule")
    longest = data.block(np.array([corpus.source.lengths.argmax()]))
    call(greedy, "model", model=model.eval(), source=longest.source, source_lengths=None, max_length=1)
    model.train()
    epochs = max(0, config["trainer"].get("max_epochs") or 0)
    call(check_plan, "forcing", module=module, block=longest, epochs=epochs)
    check_learning(module, data, longest, epochs)
    if config["trainer"].get("accelerator") == "cpu":  # elsewhere the model is not on its device yet
        _select(config, module.job(optimizer))
    if str(config["trainer"].get("precision")) in DOUBLE:
        module.double()  # Lightning does so too, but after it has read the weights of a checkpoint
    return module


class _EndAskedFor(Exception):  # noqa: N818, as it is not an error
    pass


class _Endless(Pairs):
    """Pairs of a training whose end nobody may ask for."""

    @property
    def updates(self) -> int:
        raise _EndAskedFor

    @property
    def epochs(self) -> int:
        raise _EndAskedFor


def follows_end(module: TranslationModule, data: TranslationDataModule) -> bool:
    """Whether the policy, target or objective depends on the number of epochs, as a schedule does."""
    block = data.block(data.training[:1])
    try:
        module.plan(_Endless(*module.pairs(block, epoch=0, epochs=1)))
    except _EndAskedFor:
        return True
    return False


def described(module: TranslationModule) -> dict[str, Measure]:
    """What the run measures that is not registered, and the rest: the facts of each, by name."""
    return {each.facts.name: each.facts for each in module.measures.values()} | dict(REGISTRY)


def _members(config: Mapping[str, Any], group: str) -> dict[str, Any]:
    """What the named nodes of a group build, by name."""
    return {name: build(node, f"{group}.{name}") for name, node in config[group].items()}


def _select(config: Mapping[str, Any], job: Job) -> Selection:
    """What makes the updates; one that was asked for by name and does not apply is an error."""
    option = config["choices"]["accelerate"]
    if len(several := devices(config["trainer"])) > 1:
        if option not in ("auto", "off"):
            raise UserError(f"accelerate: {option} is asked for, but trainer=ddp uses several devices")
        refused = dict.fromkeys(config["accelerate"], "several devices are used")
        return Selection(ParallelUpdates(job, several), "ddp", refused)
    chosen = select(_members(config, "accelerate"), job)
    if chosen.name == "eager" and chosen.refused and option != "auto":
        reasons = "; ".join(chosen.refused.values())
        raise UserError(
            f"accelerate: {option} is asked for, but {reasons}; accelerate=auto takes what applies"
        )
    return chosen


def check_metrics(config: Mapping[str, Any], module: TranslationModule) -> None:
    """Refuse metrics that this run does not measure, such as one of the other part of the data."""
    _check_metric(config["monitor"]["metric"], "monitor.metric", module)
    if module.schedule.metric is not None:
        _check_metric(module.schedule.metric, "schedule.metric", module)
    for name, node in config["callbacks"].items():
        for key in ("metric", "monitor"):
            # Lightning's ModelCheckpoint can also monitor the number of the epoch or step.
            if isinstance(node.get(key), str) and node[key] not in ("epoch", "step"):
                _check_metric(node[key], f"callbacks.{name}.{key}", module)


def _check_metric(metric: str, key: str, module: TranslationModule) -> None:
    facts, evaluated = described(module).values(), module.evaluated
    names = [each.facts.name for each in module.measures.values()]
    always = {"training": "train", "speed": "perf"}
    measured = [f"{always[each.stage]}/{each.name}" for each in facts if each.stage in always]
    measured += [f"{evaluated}/{name}" for name in names]
    if metric in measured:
        return
    part, _, name = metric.rpartition("/")
    if name not in names or part not in ("train", "val"):
        raise UserError(f"{key}: {metric} is not measured; measured are {', '.join(measured)}")
    nothing = "nothing is held out (split=none)"
    why = nothing if evaluated == "train" else "held-out pairs are evaluated"
    raise UserError(f"{key}: {metric} is not measured, as {why}; use {evaluated}/{name}")


def make_trainer(
    config: Mapping[str, Any],
    run: Run,
    scalars: EpochScalars,
    interruption: Interruption,
    identity: str,
) -> pl.Trainer:
    """Lightning's trainer with the callbacks and loggers of the run; trackers know it by its identity."""
    settings = {key: value for key, value in config["trainer"].items() if key != "max_time"}
    if several := devices(settings):  # Lightning has the first one; `ParallelUpdates` has the others
        first = several[0]
        settings |= {
            "strategy": "auto",
            "accelerator": first.type,
            "devices": [first.index] if first.index is not None else 1,
        }
    chosen = [
        loggers.make(node, f"logger.{name}", str(run.folder), _facts(config, run, identity))
        for name, node in config["logger"].items()
    ]
    own = _members(config, "callbacks")
    for name, each in own.items():
        if not isinstance(each, pl.Callback):
            raise UserError(f"callbacks.{name}: {type(each).__name__} is not a callback of Lightning")
    on_terminal = sys.stdout.isatty()
    shown = f"{config['name']}/seed-{config['seed']}"
    callbacks = [
        Bar() if on_terminal else Lines(shown),
        HyperParameters(_hyper_parameters(config), _trial(config, run)),
        scalars,
        RandomState(),
        *sorted(own.values(), key=_order),
        interruption,
    ]
    for each in callbacks:
        if (
            isinstance(each, ModelCheckpoint) and each.dirpath is None
        ):  # else Lightning would follow the first logger
            each.dirpath = str(Path(run.last_checkpoint).parent.absolute())
    trainer: pl.Trainer = call(
        build(settings, "trainer"),
        "trainer",
        default_root_dir=str(run.folder),
        logger=chosen,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        enable_progress_bar=False,
        log_every_n_steps=1,
    )
    if config["trainer"].get("overfit_batches"):  # Lightning limits both parts by it
        trainer.limit_val_batches = 1.0
    return trainer


def _trial(config: Mapping[str, Any], run: Run) -> str:
    """What runs that differ only in their seed have in common: a readable name, and a code as names may be shared."""
    return f"{run.folder.parent.name} ~{fingerprint({**config, 'seed': None})[:8]}"


def _facts(config: Mapping[str, Any], run: Run, identity: str) -> loggers.Facts:
    outputs = str(config["output_dir"])
    name = run.folder.relative_to(outputs) if run.folder.is_relative_to(outputs) else run.folder
    return loggers.Facts(name.as_posix(), name.parent.as_posix(), identity, outputs, config)


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


def _order(callback: pl.Callback) -> int:
    """When a callback is called: what stops training first, and what the run goes on from last.

    That checkpoint contains the state of the others, such as the best score. A kill between two writes then leaves an
    earlier state, from which the same files are written again.
    """
    if isinstance(callback, ModelCheckpoint):
        return 3 if callback.monitor is None else 2
    return 0 if isinstance(callback, pl.callbacks.EarlyStopping) else 1


def _hyper_parameters(config: Mapping[str, Any]) -> dict[str, bool | int | float | str]:
    """What trackers show of a configuration: numbers, texts and truth values."""
    shown = {key: each for key, each in config["choices"].items() if key.partition("/")[0] in _SHOWN}
    # A group that is placed elsewhere, forcing/decay@forcing.schedule.decay, has the name of its place.
    flat = {key.partition("@")[2] or key: "none" if each is None else each for key, each in shown.items()}
    for group in _SHOWN:
        flat |= {f"{group}.{key}": value for key, value in config[group].items() if not key.startswith("_")}
    flat["batch_size"] = config["loader"]["batch_size"]
    return {key: value for key, value in flat.items() if isinstance(value, bool | int | float | str)}
