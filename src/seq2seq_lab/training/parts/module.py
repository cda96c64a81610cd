"""The LightningModule of a run: its model, forcing, objective, optimizer, and what is measured."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from seq2seq_lab.config.build import build, build_all, call
from seq2seq_lab.data.datamodule import TranslationDataModule
from seq2seq_lab.decoding.greedy import greedy
from seq2seq_lab.errors import UserError, first_line
from seq2seq_lab.evaluation.part import limit
from seq2seq_lab.models.interface import check_model
from seq2seq_lab.models.mode import as_evaluated
from seq2seq_lab.training.accelerator import Selection, select
from seq2seq_lab.training.checks import check_learning, check_plan
from seq2seq_lab.training.ddp import SharedUpdates
from seq2seq_lab.training.machine import DOUBLE, processes
from seq2seq_lab.training.module import OptimizerFactory, TranslationModule
from seq2seq_lab.training.seeds import owner_seed, seed_generators
from seq2seq_lab.training.update import Job


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
    call(check_model, "model", model=model, source=corpus.source.lengths, target=data.target_lengths)
    module = TranslationModule(
        model=model,
        forcing=build(config["forcing"], "forcing"),
        optimizer=build(config["optimizer"], "optimizer"),
        lr_schedule=build(config["lr_schedule"], "lr_schedule"),
        objective=build(config["objective"], "objective"),
        target=build(config["target"], "target"),
        select=partial(_select, config),
        to_text=corpus.target_vocabulary.text,
        max_length=limit(data.max_length, corpus.select(data.evaluation), predict_sos=data.predict_sos),
        references=data.references(data.evaluation),
        segments=data.segments(data.evaluation, config["segments"]),
        measures=build_all(config, "measures"),
        evaluated=data.evaluated,
        batch_size=data.batch_size,
        gradient_clip=config["gradient_clip"],
        seed=owner_seed(config["seed"], "draws"),
        unk=corpus.target_vocabulary.unk,
    )
    # What the first update, or the longest sentence, would refuse shows here.
    optimizer = call(_optimizer, "optimizer", module=module)
    call(_check_schedule, "lr_schedule", module=module, optimizer=optimizer)
    longest = data.block(np.array([corpus.source.lengths.argmax()]))
    asked = {"source": longest.source, "source_lengths": None, "max_length": 1}
    with as_evaluated(model):
        call(greedy, "model", model.modules(), model=model, **asked)
    epochs = max(0, config["trainer"].get("max_epochs") or 0)
    call(check_plan, "forcing", module=module, block=longest, epochs=epochs)
    check_learning(module, data, longest, epochs)
    if config["trainer"].get("accelerator") == "cpu":  # elsewhere the model is not on its device yet
        call(_try_step, "optimizer", optimizer=module.optimizer)
        _select(config, module.job(optimizer))
    if str(config["trainer"].get("precision")) in DOUBLE:
        module.double()  # Lightning does so too, but after it has read the weights of a checkpoint
    return module


def _optimizer(module: TranslationModule) -> Optimizer:
    optimizer = module.optimizer(module.model.parameters())
    if not isinstance(optimizer, Optimizer):
        raise ValueError(f"{type(optimizer).__name__} is not an optimizer of PyTorch")
    return optimizer


def _check_schedule(module: TranslationModule, optimizer: Optimizer) -> None:
    schedule = module.lr_schedule
    scheduler = schedule.scheduler(optimizer)
    stepped = schedule.over is not None or schedule.metric is not None
    if not isinstance(scheduler, LRScheduler | ReduceLROnPlateau) and (stepped or scheduler is not None):
        raise ValueError(
            f"scheduler(optimizer) must give a scheduler of PyTorch, not {type(scheduler).__name__}"
        )


def _try_step(optimizer: OptimizerFactory) -> None:
    """Change one weight by 0: an optimizer may want a closure, sparse gradients or a GPU."""
    weight = nn.Parameter(torch.zeros(1, 1))
    weight.grad = torch.zeros_like(weight)
    try:
        optimizer([weight]).step()
    except (AssertionError, RuntimeError) as error:
        raise ValueError(first_line(error)) from error


def _select(config: Mapping[str, Any], job: Job) -> Selection:
    """What makes the updates; one that was asked for by name and does not apply is an error."""
    option = config["choices"]["accelerate"]
    if processes(config["trainer"]) > 1:
        if option not in ("auto", "off"):
            raise UserError(f"accelerate: {option} is asked for, but trainer=ddp uses several devices")
        refused = dict.fromkeys(config["accelerate"], "several devices are used")
        return Selection(SharedUpdates(job), "ddp", refused)
    chosen = select(build_all(config, "accelerate"), job)
    if chosen.name == "eager" and chosen.refused and option != "auto":
        reasons = "; ".join(chosen.refused.values())
        raise UserError(
            f"accelerate: {option} is asked for, but {reasons}; accelerate=auto takes what applies"
        )
    return chosen
