"""A random word."""

import torch
from torch import Tensor

from seq2seq_lab.data.draws import Draws
from seq2seq_lab.data.vocabulary import SPECIAL_WORDS
from seq2seq_lab.forcing.feeders.base import KNOWN
from seq2seq_lab.forcing.passes import Feeding


class Uniform:
    """Feeds a uniformly random word of the target vocabulary, none of the special ones.

    Uniform replacement of gold inputs (Takase & Kiyono 2021, https://arxiv.org/abs/2104.01853).
    """

    kind = KNOWN

    def words(self, draws: Draws, known: Tensor, own: Tensor, size: int) -> Tensor:
        """The words that are fed, [B, T]: `known` where not `own`, else one of a vocabulary of `size`."""
        special = len(SPECIAL_WORDS)
        uniform = draws.uniform("forcing/feeder", known.shape[1]).double()
        return torch.where(own, special + (uniform * (size - special)).long(), known)

    def inputs(self, feeding: Feeding) -> Tensor:
        """The decoder's inputs [B, T, E]; it needs no step."""
        size = feeding.decoder.embedding.num_embeddings
        return feeding.decoder.embed(self.words(feeding.need_draws(), feeding.known, feeding.own, size))
