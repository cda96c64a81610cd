"""A whole model over one sentence on a CPU, forward and back, past autograd."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seq2seq_lab.accelerate.factors import leave
from seq2seq_lab.accelerate.stages import Affine, Array, Attention, Recurrence, Stage, Words
from seq2seq_lab.data.vocabulary import SOS
from seq2seq_lab.models.attention.dot import DotAttention
from seq2seq_lab.models.decoder import Decoder
from seq2seq_lab.models.encoder import Encoder

if TYPE_CHECKING:
    from seq2seq_lab.models.seq2seq import Seq2Seq


def suits(model: "Seq2Seq", source: Tensor, source_lengths: Tensor | None) -> bool:
    """Whether this is one unpadded sentence on a CPU, and a model of nothing but what `stages` knows."""
    if source.shape[0] != 1 or source_lengths is not None or not source.is_cpu:
        return False
    encoder, decoder = model.encoder, model.decoder
    known = type(encoder) is Encoder and type(decoder) is Decoder
    return (
        known
        and type(decoder.attention) in (DotAttention, type(None))
        and not (model.training and (encoder.drops_out or decoder.drops_out))
    )


class Sentence:
    """The stages of a model at work on one sentence; arguments as in `Seq2Seq.forward`, with B = 1.

    Attributes:
        logits: [1, T, V].
    """

    def __init__(self, model: "Seq2Seq", source: Tensor, target: Tensor, forced: Tensor | None) -> None:
        words, gold = source[0].numpy(), target[0].numpy()
        self.encoder = _recurrent(model.encoder, words)
        for stage in self.encoder:
            stage.advance(slice(0, len(words)))
        self.words = np.empty_like(gold)  # that the decoder is fed; one's own overwrite the gold ones
        self.words[0], self.words[1:] = SOS, gold[:-1]
        context = [stage.outputs[-1] for stage in self.encoder if isinstance(stage, Recurrence)]
        self.decoder = _recurrent(model.decoder, self.words, context)
        self.attention = self._attention(model)
        if self.attention is not None:
            self.decoder.append(self.attention)
        output = model.decoder.output
        self.decoder.append(Affine(self.decoder[-1].outputs, output.weight, output.bias))
        self._advance(None if forced is None else forced[0].tolist())
        self.logits = torch.from_numpy(self.decoder[-1].outputs).unsqueeze(0)

    def _attention(self, model: "Seq2Seq") -> Attention | None:
        if model.decoder.attention is None:
            return None
        outputs = self.encoder[-1].outputs
        memory = outputs
        if model.encoder.unmasked_positions is not None:
            memory = np.zeros((model.encoder.positions(len(outputs)), outputs.shape[1]), outputs.dtype)
            memory[: len(outputs)] = outputs
        combine = model.decoder.attention.combine
        return Attention(self.decoder[-1].outputs, memory, combine.weight, combine.bias)

    def _advance(self, forced: list[bool] | None) -> None:
        """Decode in pieces; a piece ends where the next word fed is one's own and not yet known."""
        length, scores = len(self.words), self.decoder[-1].outputs
        own = [] if forced is None else [t for t in range(1, length) if not forced[t]]
        for start, stop in zip([0, *own], [*own, length], strict=True):
            if start:
                self.words[start] = scores[start - 1].argmax()
            for stage in self.decoder:
                stage.advance(slice(start, stop))

    def back(self, error: Tensor) -> None:
        """From the error of the logits [1, T, V] to the gradients of all parameters, left with them."""
        delta: Array = error[0].numpy()
        for stage in reversed(self.decoder):
            delta = stage.back(delta)
        outputs = self.encoder[-1].outputs
        attention = self.attention
        delta = np.zeros_like(outputs) if attention is None else attention.delta_memory[: len(outputs)]
        layers = reversed([stage for stage in self.decoder if isinstance(stage, Recurrence)])
        for stage in reversed(self.encoder):
            if isinstance(stage, Recurrence):
                delta[-1] += next(layers).first_delta
            delta = stage.back(delta)
        for stage in self.encoder + self.decoder:
            for parameter, factors in zip(stage.parameters, stage.gradients, strict=True):
                leave(parameter, factors)


def _recurrent(
    part: Encoder | Decoder, ids: NDArray[np.int64], first: Sequence[Array] | None = None
) -> list[Stage]:
    """What encoder and decoder have in common: embedding and GRU."""
    stages: list[Stage] = [Words(ids, part.embedding.weight, relu=isinstance(part, Decoder))]
    for layer in range(part.gru.layers):
        inputs, weights = stages[-1].outputs, part.gru.weights(layer)
        state = np.zeros(weights[1].shape[1], inputs.dtype) if first is None else first[layer]
        stages.append(Recurrence(inputs, state, weights))
    return stages
