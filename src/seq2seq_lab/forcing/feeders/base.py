"""What all feeders have in common."""

import torch
from torch import Tensor

from seq2seq_lab.data.draws import Draws
from seq2seq_lab.forcing.passes import Feeding
from seq2seq_lab.forcing.plan import Feeder
from seq2seq_lab.models.best_word import best_word

# What a feeder gives: words or mixtures of words made from the decoder's scores, or something that is known in advance.
WORDS, MIXTURES, KNOWN = "words", "mixtures", "known"


class WordFeeder:
    """Feeds the word v with the largest scale · score_v + noise_v; no gradient flows through the choice.

    Attributes:
        scale: of the scores.
    """

    kind = WORDS
    scale = 1.0

    def noise(self, draws: Draws | None, positions: int, size: int, first: int) -> Tensor | None:
        """What is added to the scaled scores, [B, positions, V]; None where it is nothing.

        Args:
            draws: random numbers of the pairs.
            positions: how many, the first of which is number `first` among the positions that are fed.
            size: V.
            first: number of the first position.
        """
        return None

    def choose(self, logits: Tensor, first: int, draws: Draws | None) -> Tensor:
        """Scores [B, n, V] → the words to feed [B, n] at n positions from number `first` on."""
        noise = self.noise(draws, logits.shape[1], logits.shape[2], first)
        if noise is not None:
            logits = self.scale * logits + noise
        return best_word(logits)

    def inputs(self, feeding: Feeding) -> Tensor:
        """The decoder's inputs [B, T, E]."""
        return feeding.embed(feeding.words(self.choose))


def gumbel(
    draws: Draws | None, positions: int, size: int, first: int, purpose: str = "forcing/feeder"
) -> Tensor:
    """Standard Gumbel noise −ln(−ln u), [B, positions, size]; its arg-max over scores is a sample of their softmax.

    (Gumbel 1954; Maddison et al. 2014, https://arxiv.org/abs/1411.0030.)
    """
    if draws is None:
        raise ValueError("a feeder that samples needs draws")
    return -torch.log(-torch.log(draws.uniform(purpose, positions, size, first=first)))


def check_feeder(feeder: Feeder | None, where: str) -> None:
    """Refuse a feeder that does not look at the decoder's scores.

    Raises:
        ValueError: it does not; the message begins with `feeder`.
    """
    if getattr(feeder, "kind", None) == KNOWN:
        raise ValueError(
            f"feeder must look at the decoder's scores for {where}, which {type(feeder).__name__} does not"
        )
