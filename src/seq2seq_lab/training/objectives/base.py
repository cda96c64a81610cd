"""What is minimised."""

from typing import NamedTuple, Protocol

from torch import Tensor

from seq2seq_lab.data.batches import Batch
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.models.interface import Decoded, Model
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


class Objective(Protocol):
    """Gives the loss that is minimised; what is logged as `train/loss` is `Outcome.losses` always.

    An objective may have a `schedule`, whose value is `Outcome.share`; `measures`, names of what it measures of each
    pair: it then returns the losses and a value [B] for each name; `refuses(model, target)`, the reason why it makes no
    sense with them, or None; and `ignores_feeding`, whether it does not depend on what a policy feeds.
    """

    def __call__(self, outcome: Outcome) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
        """The loss of each pair, [B]."""
        ...
