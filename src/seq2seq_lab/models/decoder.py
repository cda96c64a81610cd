"""The decoder: what it is fed and what it remembers, to scores of the next word."""

from typing import NamedTuple

from torch import Tensor, nn

from seq2seq_lab.data.draws import Draws
from seq2seq_lab.models.attention.base import Attention
from seq2seq_lab.models.dropout import Dropout
from seq2seq_lab.models.encoder import Memory
from seq2seq_lab.models.rnn import RNN, State


class Decoded(NamedTuple):
    """Scores of the next word at each position, and what was attended to for them.

    Attributes:
        logits: [B, T, V].
        weights: attention weights [B, T, S]; None without attention.
    """

    logits: Tensor
    weights: Tensor | None


class Decoder(nn.Module):
    """Embedding → ReLU → recurrent layers → (attention →) linear to the vocabulary.

    Args:
        embedding: of the target words [V, E].
        rnn: its layers; each starts at the encoder's state of that layer.
        output: H → V.
        attention: what the output layer reads instead of the state alone; None reads the state.
        dropout: probability of dropping a value of an embedded word, in training.
    """

    def __init__(
        self,
        *,
        embedding: nn.Embedding,
        rnn: RNN,
        output: nn.Linear,
        attention: Attention | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.dropout = Dropout(dropout, "decoder/embedding")
        self.rnn = rnn
        self.attention = attention
        self.output = output

    def embed(self, words: Tensor) -> Tensor:
        """Ids [B, T] → inputs [B, T, E]."""
        return self.embedding(words).relu()  # type: ignore[no-any-return]

    def embed_mixture(self, weights: Tensor) -> Tensor:
        """Weights of words [B, T, V] → inputs [B, T, E]: what `embed` makes of the weighted mean of embeddings."""
        return (weights @ self.embedding.weight).relu()

    def forward(
        self,
        inputs: Tensor,
        memory: Memory,
        state: State | None = None,
        *,
        draws: Draws | None = None,
        first: int = 0,
    ) -> tuple[Decoded, State]:
        """A sequence, or one step of it, which is a sequence of one position.

        Args:
            inputs: what `embed` gave, [B, T, E].
            memory: of the source.
            state: before the first position; None is the memory's.
            draws: of dropout.
            first: number of the first position.
        """
        inputs = self.dropout(inputs, draws, first)
        states, state = self.rnn(inputs, memory.state if state is None else state, draws=draws, first=first)
        weights = None
        if self.attention is not None:
            states, weights = self.attention(states, memory)
        return Decoded(self.output(states), weights), state
