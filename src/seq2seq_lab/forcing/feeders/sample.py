"""A sample of the decoder's distribution."""

import math

from torch import Tensor

from seq2seq_lab.data.draws import Draws
from seq2seq_lab.forcing.feeders.base import WordFeeder, gumbel


class Sample(WordFeeder):
    """Feeds a word drawn from softmax(scores / temperature) (Bengio et al. 2015, https://arxiv.org/abs/1506.03099).

    Args:
        temperature: > 0; below 1 the distribution is sharper.

    Raises:
        ValueError: `temperature` is not positive and finite.
    """

    def __init__(self, *, temperature: float = 1.0) -> None:
        if not 0 < temperature < math.inf:
            raise ValueError(f"temperature must be positive and finite, got {temperature}")
        self.scale = 1 / temperature

    def noise(self, draws: Draws | None, positions: int, size: int, first: int) -> Tensor | None:
        return gumbel(draws, positions, size, first)
