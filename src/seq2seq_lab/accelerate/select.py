"""Select the implementation of the updates: an accelerator, or plain PyTorch.

`training/update.py` is the reference implementation. An accelerator replaces it only if every class and setting of the
job is on its explicit list. Classes are compared exactly: a subclass, a new attribute or a hook is never ignored.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

from seq2seq_lab.accelerate.known import unknown_module, unknown_optimizer, unknown_setting
from seq2seq_lab.data.batches import Block
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.forcing.plan import Plan
from seq2seq_lab.targets.base import Target
from seq2seq_lab.targets.gold import Gold
from seq2seq_lab.training.objectives.base import Objective
from seq2seq_lab.training.objectives.nll import NegativeLogLikelihood
from seq2seq_lab.training.update import EagerUpdates, Job, Made


class Updates(Protocol):
    """Makes the updates of a block one after the other."""

    def __call__(self, block: Block, plan: Plan, draws: Draws) -> Made:
        """Make the updates of the block's N pairs."""
        ...


class Fault(str):
    """Why an accelerator that fits a job cannot be used: something is wrong with the machine or its files."""


class Accelerator(Protocol):
    """A faster implementation of the same updates."""

    def refuses(self, job: Job) -> str | None:
        """The reason why this job is not supported, in a few words; None if it is."""
        ...

    def updates(self, job: Job) -> Updates:
        """The updates of a supported job."""
        ...


class Selection(NamedTuple):
    """The selected implementation of the updates.

    Attributes:
        updates: the updates.
        name: name of the accelerator; `eager` is plain PyTorch.
        refused: the accelerators that do not support the job: name → reason.
    """

    updates: Updates
    name: str
    refused: Mapping[str, str]

    @property
    def faults(self) -> str:
        """What is wrong with the machine, if the updates are slower for that reason; else empty."""
        found = [reason for reason in self.refused.values() if isinstance(reason, Fault)]
        return "; ".join(found) if self.name == "eager" else ""

    def __str__(self) -> str:
        reasons = "; ".join(f"not {name}: {reason}" for name, reason in self.refused.items())
        return f"updates: {self.name}" + (f" ({reasons})" if reasons else "")


def select(accelerators: Mapping[str, Accelerator], job: Job) -> Selection:
    """The first accelerator that supports a job, or else plain PyTorch."""
    refused: dict[str, str] = {}
    for name, accelerator in accelerators.items():
        reason = accelerator.refuses(job)
        if reason is None:
            return Selection(accelerator.updates(job), name, refused)
        refused[name] = reason
    return Selection(EagerUpdates(job), "eager", refused)


def unsupported(job: Job, feeders: Collection[type]) -> str | None:
    """The first part of a job that is not on the lists of supported classes and settings; None if there is none.

    Args:
        job: what is to be trained, and how.
        feeders: the exact classes that its plan may feed by.
    """
    reasons = (
        unknown_module(job.model),
        unknown_setting(job.model),
        unknown_optimizer(job.optimizer, job.model),
        unknown_objective(job.objective),
        unknown_target(job.target),
        unknown_plan(job.plan, feeders),
    )
    return next(filter(None, reasons), None)


def unknown_plan(plan: Plan, feeders: Collection[type]) -> str | None:
    """The reason why a plan has several passes or a feeder that is not of these exact classes; None if not."""
    if plan.passes or plan.revise is not None:
        return "the forcing policy needs an earlier pass"
    known = type(plan.feeder) in feeders
    return None if known else f"the feeder {type(plan.feeder).__name__} is not supported"


def unknown_objective(objective: Objective) -> str | None:
    """Why an objective is not the plain negative log-likelihood; None where it is."""
    if type(objective) is not NegativeLogLikelihood:
        return f"the objective is {type(objective).__name__}, not NegativeLogLikelihood"
    return "the objective uses label smoothing" if objective.label_smoothing else None


def unknown_target(target: Target) -> str | None:
    """Why a target is not the gold word; None where it is."""
    return None if type(target) is Gold else f"the target is {type(target).__name__}, not Gold"
