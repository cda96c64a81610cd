"""The encoder: maps a source sentence to a memory for the decoder."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from seq2seq_lab.data.draws import Draws
from seq2seq_lab.models.dropout import Dropout
from seq2seq_lab.models.rnn import RNN, State


class Memory(NamedTuple):
    """The result of the encoder, which the decoder reads.

    Attributes:
        outputs: [B, S, H], the encoder's output at every source position.
        mask: [B, S], True at positions that attention may use; None: all positions.
        state: the context: the encoder's state after the last word of each sentence.
    """

    outputs: Tensor
    mask: Tensor | None
    state: State


class Bridge(nn.Module):
    """A linear layer and tanh between the encoder's last state and the decoder's first one.

    Args:
        hidden_size: H.
        states: number of tensors of a state.
    """

    def __init__(self, *, hidden_size: int, states: int) -> None:
        super().__init__()
        self.linears = nn.ModuleList(nn.Linear(hidden_size, hidden_size) for _ in range(states))

    def forward(self, state: State) -> State:
        """State, tensors [B, H] → state, tensors [B, H]."""
        return tuple(linear(each).tanh() for linear, each in zip(self.linears, state, strict=True))


class Encoder(nn.Module):
    """Embedding → recurrent layers, from a zero state.

    Args:
        embedding: embedding of the source words [V, E].
        rnn: recurrent layers.
        dropout: probability of dropping a value of an embedded word, in training.
        bridge: applied to its last state, for the decoder's first state; None: the state is not changed.
        unmasked_positions: if set, the seminar's quirk A: the outputs are in a block with this number of positions,
            zero after the sentence, and attention covers the complete block. None: padding is masked.
    """

    def __init__(
        self,
        *,
        embedding: nn.Embedding,
        rnn: RNN,
        dropout: float = 0.0,
        bridge: Bridge | None = None,
        unmasked_positions: int | None = None,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.dropout = Dropout(dropout, "encoder/embedding")
        self.rnn = rnn
        self.bridge = bridge
        self.unmasked_positions = unmasked_positions

    def forward(self, source: Tensor, lengths: Tensor | None = None, draws: Draws | None = None) -> Memory:
        """source ids [B, S]; lengths [B], or None if no sentence is padded.

        Raises:
            ValueError: a source is longer than `unmasked_positions`.
        """
        outputs, state = self.rnn(self.dropout(self.embedding(source), draws), lengths=lengths, draws=draws)
        if self.bridge is not None:
            state = self.bridge(state)
        mask = None
        if torch.compiler.is_exporting():  # where the number of positions is not known
            return self._exported(outputs, state, lengths)
        if self.unmasked_positions is not None:
            missing = self.positions(source.shape[1]) - source.shape[1]
            outputs = nn.functional.pad(outputs, (0, 0, 0, missing))
        elif lengths is not None:
            mask = torch.arange(source.shape[1], device=source.device) < lengths.unsqueeze(1)
        return Memory(outputs, mask, state)

    def positions(self, longest: int) -> int:
        """The number of positions that attention covers, for sources of up to `longest` positions.

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

    def _exported(self, outputs: Tensor, state: State, lengths: Tensor | None) -> Memory:
        """The memory without a decision that depends on the number of positions."""
        if self.unmasked_positions is not None:
            block = outputs.new_zeros(outputs.shape[0], self.unmasked_positions, outputs.shape[2])
            return Memory(torch.cat((outputs, block), dim=1)[:, : self.unmasked_positions], None, state)
        mask = None if lengths is None else torch.arange(outputs.shape[1]) < lengths.unsqueeze(1)
        return Memory(outputs, mask, state)
