"""What is minimised."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from seq2seq_lab.data.batches import Batch
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.forcing.schedules import Schedule
from seq2seq_lab.models.interface import Decoded, Model
from seq2seq_lab.targets.base import Target
from seq2seq_lab.targets.wanted import Wanted, Words


class Outcome(NamedTuple):
    """What a model made of the B pairs of a batch, with gradients.

    Attributes:
        model: the model.
        batch: the pairs.
        decoded: the scores of their targets, fed as the plan said.
        losses: the loss of each pair for what it should have predicted, summed over positions, [B]; with `target=gold`
            the negative log-likelihood of the reference.
        draws: the random numbers of the pairs.
        wanted: what it should have predicted; None: the reference.
        inputs: what it was fed, [B, T, E]; None: the words of the reference.
        share: the value of the objective's schedule, [B]; None without one.
    """

    model: Model
    batch: Batch
    decoded: Decoded
    losses: Tensor
    draws: Draws
    wanted: Wanted | None = None
    inputs: Tensor | None = None
    share: Tensor | None = None

    @property
    def aim(self) -> Wanted:
        """What the model should have predicted."""
        return self.wanted or Words(self.batch.target, self.batch.target_lengths)


class Objective(ABC):
    """Gives the loss that is minimised; everything but `__call__` may stay as it is here.

    What is logged as `train/loss` is `Outcome.losses`, whatever is minimised.

    Attributes:
        schedule: a value that changes while the model trains: `Outcome.share`; None: there is none.
        measures: what it measures of each pair; it then returns the losses and a value [B] for each name.
        ignores_feeding: whether nothing is minimised of the words that a policy feeds.
        own_sentences: whether the model's own sentences are minimised, which are the same in each pass of a policy.
    """

    schedule: Schedule | None = None
    measures: tuple[str, ...] = ()
    ignores_feeding: bool = False
    own_sentences: bool = False

    @abstractmethod
    def __call__(self, outcome: Outcome) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
        """The loss of each pair, [B]."""

    def refuses(self, model: Model, target: Target) -> str | None:
        """Why it makes no sense with a model and a target, and what would do; None where it does."""
        return None


class OfOutcome(Objective):
    """An objective that is no more than a function of an outcome.

    Args:
        function: gives the loss of each pair, [B].
    """

    def __init__(self, function: Callable[[Outcome], Tensor]) -> None:
        self.function = function

    def __call__(self, outcome: Outcome) -> Tensor:
        """The loss of each pair, [B]."""
        return self.function(outcome)
