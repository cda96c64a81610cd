"""The unknown word."""

from torch import Tensor

from seq2seq_lab.forcing.feeders.base import KNOWN
from seq2seq_lab.forcing.feeders.zero import Zero
from seq2seq_lab.forcing.passes import Feeding


class UnknownWord:
    """Feeds `<unk>` in place of a gold word, as word dropout of language models does (Bowman et al. 2016,
    https://arxiv.org/abs/1511.06349).

    A vocabulary has `<unk>` where pairs are held out; without it zeros are fed. No training pair has `<unk>`: its
    embedding is learnt by being fed.
    """

    kind = KNOWN

    def inputs(self, feeding: Feeding) -> Tensor:
        """The decoder's inputs [B, T, E]; it needs no step."""
        if feeding.plan.unk is None:
            return Zero().inputs(feeding)
        return feeding.embed(feeding.known.masked_fill(feeding.own, feeding.plan.unk))
