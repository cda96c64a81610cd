"""The one door to everything that makes updates faster.

`training/update.py` is the meaning of an update. An accelerator stands in for it where it accepts every class and
setting involved, by exact type and by an explicit list: a subclass, a new attribute or a hook is never ignored.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple, Protocol

import torch
from torch import nn
from torch.optim import Optimizer

from seq2seq_lab.data.batches import Block
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.forcing.plan import Plan
from seq2seq_lab.training.objectives.base import Objective
from seq2seq_lab.training.objectives.nll import NegativeLogLikelihood
from seq2seq_lab.training.update import EagerUpdates, Job, Made


class Updates(Protocol):
    """The updates of a block, one after the other."""

    def __call__(self, block: Block, plan: Plan, draws: Draws) -> Made:
        """Make the updates of the block's N pairs."""
        ...


class Accelerator(Protocol):
    """A faster way to make the same updates."""

    def refuses(self, job: Job) -> str | None:
        """Why this job is not for it, in a few words; None where it is."""
        ...

    def updates(self, job: Job) -> Updates:
        """Its updates of an accepted job."""
        ...


class Selection(NamedTuple):
    """What makes the updates.

    Attributes:
        updates: the updates.
        name: of the accelerator; `eager` is plain PyTorch.
        refused: why others do not apply: name → reason.
    """

    updates: Updates
    name: str
    refused: Mapping[str, str]

    def __str__(self) -> str:
        reasons = "; ".join(f"not {name}: {reason}" for name, reason in self.refused.items())
        return f"updates: {self.name}" + (f" ({reasons})" if reasons else "")


def select(accelerators: Mapping[str, Accelerator], job: Job) -> Selection:
    """The first accelerator that accepts a job, else plain PyTorch."""
    refused: dict[str, str] = {}
    for name, accelerator in accelerators.items():
        reason = accelerator.refuses(job)
        if reason is None:
            return Selection(accelerator.updates(job), name, refused)
        refused[name] = reason
    return Selection(EagerUpdates(job), "eager", refused)


_OF_EVERY_MODULE = frozenset(vars(nn.Module()))
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def unknown_module(model: nn.Module, known: Mapping[type, Iterable[str]]) -> str | None:
    """What in a model is not on a list, in a few words; None where everything is.

    Args:
        model: looked through to its last module.
        known: exact class → names of the attributes that it may have beside its parameters and modules.
    """
    for path, module in model.named_modules():
        name = f"{path or 'the model'} ({type(module).__name__})"
        if type(module) not in known:
            return f"{name} is not of a class that it knows"
        if extra := set(vars(module)) - _OF_EVERY_MODULE - set(known[type(module)]):
            return f"{name} has an attribute that it does not know: {sorted(extra)[0]}"
        if any(vars(module)[hooks] for hooks in _HOOKS):
            return f"{name} has a hook"
    return None


def plain_sgd(optimizer: Optimizer, parameters: Iterable[nn.Parameter]) -> str | None:
    """Why an optimizer is not plain SGD of one learning rate over exactly these parameters; None where it is."""
    if type(optimizer) is not torch.optim.SGD:
        return f"the optimizer is {type(optimizer).__name__}, not torch.optim.SGD"
    if len(optimizer.param_groups) != 1:
        return "the optimizer has several parameter groups"
    group = optimizer.param_groups[0]
    for name in ("momentum", "weight_decay", "dampening", "nesterov", "maximize", "differentiable"):
        if group[name]:
            return f"the optimizer has {name}={group[name]}"
    every = list(parameters)
    if {id(each) for each in group["params"]} != {id(each) for each in every}:
        return "the optimizer does not step all parameters of the model"
    if not all(each.requires_grad for each in every):
        return "some parameters are frozen"
    hooks = (optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks)
    return "the optimizer has a hook" if any(hooks) else None


def unknown_plan(plan: Plan, feeders: Collection[type]) -> str | None:
    """Why a plan is not one of a single pass and one of these feeders, by exact class; None where it is."""
    if plan.passes or plan.revise is not None:
        return "the forcing policy needs an earlier pass"
    known = type(plan.feeder) in feeders
    return None if known else f"the forcing policy feeds by {type(plan.feeder).__name__}"


def plain_likelihood(objective: Objective) -> str | None:
    """Why an objective is not the plain negative log-likelihood; None where it is."""
    if type(objective) is not NegativeLogLikelihood:
        return f"the objective is {type(objective).__name__}, not NegativeLogLikelihood"
    return "the objective smooths labels" if objective.label_smoothing else None
