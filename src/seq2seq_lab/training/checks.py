"""Checks of how a run feeds and learns, before anything of it is written: what its first update would refuse."""

import re
from typing import Any

import torch

from seq2seq_lab.config.build import call, is_foreign
from seq2seq_lab.data.batches import Block
from seq2seq_lab.data.datamodule import TranslationDataModule
from seq2seq_lab.errors import UserError
from seq2seq_lab.forcing.plan import Plan
from seq2seq_lab.models.interface import Model
from seq2seq_lab.runs.load import Vocabularies, load_model
from seq2seq_lab.targets.base import MEASURES, Target
from seq2seq_lab.targets.gold import Gold
from seq2seq_lab.training.module import TranslationModule
from seq2seq_lab.training.objectives.base import Objective
from seq2seq_lab.training.objectives.nll import NegativeLogLikelihood
from seq2seq_lab.training.update import ALWAYS, backward


def check_plan(module: TranslationModule, block: Block, epochs: int) -> None:
    """Check the plan of a policy for the longest source.

    Raises:
        ValueError: it is no policy.
        UserError: it gives no plan of these pairs.
    """
    if not callable(getattr(module.forcing, "plan", None)):
        raise ValueError(f"{type(module.forcing).__name__} is not a policy: it has no method plan(pairs)")
    module.plan(module.pairs(block, epoch=0, epochs=epochs))


def check_learning(module: TranslationModule, data: TranslationDataModule, block: Block, epochs: int) -> None:
    """Give a target what it needs, and check that policy, target and objective go together.

    Raises:
        UserError: they do not; the message begins with the key of the group and says what would do.
    """
    target = module.target
    if not isinstance(target, Target):
        raise UserError(
            f"target: {type(target).__name__} is not a target, a subclass of seq2seq_lab.targets.base.Target"
        )
    corpus = data.corpus
    words = {"source": corpus.source_vocabulary, "target": corpus.target_vocabulary}

    def load(run: str, **which: Any) -> tuple[dict[str, Any], Model, Vocabularies]:
        config, model, theirs = load_model(run, **which)
        if bool(config["loader"]["predict_sos"]) != data.predict_sos:
            raise UserError(f"{run} has another loader.predict_sos; use that of both")
        return config, model, theirs

    call(target.load, "target", vocabularies=words, load_model=load)
    first = module.pairs(block, epoch=0, epochs=epochs)
    each_epoch = data.train_dataloader().updates
    last = module.pairs(block, epoch=max(1, epochs) - 1, epochs=epochs)._replace(
        update=torch.full_like(first.update, max(1, epochs) * each_epoch - 1), updates=epochs * each_epoch
    )
    plans = [module.plan(pairs) for pairs in (first, last)]
    always_gold = not any(bool(each.own.any()) for each in plans) and _certain(plans[-1])
    if (reason := target.refuses(plans[-1], always_gold=always_gold)) is not None:
        raise UserError(f"target: {reason}")
    objective = module.objective
    _check_names(target, objective)
    if not always_gold and objective.ignores_feeding:
        raise UserError(
            "objective: nothing of the words that forcing feeds is minimised; use forcing=full, or objective.mix=0.5"
        )
    if plans[-1].first_pass and objective.own_sentences:
        raise UserError(
            "objective: its own outputs do not depend on what is fed, and would count in both passes; use "
            "forcing.first_pass=0"
        )
    if (reason := objective.refuses(module.model, target)) is not None:
        raise UserError(f"objective: {reason}")
    parts = {
        "target": target,
        "objective": objective,
        "forcing": module.forcing,
        "forcing.feeder": plans[-1].feeder,
    }
    tried = {key: part for key, part in parts.items() if is_foreign(part)}
    tried |= {} if isinstance(target, Gold) else {"target": target}
    tried |= {} if type(objective) is NegativeLogLikelihood else {"objective": objective}
    if tried:
        key = next(iter(tried))
        asked = {"module": module, "block": block, "plan": plans[-1], "always_gold": always_gold}
        call(_try, key, tried.values(), **asked)


def _check_names(target: Target, objective: Objective) -> None:
    """Refuse what is measured by a name that another value of training has: one would hide the other."""
    taken = {*ALWAYS, *(() if isinstance(target.of_update, Gold) else MEASURES)}
    of_objective = objective.measures
    for key, names in (
        ("target", (*target.prepared, *target.of_update.measures)),
        ("objective", of_objective),
    ):
        for name in names:
            if not re.fullmatch(r"[\w-]+", name):
                raise UserError(f"{key}: it measures {name!r}, which may have letters, digits, - and _ only")
            if name in taken:
                raise UserError(
                    f"{key}: it measures {name}, which is the name of another value of training; give it another one"
                )
            taken.add(name)


def _certain(plan: Plan) -> bool:
    """Whether gold words are no matter of chance."""
    return plan.ratio is None or bool((plan.ratio == 1).all())


def _try(module: TranslationModule, block: Block, plan: Plan, always_gold: bool) -> None:
    """Compute the gradient of one update, fed own words wherever it may be, and forget it."""
    if not always_gold:
        plan = plan._replace(gold=torch.zeros_like(plan.gold))
    (batch,) = block
    draws = module.pairs(block, 0, 1).draws
    backward(module.model, module.objective, batch, plan, draws, target=module.target)
    module.model.zero_grad()
