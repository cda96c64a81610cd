"""Forward and backward pass of a GRU layer and of dot attention on one sentence, used by `sentence_kernel.py`.

The equations are those of `torch.nn.GRU` and of dot attention (https://arxiv.org/abs/1508.04025). T positions, H
hidden, M positions of the memory. A backward function also makes the SGD step of its parameters.
"""

from typing import Any, TypeAlias

import numpy as np

from seq2seq_lab.accelerate.kernels import (
    Array,
    add_transposed,
    affine,
    descend,
    exact,
    fast,
    gates,
    gates_back,
    softmax,
    tanh,
)

Layer: TypeAlias = tuple[
    Array, Array, Array, Array
]  # weight_ih [3H, in], weight_hh [3H, H], bias_ih [3H], bias_hh [3H]
Trace: TypeAlias = tuple[Array, ...]  # of one layer, or of all layers; see `new_trace`


@fast
def new_trace(layers: int, length: int, size: int, dtype: Any) -> Trace:
    """Arrays that the forward pass of L layers fills for the backward pass.

    The inputs [L, T, H] (not used for the first layer), the gates r, z and n [L, T, 3H], the recurrent sums
    [L, T, 3H], and the states [L, T + 1, H], initialised with zeros.
    """
    return (
        np.empty((layers, length, size), dtype),
        np.empty((layers, length, 3 * size), dtype),
        np.empty((layers, length, 3 * size), dtype),
        np.zeros((layers, length + 1, size), dtype),
    )


@fast
def recur(layer: Layer, inputs: Array, start: int, trace: Trace, from_zero: bool) -> None:
    """Run a layer from position `start` on.

    inputs [T, E]; trace: see `new_trace`; from_zero: whether the first state is zero.
    """
    weight_ih, weight_hh, bias_ih, bias_hh = layer
    sums, recurrent, states = trace
    affine(weight_ih, bias_ih, inputs, sums[start:])
    for t in range(start, start + len(inputs)):
        if t == 0 and from_zero:
            for i in range(len(bias_hh)):
                recurrent[t, i] = bias_hh[i]
        else:
            affine(weight_hh, bias_hh, states[t : t + 1], recurrent[t:])
        gates(t, sums, recurrent, states)


@fast
def recur_back(
    layer: Layer,
    inputs: Array,
    trace: Trace,
    delta: Array,
    rate: float,
    from_zero: bool,
    passed: Array,
    back: Array,
) -> None:
    """The backward pass of a layer, with its SGD step.

    delta [T, H]: gradient of the states. passed [1, H]: gradient to add for the last state; it is replaced by the
    gradient of the first state, unless that is a zero state. The gradient of the inputs is added to back [T, E].
    """
    weight_ih, weight_hh, bias_ih, bias_hh = layer
    sums, recurrent, states = trace
    length = len(delta)
    of_input, of_state = np.empty_like(sums), np.empty_like(sums)
    first = 1 if from_zero else 0  # first position whose previous state is not zero
    for t in range(length - 1, -1, -1):
        gates_back(t, sums, recurrent, states, delta, passed, of_input, of_state)
        if t > first:
            add_transposed(weight_hh, of_state[t : t + 1], passed)
        elif t == first:
            descend(weight_hh, bias_hh, of_state[t:], states[t:length], rate, passed)
    if from_zero:
        for i in range(len(bias_hh)):
            bias_hh[i] -= rate * of_state[0, i]
    descend(weight_ih, bias_ih, of_input, inputs, rate, back)


@fast
def attend(
    combine: Array, bias: Array, states: Array, memory: Array, weights: Array, joined: Array, out: Array
) -> None:
    """out = tanh(W [value; state] + b), where value = softmax(memory · state) memory.

    W [H, 2H]; states, out [T, H]; memory [M, H]; weights [T, M]; joined [T, 2H].
    """
    size, value = memory.shape[1], np.zeros_like(states)
    affine(memory, np.zeros(len(memory), memory.dtype), states, weights)
    for t in range(len(states)):
        softmax(weights[t])
    add_transposed(memory, weights, value)
    for t in range(len(states)):
        for i in range(size):
            joined[t, i], joined[t, size + i] = value[t, i], states[t, i]
    affine(combine, bias, joined, out)
    tanh_all(out)


@fast
def attend_back(
    combine: Array,
    bias: Array,
    states: Array,
    memory: Array,
    weights: Array,
    joined: Array,
    out: Array,
    delta: Array,
    rate: float,
    of_memory: Array,
) -> None:
    """The backward pass of `attend`, with its SGD step.

    delta [T, H] is the gradient of the outputs; it is replaced by the gradient of the states. The gradient of the
    memory is added to of_memory [M, H].
    """
    size, of_value = memory.shape[1], np.empty_like(states)
    of_joined, scores = np.zeros_like(joined), np.empty_like(weights)
    for t in range(len(states)):
        for i in range(size):
            delta[t, i] *= 1 - out[t, i] * out[t, i]
    descend(combine, bias, delta, joined, rate, of_joined)
    for t in range(len(states)):
        for i in range(size):
            of_value[t, i], delta[t, i] = of_joined[t, i], of_joined[t, size + i]
    affine(memory, np.zeros(len(memory), memory.dtype), of_value, scores)
    for t in range(len(states)):
        mean = memory.dtype.type(0)
        for s in range(len(memory)):
            mean += scores[t, s] * weights[t, s]
        for s in range(len(memory)):
            scores[t, s] = weights[t, s] * (scores[t, s] - mean)
            for i in range(size):
                of_memory[s, i] += weights[t, s] * of_value[t, i] + scores[t, s] * states[t, i]
    add_transposed(memory, scores, delta)


@fast
def embed(embedding: Array, words: Array, out: Array) -> None:
    """out[t] = embedding[words[t]]."""
    for t in range(len(words)):
        for i in range(out.shape[1]):
            out[t, i] = embedding[words[t], i]


@fast
def embed_back(embedding: Array, words: Array, delta: Array, rate: float) -> None:
    """The SGD step of the embeddings of `words`; a word that appears twice is updated with the sum of its gradients."""
    for t in range(len(words)):
        for i in range(delta.shape[1]):
            embedding[words[t], i] -= rate * delta[t, i]


@fast
def relu(rows: Array) -> None:
    """ReLU in place."""
    for t in range(len(rows)):
        for i in range(rows.shape[1]):
            rows[t, i] = max(rows[t, i], rows.dtype.type(0))


@fast
def relu_back(delta: Array, rows: Array) -> None:
    """delta = 0 where `rows`, the output of the ReLU and a dropout mask, are 0."""
    for t in range(len(rows)):
        for i in range(rows.shape[1]):
            if rows[t, i] <= 0:
                delta[t, i] = 0


@exact
def tanh_all(rows: Array) -> None:
    """tanh in place."""
    for t in range(len(rows)):
        for i in range(rows.shape[1]):
            rows[t, i] = tanh(rows[t, i])


@fast
def multiply(rows: Array, mask: Array) -> None:
    """rows *= mask; a mask without rows changes nothing."""
    for t in range(len(rows) if len(mask) else 0):
        for i in range(rows.shape[1]):
            rows[t, i] *= mask[t, i]


@fast
def copy(rows: Array, out: Array) -> None:
    """out[t] = rows[t] for all rows."""
    for t in range(len(rows)):
        for i in range(out.shape[1]):
            out[t, i] = rows[t, i]
