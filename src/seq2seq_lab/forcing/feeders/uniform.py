"""A random word."""

import torch
from torch import Tensor

from seq2seq_lab.data.draws import Draws
from seq2seq_lab.data.vocabulary import SPECIAL_WORDS
from seq2seq_lab.forcing.feeders.base import KNOWN
from seq2seq_lab.forcing.passes import Feeding


class Uniform:
    """Feeds a uniformly random word of the target vocabulary: not `<sos>`, `<eos>` or `<unk>`.

    Uniform replacement of gold inputs (Takase & Kiyono 2021, https://arxiv.org/abs/2104.01853).
    """

    kind = KNOWN

    def words(self, draws: Draws, known: Tensor, own: Tensor, size: int, unk: int | None = None) -> Tensor:
        """The words that are fed, [B, T]: `known` where not `own`, else one of a vocabulary of `size`."""
        special = len(SPECIAL_WORDS)
        uniform = draws.uniform("forcing/feeder", known.shape[1]).double()
        words = special + (uniform * (size - special - (unk is not None))).long()
        if unk is not None:
            words = words + (words >= unk)
        return torch.where(own, words, known)

    def inputs(self, feeding: Feeding) -> Tensor:
        """The decoder's inputs [B, T, E]; it needs no step."""
        size = feeding.model.target_vocabulary_size
        words = self.words(feeding.need_draws(), feeding.known, feeding.own, size, feeding.plan.unk)
        return feeding.embed(words)
