"""The decoder: maps its inputs and its state to scores of the next word."""

from typing import NamedTuple

from torch import Tensor, nn

from seq2seq_lab.data.draws import Draws
from seq2seq_lab.models.attention.base import Attention
from seq2seq_lab.models.dropout import Dropout
from seq2seq_lab.models.encoder import Memory
from seq2seq_lab.models.rnn import RNN, State


class Decoded(NamedTuple):
    """Scores of the next word at each position, and attention weights.

    Attributes:
        logits: [B, T, V].
        weights: attention weights [B, T, S]; None for a model without attention.
    """

    logits: Tensor
    weights: Tensor | None


class Decoder(nn.Module):
    """Embedding → ReLU → recurrent layers → (attention →) linear to the vocabulary.

    Args:
        embedding: embedding of the target words [V, E].
        rnn: recurrent layers; each starts with the encoder's state of the same layer.
        output: linear layer H → V.
        attention: its result is the input of the output layer; None: the state is.
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
        """Weights of words [B, T, V] → inputs [B, T, E]: as `embed`, for the weighted mean of the embeddings."""
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
        """Run a sequence, or one step as a sequence of one position.

        Args:
            inputs: outputs of `embed`, [B, T, E].
            memory: memory of the source.
            state: state before the first position; None: the state of the memory.
            draws: random numbers of dropout.
            first: index of the first position.
        """
        inputs = self.dropout(inputs, draws, first)
        states, state = self.rnn(inputs, memory.state if state is None else state, draws=draws, first=first)
        weights = None
        if self.attention is not None:
            states, weights = self.attention(states, memory)
        return Decoded(self.output(states), weights), state
