"""Negative log-likelihood."""

from torch import Tensor

from seq2seq_lab.models.interface import Model
from seq2seq_lab.models.likelihood import sum_of_first
from seq2seq_lab.targets.base import Target
from seq2seq_lab.targets.n_step import NStep
from seq2seq_lab.training.objectives.base import Objective, Outcome


class NegativeLogLikelihood(Objective):
    """The loss of what each position should predict, summed over positions.

    With `target=gold` it is the negative log-likelihood of the reference.

    Args:
        label_smoothing: the share of each gold word's probability that is spread over the whole vocabulary, in [0, 1)
            (Szegedy et al. 2016, https://arxiv.org/abs/1512.00567, section 7).

    Raises:
        ValueError: `label_smoothing` is out of its range.
    """

    def __init__(self, *, label_smoothing: float = 0.0) -> None:
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must lie in [0, 1), got {label_smoothing}")
        self.label_smoothing = label_smoothing

    def refuses(self, model: Model, target: Target) -> str | None:
        """Why it makes no sense with a target."""
        if self.label_smoothing and isinstance(target, NStep):
            return "label_smoothing would smooth the first pass of target=n_step alone; use objective.label_smoothing=0"
        return None

    def __call__(self, outcome: Outcome) -> Tensor:
        """The loss of each pair, [B]."""
        if not self.label_smoothing:
            return outcome.losses
        return (1 - self.label_smoothing) * outcome.losses + self.label_smoothing * self.uniform(outcome)

    def uniform(self, outcome: Outcome) -> Tensor:
        """The cross-entropy of a uniform target, summed over positions, [B]."""
        uniform = -outcome.decoded.logits.log_softmax(dim=2).mean(dim=2)
        return sum_of_first(uniform, outcome.aim.lengths)
