"""The recurrent encoder and decoder as one model."""

from typing import Any

from torch import Tensor, nn

from seq2seq_lab.data.draws import Draws
from seq2seq_lab.models.attention.additive import AdditiveAttention
from seq2seq_lab.models.attention.dot import DotAttention
from seq2seq_lab.models.attention.general import GeneralAttention
from seq2seq_lab.models.attention.scaled_dot import ScaledDotAttention
from seq2seq_lab.models.decoder import Decoder
from seq2seq_lab.models.encoder import Encoder, Memory
from seq2seq_lab.models.interface import Decoded, Model, name_of
from seq2seq_lab.models.rnn import State

# What other implementations know: exact classes, and their names there.
_CELLS: dict[type, str] = {nn.GRU: "gru", nn.LSTM: "lstm"}
_SCORES: dict[type, str | None] = {
    type(None): None,
    DotAttention: "dot",
    ScaledDotAttention: "scaled_dot",
    GeneralAttention: "general",
    AdditiveAttention: "additive",
}


class Seq2Seq(Model):
    """A recurrent sequence-to-sequence model (Sutskever et al. 2014, https://arxiv.org/abs/1409.3215)."""

    def __init__(self, *, encoder: Encoder, decoder: Decoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    @property
    def target_vocabulary_size(self) -> int:
        return self.decoder.embedding.num_embeddings

    @property
    def source_positions(self) -> int | None:
        return self.encoder.unmasked_positions

    @property
    def has_attention(self) -> bool:
        return self.decoder.attention is not None

    def encode(
        self, source: Tensor, source_lengths: Tensor | None = None, draws: Draws | None = None
    ) -> Memory:
        return self.encoder(source, source_lengths, draws)  # type: ignore[no-any-return]

    def embed(self, words: Tensor) -> Tensor:
        return self.decoder.embed(words)

    def embed_mixture(self, weights: Tensor) -> Tensor:
        return self.decoder.embed_mixture(weights)

    def first_state(self, memory: Memory) -> State:
        return self.decoder.first_state(memory)

    def decode(
        self, inputs: Tensor, memory: Memory, state: State, *, draws: Draws | None = None, first: int = 0
    ) -> tuple[Decoded, State]:
        return self.decoder(inputs, memory, state, draws=draws, first=first)  # type: ignore[no-any-return]

    def check_lengths(self, *, source: int = 0, target: int = 0) -> None:
        self.encoder.positions(source)

    def description(self) -> dict[str, Any]:
        encoder, decoder = self.encoder, self.decoder
        cell, score = type(encoder.rnn.layers[0]), type(decoder.attention)
        parts = ((type(self), {Seq2Seq: ""}), (cell, _CELLS), (score, _SCORES))
        for part, known in parts:
            if part not in known:
                raise ValueError(name_of(part))
        return {
            "architecture": "recurrent",
            "cell": _CELLS[cell],
            "layers": len(encoder.rnn.layers),
            "hidden": decoder.rnn.hidden_size,
            "bidirectional": bool(encoder.rnn.layers[0].bidirectional),
            "bridge": encoder.bridge is not None,
            "input_feeding": decoder.input_feeding,
            "relu": decoder.embedding_relu,
            "score": _SCORES[score],
            "unmasked_positions": encoder.unmasked_positions,
        }
