"""The Transformer: encoder and decoder of attention layers."""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from seq2seq_lab.data.draws import Draws
from seq2seq_lab.models.dropout import Dropout
from seq2seq_lab.models.interface import Decoded, Model, gold_inputs, name_of
from seq2seq_lab.models.transformer.layers import DecoderLayer, KeysValues
from seq2seq_lab.models.transformer.positions import sinusoids

Cache = tuple[KeysValues, ...]  # of each layer of the decoder, for the positions so far


class SourceMemory(NamedTuple):
    """What the decoder reads of the sources.

    Attributes:
        mask: [B, 1, 1, S], True at words; None: no source is padded.
        layers: keys and values of the sources for each layer of the decoder.
    """

    mask: Tensor | None
    layers: Cache


class Stack(nn.Module):
    """Embedded words and their positions, layers, and a last layer norm.

    Args:
        embedding: of the words, [V, H]; its values are multiplied by √H.
        layers: of the encoder or of the decoder.
        dropout: of the sum of embedded words and positions.
    """

    def __init__(self, *, embedding: nn.Embedding, layers: nn.ModuleList, dropout: Dropout) -> None:
        super().__init__()
        self.embedding = embedding
        self.layers = layers
        self.dropout = dropout
        self.norm = nn.LayerNorm(embedding.embedding_dim)
        self.scale = math.sqrt(embedding.embedding_dim)

    def embed(self, words: Tensor) -> Tensor:
        """Ids [B, T] → [B, T, H]."""
        return self.embedding(words) * self.scale  # type: ignore[no-any-return]

    def placed(self, embedded: Tensor, draws: Draws | None, first: int = 0, *, before: int = 0) -> Tensor:
        """Embedded words [B, T, H] with their positions, the first of which follows `before` others."""
        values = embedded + sinusoids(before, embedded.shape[1], embedded)
        return self.dropout(values, draws, first)  # type: ignore[no-any-return]


class Transformer(Model):
    """A Transformer (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762), in pre-norm form.

    A step of decoding costs one position: keys and values of the positions before are kept.

    Args:
        encoder: with `EncoderLayer`s.
        decoder: with `DecoderLayer`s.
        output: linear layer H → V.
    """

    def __init__(self, *, encoder: Stack, decoder: Stack, output: nn.Linear) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.output = output

    @property
    def target_vocabulary_size(self) -> int:
        return self.decoder.embedding.num_embeddings

    @property
    def has_attention(self) -> bool:
        return True

    def encode(
        self, source: Tensor, source_lengths: Tensor | None = None, draws: Draws | None = None
    ) -> SourceMemory:
        x, mask = self.encoder.placed(self.encoder.embed(source), draws), None
        if source_lengths is not None:
            inside = torch.arange(source.shape[1], device=source.device) < source_lengths.unsqueeze(1)
            mask = inside.unsqueeze(1).unsqueeze(1)
        for layer in self.encoder.layers:
            x = layer(x, mask, draws)
        return SourceMemory(mask, self.source_cache(self.encoder.norm(x)))

    def source_cache(self, outputs: Tensor) -> Cache:
        """Keys and values of the encoder's outputs [B, S, H] for each layer of the decoder."""
        layers = cast(Iterable[DecoderLayer], self.decoder.layers)
        return tuple(KeysValues(*layer.attention.keys_values(outputs)) for layer in layers)

    def embed(self, words: Tensor) -> Tensor:
        return self.decoder.embed(words)

    def embed_mixture(self, weights: Tensor) -> Tensor:
        return weights @ self.decoder.embedding.weight * self.decoder.scale

    def first_state(self, memory: SourceMemory) -> Cache:
        return tuple(KeysValues(*(part[:, :, :0] for part in layer)) for layer in memory.layers)

    def decode(
        self,
        inputs: Tensor,
        memory: SourceMemory,
        state: Cache,
        *,
        draws: Draws | None = None,
        first: int = 0,
    ) -> tuple[Decoded, Cache]:
        logits, weights, state = self._decode(inputs, memory, state, draws, first)
        return Decoded(logits, weights.mean(dim=1)), state

    def head_weights(self, source: Tensor, target: Tensor) -> Tensor:
        """Those of the last layer. `Decoded.weights` are their mean over the heads."""
        memory, fed = self.encode(source), gold_inputs(target)
        return self._decode(self.embed(fed), memory, self.first_state(memory), None, 0)[1]

    def _decode(
        self, inputs: Tensor, memory: SourceMemory, state: Cache, draws: Draws | None, first: int
    ) -> tuple[Tensor, Tensor, Cache]:
        """Scores [B, T, V], weights of the last layer's heads [B, heads, T, S], and the keys and values so far."""
        count, before = inputs.shape[1], state[0].keys.shape[2]
        causal = None  # one position may attend to all before it
        if count > 1:
            places = torch.arange(before + count, device=inputs.device)
            causal = places <= places[before:].unsqueeze(1)
        x = self.decoder.placed(inputs, draws, first, before=before)
        after, weights = list[KeysValues](), None
        for number, (layer, kept, source) in enumerate(
            zip(self.decoder.layers, state, memory.layers, strict=True), start=1
        ):
            x, kept, weights = layer(
                x,
                kept,
                source,
                causal=causal,
                mask=memory.mask,
                draws=draws,
                first=first,
                weights=number == len(state),
            )
            after.append(kept)
        assert weights is not None
        return self.output(self.decoder.norm(x)), weights, tuple(after)

    def description(self) -> dict[str, Any]:
        if type(self) is not Transformer:
            raise ValueError(name_of(type(self)))
        encoder, decoder = self.encoder.layers, self.decoder.layers
        return {
            "architecture": "transformer",
            "heads": encoder[0].attention.heads,  # type: ignore[union-attr]
            "hidden": self.encoder.embedding.embedding_dim,
            "encoder_layers": len(encoder),
            "decoder_layers": len(decoder),
        }
