"""What is minimised."""

from typing import NamedTuple, Protocol

from torch import Tensor

from seq2seq_lab.data.batches import Batch
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.models.interface import Decoded, Model


class Outcome(NamedTuple):
    """What a model made of the B pairs of a batch, with gradients.

    Attributes:
        model: the model.
        batch: the pairs.
        decoded: the scores of their targets, fed as the plan said.
        losses: the negative log-likelihood of each target, summed over positions, [B].
        draws: the random numbers of the pairs.
    """

    model: Model
    batch: Batch
    decoded: Decoded
    losses: Tensor
    draws: Draws


class Objective(Protocol):
    """Gives the loss that is minimised; what is logged as `train/loss` is the negative log-likelihood always."""

    def __call__(self, outcome: Outcome) -> Tensor:
        """The loss of each pair, [B]."""
        ...
