"""No word."""

from torch import Tensor

from seq2seq_lab.forcing.feeders.base import KNOWN
from seq2seq_lab.forcing.passes import Feeding


class Zero:
    """Feeds zeros in place of an embedded word: word dropout (Takase & Kiyono 2021, https://arxiv.org/abs/2104.01853).

    As in the word dropout of Gal & Ghahramani (2016, https://arxiv.org/abs/1512.05287), but without their scaling.
    """

    kind = KNOWN

    def inputs(self, feeding: Feeding) -> Tensor:
        """The decoder's inputs [B, T, E]; it needs no step."""
        embedded = feeding.model.embed(feeding.known)
        return embedded * ~feeding.own.unsqueeze(2)
