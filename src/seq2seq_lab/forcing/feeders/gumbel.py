"""The arg-max of noisy scores: a sample."""

import math

from torch import Tensor

from seq2seq_lab.data.draws import Draws
from seq2seq_lab.forcing.feeders.base import WordFeeder, gumbel


class GumbelArgMax(WordFeeder):
    """Feeds argmax(scores + τ · Gumbel noise), which is a sample of softmax(scores / τ): τ is a sampling temperature.

    (Gumbel 1954; Maddison et al. 2014, https://arxiv.org/abs/1411.0030.) So τ = 1 is the feeder `sample`, and as τ goes
    to 0 it is the arg-max. The word-level oracle of Zhang et al. (2019, https://arxiv.org/abs/1906.02448) is τ = 1:
    they divide by their τ after the noise is added, which cannot change the arg-max.

    Args:
        tau: τ > 0.

    Raises:
        ValueError: `tau` is not positive and finite.
    """

    def __init__(self, *, tau: float = 1.0) -> None:
        if not 0 < tau < math.inf:
            raise ValueError(f"tau must be positive and finite, got {tau}")
        self.tau = tau

    def noise(self, draws: Draws | None, positions: int, size: int, first: int) -> Tensor | None:
        return self.tau * gumbel(draws, positions, size, first)
