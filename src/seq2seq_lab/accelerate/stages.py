"""One sentence on a CPU, in NumPy: the layers as stages of a pipeline, each with its backward pass.

Updates after every sentence are made of thin products and of operations on a few hundred numbers, where a call
costs more than what it computes: NumPy's calls take a third of PyTorch's, its matrix-vector product half, and
autograd's bookkeeping as long as the arithmetic. So one sentence goes through the stages below, which share the
parameters' memory, and past autograd altogether (`seq2seq_lab.accelerate.sentence`).

A stage reads the outputs of the stage before it, [T, in], and owns its own, [T, out]. `advance(rows)` computes
some positions; `back(delta)` turns the error of all outputs into the error of all inputs and leaves the gradients
of its parameters behind. A sentence may advance in pieces, since a word that the decoder feeds itself is known
only when the position before is done; it goes back at once.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seq2seq_lab.accelerate.factors import Factors, ProductFactors, RowFactors, SumFactors
from seq2seq_lab.models.recurrence import slopes

Array = NDArray[np.floating[Any]]


class Stage(Protocol):
    """A layer at work on one sentence.

    Attributes:
        outputs: [T, out].
        parameters: of the layer.
        gradients: one for each parameter, once `back` is done.
    """

    outputs: Array
    parameters: Sequence[Tensor]
    gradients: Sequence[Factors]

    def advance(self, rows: slice) -> None:
        """Compute the outputs of some positions; all earlier ones are done."""

    def back(self, delta: Array) -> Array:
        """The error of the outputs [T, out] to the error of the inputs [T, in]."""
        ...


def array(parameter: Tensor) -> Array:
    """A parameter's memory."""
    values: Array = parameter.detach().numpy()
    return values


def product(delta: Array, inputs: Array) -> ProductFactors:
    """The factors of a weight's gradient."""
    return ProductFactors(torch.from_numpy(delta), torch.from_numpy(inputs))


def times(rows: Array, matrix: Array) -> Array:
    """rows [N, in] · matrix [in, out]. Kernels work on four rows at a time: seven cost more than eight."""
    count = len(rows)
    missing = -count % 4
    if count > 1 and missing:
        filled = np.zeros((count + missing, rows.shape[1]), rows.dtype)
        filled[:count] = rows
        rows = filled
    result: Array = np.dot(rows, matrix)
    return result[:count]


class Words:
    """Rows of an embedding, with ReLU where asked for; `ids` [T] may be filled in as positions are reached."""

    def __init__(self, ids: NDArray[np.int64], weight: Tensor, *, relu: bool) -> None:
        self.ids, self.relu = ids, relu
        self.parameters: Sequence[Tensor] = (weight,)
        self.gradients: Sequence[Factors] = ()
        self.table = array(weight)
        self.outputs = np.empty((len(ids), weight.shape[1]), self.table.dtype)

    def advance(self, rows: slice) -> None:
        outputs = self.outputs[rows]
        outputs[:] = self.table[self.ids[rows]]
        if self.relu:
            np.maximum(outputs, 0, out=outputs)

    def back(self, delta: Array) -> Array:
        if self.relu:
            delta = delta * (self.outputs > 0)
        self.gradients = (RowFactors(torch.from_numpy(self.ids), torch.from_numpy(delta)),)
        return delta


class Affine:
    """W x + b."""

    def __init__(self, inputs: Array, weight: Tensor, bias: Tensor) -> None:
        self.inputs = inputs
        self.parameters: Sequence[Tensor] = (weight, bias)
        self.gradients: Sequence[Factors] = ()
        self.weight, self.bias = array(weight), array(bias)
        self.outputs = np.empty((len(inputs), len(self.weight)), inputs.dtype)

    def advance(self, rows: slice) -> None:
        np.add(times(self.inputs[rows], self.weight.T), self.bias, out=self.outputs[rows])

    def back(self, delta: Array) -> Array:
        self.gradients = product(delta, self.inputs), SumFactors(torch.from_numpy(delta))
        return times(delta, self.weight)


