"""A whole model over one sentence on a CPU, as a single function of autograd."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from seq2seq_lab.data.vocabulary import SOS
from seq2seq_lab.models.attention import DotAttention
from seq2seq_lab.models.decoder import Decoded, Decoder
from seq2seq_lab.models.encoder import Encoder
from seq2seq_lab.models.factors import gradient, takes_factors
from seq2seq_lab.models.stages import Affine, Array, Attention, Recurrence, Stage, Words

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


def decode(model: "Seq2Seq", source: Tensor, target: Tensor, forced: Tensor | None) -> Decoded:
    """`Seq2Seq.forward` for one sentence."""
    sentence = Sentence(model, source[0].numpy(), target[0].numpy(), forced)
    parameters = [parameter for stage in sentence.stages for parameter in stage.parameters]
    trained = [i for i, parameter in enumerate(parameters) if parameter.requires_grad]
    # A parameter that takes factors needs no edge of the graph, which costs some microseconds; one there must be.
    edges = [i for i in trained if not takes_factors(parameters[i])] or trained[:1]
    connected = [parameters[i] for i in edges]
    logits, *weights = _Sentence.apply(sentence, edges, *connected)  # type: ignore[no-untyped-call]
    return Decoded(logits, weights[0] if weights else None)


class Sentence:
    """The stages of a model at work on one sentence.

    Args:
        model: the model.
        source: ids [S].
        gold: the ids [T] to predict.
        forced: [1, T] as in `Seq2Seq.forward`.
    """

    def __init__(
        self, model: "Seq2Seq", source: NDArray[np.int64], gold: NDArray[np.int64], forced: Tensor | None
    ) -> None:
        self.encoder = _recurrent(model.encoder, source)
        for stage in self.encoder:
            stage.advance(slice(0, len(source)))
        self.words = np.empty_like(gold)  # that the decoder is fed; one's own overwrite the gold ones
        self.words[0], self.words[1:] = SOS, gold[:-1]
        context = [stage.outputs[-1] for stage in self.encoder if isinstance(stage, Recurrence)]
        self.decoder = _recurrent(model.decoder, self.words, context)
        self.attention = self._attention(model)
        if self.attention is not None:
            self.decoder.append(self.attention)
        output = model.decoder.output
        self.decoder.append(Affine(self.decoder[-1].outputs, output.weight, output.bias))
        self.logits = self.decoder[-1].outputs
        self._advance(None if forced is None else forced[0].tolist())

    @property
    def stages(self) -> list[Stage]:
        """All stages, in order."""
        return self.encoder + self.decoder

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
        length = len(self.words)
        own = [] if forced is None else [t for t in range(1, length) if not forced[t]]
        for start, stop in zip([0, *own], [*own, length], strict=True):
            if start:
                self.words[start] = self.logits[start - 1].argmax()
            for stage in self.decoder:
                stage.advance(slice(start, stop))

    def back(self, delta: Array) -> None:
        """From the error of the logits [T, V] to the gradients of all parameters, left in the stages."""
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


class _Sentence(Function):
    """Hangs a `Sentence` into the graph: parameters → logits [1, T, V] (, weights [1, T, S]).

    edges: which of all parameters are passed.
    """

    @staticmethod
    def forward(ctx: Any, sentence: Sentence, edges: list[int], *parameters: Tensor) -> tuple[Tensor, ...]:
        ctx.sentence, ctx.edges = sentence, edges
        ctx.set_materialize_grads(False)
        outputs = [sentence.logits]
        if sentence.attention is not None:
            outputs.append(sentence.attention.weights)
        return tuple(torch.from_numpy(values).unsqueeze(0) for values in outputs)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, delta: Tensor | None, delta_weights: Tensor | None = None
    ) -> tuple[Tensor | None, ...]:
        sentence: Sentence = ctx.sentence
        if delta_weights is not None and sentence.attention is not None:
            sentence.attention.delta_weights = delta_weights[0].numpy()
        sentence.back(np.zeros_like(sentence.logits) if delta is None else delta[0].numpy())
        gradients = [
            gradient(parameter, factors)
            for stage in sentence.stages
            for parameter, factors in zip(stage.parameters, stage.gradients, strict=True)
        ]
        return None, None, *(gradients[i] for i in ctx.edges)
