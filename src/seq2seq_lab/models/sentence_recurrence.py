"""`seq2seq_lab.models.recurrence` for a single sentence on a CPU.

Updates after every sentence are made of matrix-vector products and of operations on a few hundred numbers, where
the time of a call is that of its overhead. NumPy's calls cost a third of PyTorch's, and its matrix-vector product
half. So here the same steps run on NumPy views of the same memory; the equations are those of `recurrence`.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from seq2seq_lab.models.factors import ProductFactors, gradient
from seq2seq_lab.models.recurrence import slopes

Array = NDArray[np.floating[Any]]


def suits(tensor: Tensor) -> bool:
    """Whether a batch [B, ...] is one sentence on a CPU."""
    return tensor.shape[0] == 1 and tensor.device.type == "cpu"


def run(gates: Array, states: Array, inner: Array, weight_hh: Array, bias_hh: Array) -> None:
    """Run the steps in place; as `recurrence.run`, without the batch dimension and with all of b_h still to add."""
    size = states.shape[1]
    recurrent = np.empty(3 * size, gates.dtype)
    recurrent_rz, recurrent_n = recurrent[: 2 * size], recurrent[2 * size :]
    reset = np.empty(size, gates.dtype)
    gates[:, : 2 * size] += bias_hh[: 2 * size]
    bias_n = bias_hh[2 * size :]
    for gate, before, after, m in zip(gates, states[:-1], states[1:], inner, strict=True):
        rz, r, z, n = gate[: 2 * size], gate[:size], gate[size : 2 * size], gate[2 * size :]
        np.dot(weight_hh, before, out=recurrent)
        rz += recurrent_rz
        rz *= 0.5  # σ(x) = ½ tanh(½x) + ½, which cannot overflow
        np.tanh(rz, out=rz)
        rz *= 0.5
        rz += 0.5
        np.add(recurrent_n, bias_n, out=m)
        np.multiply(r, m, out=reset)
        n += reset
        np.tanh(n, out=n)
        np.subtract(before, n, out=after)
        after *= z
        after += n


def run_back(
    delta: Array, gates: Array, before: Array, inner: Array, weight_hh: Array
) -> tuple[Array, Array]:
    """Pass errors back through the steps.

    delta [T + 1, H] holds each state's error from above, a zero first, and becomes the whole error. Returns the
    errors of the sums on the recurrent and on the input side of the gates, [T, 3H] each.
    """
    length, size = inner.shape
    *recurrent, slope_n = slopes(gates, before, inner)
    delta_hh = np.concatenate(recurrent, axis=1)
    by_gate = delta_hh.reshape(length, 3, size)
    z = gates[:, size : 2 * size]
    passed = np.empty(size, delta.dtype)
    for t in range(length - 1, -1, -1):
        after, earlier = delta[t + 1], delta[t]
        by_gate[t] *= after
        np.dot(delta_hh[t], weight_hh, out=passed)
        earlier += passed
        np.multiply(after, z[t], out=passed)
        earlier += passed
    delta_ih = delta_hh.copy()
    np.multiply(delta[1:], slope_n, out=delta_ih[:, 2 * size :])
    return delta_hh, delta_ih


class SentenceRecurrence(Function):
    """One layer over a sentence: inputs [1, T, E], state [1, H], weights → states [1, T, H]."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        state: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor,
        bias_hh: Tensor,
    ) -> Tensor:
        inputs = inputs[0]
        length, size = inputs.shape[0], state.shape[1]
        gates = torch.addmm(bias_ih, inputs, weight_ih.t()).numpy()
        states = torch.empty(length + 1, size, dtype=state.dtype)
        states_array, inner = states.numpy(), np.empty((length, size), gates.dtype)
        states_array[0] = state.detach().numpy()
        run(gates, states_array, inner, weight_hh.detach().numpy(), bias_hh.detach().numpy())
        ctx.forward_pass = inputs, gates, states, inner
        ctx.weights = weight_ih, weight_hh  # as they are: their factors hang on these very objects
        return states[1:].unsqueeze(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, delta_states: Tensor) -> tuple[Tensor | None, ...]:
        inputs, gates, states, inner = ctx.forward_pass
        weight_ih, weight_hh = ctx.weights
        delta = np.empty(states.shape, gates.dtype)
        delta[0] = 0
        delta[1:] = delta_states[0].numpy()
        before = states[:-1]
        arrays = run_back(delta, gates, before.numpy(), inner, weight_hh.detach().numpy())
        delta_hh, delta_ih = map(torch.from_numpy, arrays)
        return (
            (delta_ih @ weight_ih).unsqueeze(0) if ctx.needs_input_grad[0] else None,
            torch.from_numpy(delta[:1]),
            gradient(weight_ih, ProductFactors(delta_ih, inputs)),
            gradient(weight_hh, ProductFactors(delta_hh, before)),
            torch.from_numpy(arrays[1].sum(axis=0)),
            torch.from_numpy(arrays[0].sum(axis=0)),
        )


def step(
    inputs: Tensor, state: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor
) -> Tensor:
    """One step without gradient: inputs [1, E], state [1, H] → the next state [1, H]."""
    gates = np.dot(weight_ih.detach().numpy(), inputs[0].numpy())
    gates += bias_ih.detach().numpy()
    states = np.empty((2, state.shape[1]), gates.dtype)
    states[0] = state.detach().numpy()
    inner = np.empty_like(states[1:])
    run(gates[np.newaxis], states, inner, weight_hh.detach().numpy(), bias_hh.detach().numpy())
    return torch.from_numpy(states[1:])
