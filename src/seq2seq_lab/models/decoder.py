"""The decoder: what it is fed and what it remembers, to scores of the next word."""

from typing import NamedTuple

from torch import Tensor, nn

from seq2seq_lab.accelerate.factors import Embedding, Linear
from seq2seq_lab.models.attention.dot import DotAttention
from seq2seq_lab.models.encoder import Memory
from seq2seq_lab.models.rnn import GRU, State


class Decoded(NamedTuple):
    """Scores of the next word at each position, and where the decoder looked for them.

    Attributes:
        logits: [B, T, V].
        weights: attention weights [B, T, S]; None without attention.
    """

    logits: Tensor
    weights: Tensor | None


class Decoder(nn.Module):
    """Embedding → ReLU → GRU → (attention →) linear to the vocabulary.

    Args:
        vocabulary_size: V, target words, the special ones included.
        embedding_size: E.
        hidden_size: H.
        layers: layers of the GRU; each starts at the encoder's context of that layer.
        dropout: on embedded words and between layers, in training.
        attention: what the output layer reads instead of the state alone; None reads the state.
    """

    def __init__(
        self,
        *,
        vocabulary_size: int,
        embedding_size: int,
        hidden_size: int,
        layers: int = 1,
        dropout: float = 0.0,
        attention: DotAttention | None = None,
    ) -> None:
        super().__init__()
        self.embedding = Embedding(vocabulary_size, embedding_size)
        self.dropout = nn.Dropout(dropout)
        self.gru = GRU(input_size=embedding_size, hidden_size=hidden_size, layers=layers, dropout=dropout)
        self.attention = attention
        self.output = Linear(hidden_size, vocabulary_size)

    @property
    def drops_out(self) -> bool:
        """Whether it drops anything in training."""
        return self.dropout.p > 0 or self.gru.dropout > 0

    def forward(self, fed: Tensor, memory: Memory) -> Decoded:
        """A whole sequence at once: the words fed [B, T] → logits [B, T, V]."""
        embedded = self.dropout(self.embedding(fed).relu())
        return self._read_out(self.gru(embedded, memory.state)[-1], memory)

    def step(self, fed: Tensor, memory: Memory, state: State) -> tuple[Decoded, State]:
        """One position, without gradient and without dropout: the words fed [B] → logits [B, 1, V], next state."""
        state = self.gru.step(self.embedding(fed).relu(), state)
        return self._read_out(state[-1].unsqueeze(1), memory), state

    def _read_out(self, states: Tensor, memory: Memory) -> Decoded:
        weights = None
        if self.attention is not None:
            states, weights = self.attention(states, memory)
        return Decoded(self.output(states), weights)
