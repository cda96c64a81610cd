"""A mixture of words, through which gradients flow."""

import math

from torch import Tensor

from seq2seq_lab.forcing.feeders.base import MIXTURES
from seq2seq_lab.forcing.passes import Feeding


class Soft:
    """Feeds Σ_v softmax(α · scores)_v · embedding_v (Goyal et al. 2017, https://arxiv.org/abs/1704.06970).

    Args:
        alpha: α > 0; the larger, the closer to the arg-max.
        gradient: whether the gradient flows through the weights of the mixture; through the embeddings it always does.

    Raises:
        ValueError: `alpha` is not positive and finite.
    """

    kind = MIXTURES

    def __init__(self, *, alpha: float = 1.0, gradient: bool = True) -> None:
        if not 0 < alpha < math.inf:
            raise ValueError(f"alpha must be positive and finite, got {alpha}")
        self.alpha = alpha
        self.gradient = gradient

    def mix(self, logits: Tensor) -> Tensor:
        """Scores [B, n, V] → the weight of each word, [B, n, V]."""
        weights = (self.alpha * logits).softmax(dim=2)
        return weights if self.gradient else weights.detach()

    def inputs(self, feeding: Feeding) -> Tensor:
        """The decoder's inputs [B, T, E]."""
        return feeding.mixtures(self.mix)
