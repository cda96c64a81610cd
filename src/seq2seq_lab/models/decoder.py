"""The decoder: maps its inputs and its state to scores of the next word."""

import torch
from torch import Tensor, nn

from seq2seq_lab.data.draws import Draws
from seq2seq_lab.models.attention.base import Attention
from seq2seq_lab.models.dropout import Dropout
from seq2seq_lab.models.encoder import Memory
from seq2seq_lab.models.interface import Decoded
from seq2seq_lab.models.rnn import RNN, State


class Decoder(nn.Module):
    """Embedding → (ReLU →) recurrent layers → (attention →) linear to the vocabulary.

    Args:
        embedding: embedding of the target words [V, E].
        rnn: recurrent layers; each starts with the encoder's state of the same layer.
        output: linear layer H → V.
        attention: its result is the input of the output layer; None: the state is.
        dropout: probability of dropping a value of an embedded word, in training.
        output_dropout: probability of dropping a value of the input of the output layer, in training.
        embedding_relu: whether a ReLU follows the embedding, as in the PyTorch tutorial.
        input_feeding: whether the last input of the output layer is part of the next input of the recurrent layers,
            [E + H], zero at the first position (Luong et al. 2015, https://arxiv.org/abs/1508.04025, section 3.3).
            Each position then depends on the one before, so that a sequence is computed step by step.
    """

    def __init__(
        self,
        *,
        embedding: nn.Embedding,
        rnn: RNN,
        output: nn.Linear,
        attention: Attention | None = None,
        dropout: float = 0.0,
        output_dropout: float = 0.0,
        embedding_relu: bool = True,
        input_feeding: bool = False,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.embedding_relu = embedding_relu
        self.input_feeding = input_feeding
        self.dropout = Dropout(dropout, "decoder/embedding")
        self.output_dropout = Dropout(output_dropout, "decoder/output", name="output_dropout")
        self.rnn = rnn
        self.attention = attention
        self.output = output

    def embed(self, words: Tensor) -> Tensor:
        """Ids [B, T] → inputs [B, T, E]."""
        embedded = self.embedding(words)
        return embedded.relu() if self.embedding_relu else embedded  # type: ignore[no-any-return]

    def embed_mixture(self, weights: Tensor) -> Tensor:
        """Weights of words [B, T, V] → inputs [B, T, E]: as `embed`, for the weighted mean of the embeddings."""
        embedded = weights @ self.embedding.weight
        return embedded.relu() if self.embedding_relu else embedded

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
        state = self.first_state(memory) if state is None else state
        if self.input_feeding:
            return self._fed_back(inputs, memory, state, draws, first)
        states, state = self.rnn(inputs, state, draws=draws, first=first)
        outputs, weights = (states, None) if self.attention is None else self.attention(states, memory)
        return Decoded(self.output(self.output_dropout(outputs, draws, first)), weights), state

    def first_state(self, memory: Memory) -> State:
        """The state before the first position."""
        if not self.input_feeding:
            return memory.state
        return (*memory.state, torch.zeros_like(memory.state[0]))  # and nothing was fed back yet

    def _fed_back(
        self, inputs: Tensor, memory: Memory, state: State, draws: Draws | None, first: int
    ) -> tuple[Decoded, State]:
        """The same with input feeding. The last tensor of the state is what is fed back, [B, H]."""
        outputs, weights = [], []
        for t in range(inputs.shape[1]):
            *recurrent, fed = state
            step = torch.cat((inputs[:, t : t + 1], fed.unsqueeze(1)), dim=2)
            output, state = self.rnn(step, tuple(recurrent), draws=draws, first=first + t)
            if self.attention is not None:
                output, weight = self.attention(output, memory)
                weights.append(weight)
            state = (*state, output.squeeze(1))
            outputs.append(output)
        joined = self.output_dropout(torch.cat(outputs, dim=1), draws, first)
        return Decoded(self.output(joined), torch.cat(weights, dim=1) if weights else None), state
