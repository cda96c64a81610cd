"""What an accelerator offers, and which implementation of the updates is selected: the one door to `accelerate/`.

`training/update.py` is the reference implementation. An accelerator replaces it only if every class and setting of the
job is on its explicit list (`accelerate/known.py`). The run's configuration names the accelerators, so training imports
none of them.
"""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from seq2seq_lab.data.batches import Block
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.errors import UserError
from seq2seq_lab.forcing.plan import Plan
from seq2seq_lab.training.update import EagerUpdates, Job, UpdateResult


class Updates(Protocol):
    """Makes the updates of a block one after the other.

    One that replaces parts of plain PyTorch, each by itself, has `parts`, the names of those that apply, and `refused`,
    the reason why another does not.
    """

    def __call__(self, block: Block, plan: Plan, draws: Draws) -> UpdateResult:
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
        refused: the accelerators that do not support the job, and the parts of the selected one that do not apply to
            it: name → reason.
        parts: the parts of the selected one that apply; empty where it has no parts.
    """

    updates: Updates
    name: str
    refused: Mapping[str, str]
    parts: tuple[str, ...] = ()

    @property
    def faults(self) -> str:
        """What is wrong with the machine, if the updates are slower for that reason; else empty."""
        found = [reason for reason in self.refused.values() if isinstance(reason, Fault)]
        return "; ".join(dict.fromkeys(found)) if self.name == "eager" else ""

    def __str__(self) -> str:
        reasons = "; ".join(f"not {name}: {reason}" for name, reason in self.refused.items())
        parts = f", parts {', '.join(self.parts)}" if self.parts else ""
        return f"updates: {self.name}{parts}" + (f" ({reasons})" if reasons else "")


def select(accelerators: Mapping[str, Accelerator], job: Job) -> Selection:
    """The first accelerator that supports a job, or else plain PyTorch.

    Raises:
        UserError: one gives neither a reason nor updates.
    """
    refused: dict[str, str] = {}
    for name, accelerator in accelerators.items():
        reason = accelerator.refuses(job)
        if reason is None:
            updates = accelerator.updates(job)
            if not callable(updates):
                raise UserError(f"accelerate.{name}: updates(job) must give what makes them, not {updates!r}")
            refused |= {f"{name}.{part}": why for part, why in getattr(updates, "refused", {}).items()}
            return Selection(updates, name, refused, tuple(getattr(updates, "parts", ())))
        if not isinstance(reason, str):
            raise UserError(f"accelerate.{name}: refuses(job) must give None or a reason, not {reason!r}")
        refused[name] = reason
    return Selection(EagerUpdates(job), "eager", refused)
