"""The one door to everything that makes updates faster.

`training/update.py` is the meaning of an update. An accelerator stands in for it where it accepts every class and
setting involved, by exact type and by an explicit list: a subclass, a new attribute or a hook is never ignored.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

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


def unknown_plan(plan: Plan, feeders: Collection[type]) -> str | None:
    """Why a plan is not one of a single pass and one of these feeders, by exact class; None where it is."""
    if plan.passes or plan.revise is not None:
        return "the forcing policy needs an earlier pass"
    known = type(plan.feeder) in feeders
    return None if known else f"the forcing policy feeds by {type(plan.feeder).__name__}"


def unknown_objective(objective: Objective) -> str | None:
    """Why an objective is not the plain negative log-likelihood; None where it is."""
    if type(objective) is not NegativeLogLikelihood:
        return f"the objective is {type(objective).__name__}, not NegativeLogLikelihood"
    return "the objective smooths labels" if objective.label_smoothing else None
