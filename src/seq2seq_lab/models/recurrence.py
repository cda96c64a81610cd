"""The recurrence of a GRU layer over a batch, with its backward pass written out.

With the input side i = W_i x + b_i of all gates (Cho et al. 2014, https://arxiv.org/abs/1406.1078, in the
variant of cuDNN and PyTorch, where the reset gate acts after the recurrent product):

    r_t = σ(i_r + W_hr h_{t-1} + b_hr)
    z_t = σ(i_z + W_hz h_{t-1} + b_hz)
    m_t = W_hn h_{t-1} + b_hn
    n_t = tanh(i_n + r_t ⊙ m_t)
    h_t = n_t + z_t ⊙ (h_{t-1} - n_t)

PyTorch's own gradient makes one product a step for each weight, and many small operations a step. Here the input
side of all steps is one product, a step is one product and a few element-wise operations, and each weight gets one
gradient product a sequence. Inside, everything is time-major, so that a step's tensors are contiguous.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from seq2seq_lab.accelerate.factors import Factors, ProductFactors, SumFactors, gradient


def input_gates(inputs: Tensor, weight_ih: Tensor, bias_ih: Tensor, bias_hh: Tensor) -> Tensor:
    """W_i x + b_i of all gates, and b_h of r and z, which adds up with it: [N, E] → [N, 3H]."""
    reset_and_update = bias_hh.numel() // 3 * 2
    bias = bias_ih.clone()
    bias[:reset_and_update] += bias_hh[:reset_and_update]
    return torch.addmm(bias, inputs, weight_ih.t())


def slopes(gates: Any, before: Any, inner: Any) -> tuple[Any, Any, Any, Any]:
    """How an error of h_t passes to the sums inside r, z, m and n: factors that do not depend on the error.

    Tensors or arrays alike: gates r, z, n [..., 3H], h_{t-1} and m [..., H] → four of [..., H].
    """
    size = inner.shape[-1]
    r, z, n = gates[..., :size], gates[..., size : 2 * size], gates[..., 2 * size :]
    keep = 1 - z
    slope_n = keep * (1 - n * n)
    slope_m = slope_n * r
    slope_r = slope_m * inner * (1 - r)
    slope_z = (before - n) * z * keep
    return slope_r, slope_z, slope_m, slope_n


def run(gates: Tensor, states: Tensor, inner: Tensor, weight_hh: Tensor, bias_hh: Tensor) -> None:
    """Run the steps in place.

    gates [T, B, 3H] hold the input side and become r, z, n; states [T + 1, B, H] hold the first state and get the
    others; inner [T, B, H] becomes m.
    """
    size = states.shape[2]
    weight_rz, weight_n = weight_hh[: 2 * size].t(), weight_hh[2 * size :].t()
    bias_n = bias_hh[2 * size :]
    for t in range(gates.shape[0]):
        rz, n = gates[t, :, : 2 * size], gates[t, :, 2 * size :]
        r, z = rz[:, :size], rz[:, size:]
        rz.addmm_(states[t], weight_rz).sigmoid_()
        torch.addmm(bias_n, states[t], weight_n, out=inner[t])
        n.addcmul_(r, inner[t]).tanh_()
        torch.lerp(n, states[t], z, out=states[t + 1])


class Recurrence(Function):
    """One layer over a sequence: inputs [B, T, E], state [B, H], weights → states [B, T, H]."""

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
        batch, length, _ = inputs.shape
        inputs = inputs.transpose(0, 1).reshape(length * batch, -1)
        gates = input_gates(inputs, weight_ih, bias_ih, bias_hh).view(length, batch, -1)
        states = gates.new_empty(length + 1, *state.shape)
        states[0] = state
        inner = torch.empty_like(states[1:])
        run(gates, states, inner, weight_hh, bias_hh)
        ctx.save_for_backward(inputs, gates, states, inner)
        ctx.parameters = (
            weight_ih,
            weight_hh,
            bias_ih,
            bias_hh,
        )  # as they are: factors hang on these very objects
        return states[1:].transpose(0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, delta_states: Tensor) -> tuple[Tensor | None, ...]:
        inputs, gates, states, inner = ctx.saved_tensors
        weight_ih, weight_hh, _, _ = ctx.parameters
        length, batch, size = inner.shape

        # delta[t + 1] is the error of h_t: first what comes from above, then, step by step, from later states.
        delta = torch.empty_like(states)
        delta[0] = 0
        delta[1:] = delta_states.transpose(0, 1)
        *recurrent, slope_n = slopes(gates, states[:-1], inner)
        slope = torch.stack(recurrent, dim=2)
        z = gates[..., size : 2 * size]
        delta_hh = torch.empty_like(slope)
        flat_hh = delta_hh.view(length, batch, 3 * size)
        for t in reversed(range(length)):
            torch.mul(delta[t + 1].unsqueeze(1), slope[t], out=delta_hh[t])
            delta[t].addcmul_(delta[t + 1], z[t]).addmm_(flat_hh[t], weight_hh)
        # On the input side n's sum is not behind the reset gate; r's and z's are the same.
        delta_ih = flat_hh.clone()
        torch.mul(delta[1:], slope_n, out=delta_ih[..., 2 * size :])

        flat_hh, flat_ih = flat_hh.view(length * batch, -1), delta_ih.view(length * batch, -1)
        before = states[:-1].view(length * batch, size)
        delta_inputs = None
        if ctx.needs_input_grad[0]:
            delta_inputs = (flat_ih @ weight_ih).view(length, batch, -1).transpose(0, 1)
        factors: tuple[Factors, ...] = (
            ProductFactors(flat_ih, inputs),
            ProductFactors(flat_hh, before),
            SumFactors(flat_ih),
            SumFactors(flat_hh),
        )
        return delta_inputs, delta[0], *map(gradient, ctx.parameters, factors)


def step(
    inputs: Tensor, state: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor
) -> Tensor:
    """One step without gradient: inputs [B, E], state [B, H] → the next state [B, H]."""
    gates = input_gates(inputs, weight_ih, bias_ih, bias_hh).unsqueeze(0)
    states = gates.new_empty(2, *state.shape)
    states[0] = state
    run(gates, states, torch.empty_like(states[1:]), weight_hh, bias_hh)
    return states[1]
