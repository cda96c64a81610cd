"""The encoder: a source sentence to a memory that a decoder reads."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from seq2seq_lab.accelerate.factors import Embedding
from seq2seq_lab.models.rnn import GRU, State


class Memory(NamedTuple):
    """What the encoder leaves to the decoder.

    Attributes:
        outputs: [B, S, H], the encoder's state at every source position.
        mask: [B, S], True where there is a word to attend to; None where every position counts.
        state: the context: each layer's state [B, H] after the last word of each sentence.
    """

    outputs: Tensor
    mask: Tensor | None
    state: State


class Encoder(nn.Module):
    """Embedding and GRU from a zero state.

    Args:
        vocabulary_size: source words, the special ones included.
        embedding_size: E.
        hidden_size: H.
        layers: layers of the GRU.
        dropout: on embedded words and between layers, in training.
        unmasked_positions: the seminar's quirk A where set: the outputs sit in a block of this many positions,
            zero beyond the sentence, and all of the block counts. None, the sound choice, masks padding.
    """

    def __init__(
        self,
        *,
        vocabulary_size: int,
        embedding_size: int,
        hidden_size: int,
        layers: int = 1,
        dropout: float = 0.0,
        unmasked_positions: int | None = None,
    ) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.unmasked_positions = unmasked_positions
        self.embedding = Embedding(vocabulary_size, embedding_size)
        self.dropout = nn.Dropout(dropout)
        self.gru = GRU(input_size=embedding_size, hidden_size=hidden_size, layers=layers, dropout=dropout)

    @property
    def drops_out(self) -> bool:
        """Whether it drops anything in training."""
        return self.dropout.p > 0 or self.gru.dropout > 0

    def forward(self, source: Tensor, lengths: Tensor | None) -> Memory:
        """source [B, S]; lengths [B], or None where no sentence is padded.

        Raises:
            ValueError: a source is longer than `unmasked_positions`.
        """
        batch, longest = source.shape
        embedded = self.dropout(self.embedding(source))
        start = embedded.new_zeros(batch, self.hidden_size)
        states = self.gru(embedded, (start,) * self.gru.layers)
        outputs = states[-1]
        if lengths is None:
            mask = None
            context = tuple(layer[:, -1] for layer in states)
        else:
            mask = torch.arange(longest, device=source.device) < lengths.unsqueeze(1)
            last = (lengths - 1).view(batch, 1, 1).expand(batch, 1, self.hidden_size)
            context = tuple(layer.gather(1, last).squeeze(1) for layer in states)
        if self.unmasked_positions is not None:
            if mask is not None:
                outputs = outputs * mask.unsqueeze(2)
            outputs, mask = nn.functional.pad(outputs, (0, 0, 0, self.positions(longest) - longest)), None
        return Memory(outputs, mask, context)

    def positions(self, longest: int) -> int:
        """How many positions there are to attend to, for sources of up to so many.

        Raises:
            ValueError: a source is longer than `unmasked_positions`.
        """
        if self.unmasked_positions is None:
            return longest
        if longest > self.unmasked_positions:
            raise ValueError(
                f"unmasked_positions is {self.unmasked_positions}, but a source has {longest} positions"
            )
        return self.unmasked_positions