class Recurrence:
    """A GRU layer from a first state [H]; the equations are those of `seq2seq_lab.models.recurrence`."""

    def __init__(self, inputs: Array, first: Array, weights: Sequence[Tensor]) -> None:
        length, size = len(inputs), len(first)
        self.inputs = inputs
        self.parameters = weights
        self.gradients: Sequence[Factors] = ()
        self.weight_ih, self.weight_hh, bias_ih, bias_hh = map(array, weights)
        self.bias = bias_ih.copy()  # and of b_h what is added to the same sums
        self.bias[: 2 * size] += bias_hh[: 2 * size]
        self.bias_n = bias_hh[2 * size :]
        self.gates = np.empty((length, 3 * size), inputs.dtype)  # r, z, n
        self.inner = np.empty((length, size), inputs.dtype)  # m
        self.states = np.empty((length + 1, size), inputs.dtype)
        self.states[0] = first
        self.outputs = self.states[1:]
        self.first_delta = self.states[0]  # the error of the first state, once `back` is done

    def advance(self, rows: slice) -> None:
        np.add(times(self.inputs[rows], self.weight_ih.T), self.bias, out=self.gates[rows])
        size, weight_hh, bias_n = len(self.bias_n), self.weight_hh, self.bias_n
        half = np.array(0.5, self.gates.dtype)  # a plain number would be converted in each operation
        recurrent = np.empty_like(self.bias)
        recurrent_rz, recurrent_n = recurrent[: 2 * size], recurrent[2 * size :]
        steps = zip(self.gates[rows], self.states[rows], self.outputs[rows], self.inner[rows], strict=True)
        for gates, before, after, m in steps:
            rz, r, z, n = gates[: 2 * size], gates[:size], gates[size : 2 * size], gates[2 * size :]
            np.dot(weight_hh, before, recurrent)
            np.add(recurrent_n, bias_n, m)
            np.add(rz, recurrent_rz, rz)
            np.multiply(rz, half, rz)  # σ(x) = ½ tanh(½x) + ½, which cannot overflow
            np.tanh(rz, rz)
            np.multiply(rz, half, rz)
            np.add(rz, half, rz)
            np.multiply(r, m, after)
            np.add(n, after, n)
            np.tanh(n, n)
            np.subtract(before, n, after)
            np.multiply(after, z, after)
            np.add(after, n, after)

    def back(self, delta: Array) -> Array:
        length, size = self.inner.shape
        before, weight_hh = self.states[:-1], self.weight_hh
        *recurrent, slope_n = slopes(self.gates, before, self.inner)
        delta_hh = np.concatenate(recurrent, axis=1)  # slopes first, and errors step by step
        by_gate = delta_hh.reshape(length, 3, size)
        z = self.gates[:, size : 2 * size]
        errors = np.zeros((length + 1, size), delta.dtype)  # of every state, the first included
        errors[1:] = delta
        passed = np.empty(size, delta.dtype)
        for t in range(length - 1, -1, -1):
            after, earlier, sums = errors[t + 1], errors[t], by_gate[t]
            np.multiply(sums, after, sums)
            np.dot(delta_hh[t], weight_hh, passed)
            np.add(earlier, passed, earlier)
            np.multiply(after, z[t], passed)
            np.add(earlier, passed, earlier)
        # On the input side n's sum is not behind the reset gate; r's and z's are the same.
        delta_ih = delta_hh.copy()
        np.multiply(errors[1:], slope_n, out=delta_ih[:, 2 * size :])
        self.first_delta = errors[0]
        products = product(delta_ih, self.inputs), product(delta_hh, before)
        self.gradients = *products, *(SumFactors(factors.delta) for factors in products)
        return times(delta_ih, self.weight_ih)


class Attention:
    """Dot-product attention over a memory [S, H]; the equations are those of `DotAttention`."""

    def __init__(self, inputs: Array, memory: Array, weight: Tensor, bias: Tensor) -> None:
        length, size = inputs.shape
        self.inputs, self.memory = inputs, memory
        self.weights = np.empty((length, len(memory)), inputs.dtype)
        self.joined = np.empty((length, 2 * size), inputs.dtype)  # value, state
        self.combine = Affine(self.joined, weight, bias)
        self.outputs, self.parameters = self.combine.outputs, self.combine.parameters
        self.gradients: Sequence[Factors] = ()
        self.delta_memory = memory  # the error of the memory, once `back` is done

    def advance(self, rows: slice) -> None:
        states, weights, size = self.inputs[rows], self.weights[rows], self.inputs.shape[1]
        np.dot(states, self.memory.T, weights)
        weights -= weights.max(axis=1, keepdims=True)
        np.exp(weights, weights)
        weights /= weights.sum(axis=1, keepdims=True)
        self.joined[rows, :size] = np.dot(weights, self.memory)
        self.joined[rows, size:] = states
        self.combine.advance(rows)
        np.tanh(self.outputs[rows], self.outputs[rows])

    def back(self, delta: Array) -> Array:
        size = self.inputs.shape[1]
        delta_joined = self.combine.back(delta * (1 - self.outputs * self.outputs))
        self.gradients = self.combine.gradients
        delta_value, delta_states = delta_joined[:, :size], delta_joined[:, size:]
        delta_scores = np.dot(delta_value, self.memory.T) * self.weights
        delta_scores -= self.weights * delta_scores.sum(axis=1, keepdims=True)
        self.delta_memory = np.dot(self.weights.T, delta_value) + np.dot(delta_scores.T, self.inputs)
        delta_states += np.dot(delta_scores, self.memory)
        return delta_states
