"""Negative log-likelihood."""

import torch
from torch import Tensor

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

    def __call__(self, outcome: Outcome) -> Tensor:
        """The loss of each pair, [B]."""
        if not self.label_smoothing:
            return outcome.losses
        uniform = -outcome.decoded.logits.log_softmax(dim=2).mean(
            dim=2
        )  # the cross-entropy of a uniform target
        lengths = outcome.aim.lengths
        if lengths is not None:
            uniform = uniform * (torch.arange(uniform.shape[1], device=uniform.device) < lengths.unsqueeze(1))
        return (1 - self.label_smoothing) * outcome.losses + self.label_smoothing * uniform.sum(dim=1)
