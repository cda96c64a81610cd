"""The arg-max of noisy scores."""

import math

from torch import Tensor

from seq2seq_lab.data.draws import Draws
from seq2seq_lab.forcing.feeders.base import WordFeeder, gumbel


class GumbelArgMax(WordFeeder):
    """Feeds argmax(scores + τ · Gumbel noise).

    The word-level oracle of Zhang et al. (2019, https://arxiv.org/abs/1906.02448), who give τ = 0.5. As τ goes to 0 it
    is the arg-max; τ = 1 is a sample of the softmax.

    Args:
        tau: τ > 0.

    Raises:
        ValueError: `tau` is not positive and finite.
    """

    def __init__(self, *, tau: float = 0.5) -> None:
        if not 0 < tau < math.inf:
            raise ValueError(f"tau must be positive and finite, got {tau}")
        self.tau = tau

    def noise(self, draws: Draws | None, positions: int, size: int, first: int) -> Tensor | None:
        return self.tau * gumbel(draws, positions, size, first)
