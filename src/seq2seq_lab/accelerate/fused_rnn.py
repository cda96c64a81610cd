"""GRU layers over whole sequences: the gradient of a weight is one product a sequence, gates are one compiled pass.

PyTorch's own GRU on a CPU is a graph of a dozen nodes a step, each with a product for the gradient of the weights. Its
LSTM is not: oneDNN computes a sequence in one call. But it orders all weights anew in each call, so that single steps
are made by PyTorch's cell.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from seq2seq_lab.accelerate.compiler import batch_kernels
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.models.rnn import RNN, State


class Layout(NamedTuple):
    """The order in which positions are computed: step by step, of each the sentences that still go on.

    Attributes:
        order: the sentences, longest first, [B]; None: as they are.
        counts: the sentences of each step.
        inputs: row of each position among the inputs, [N]: those of a block [B · T], or 0 … N − 1 if they are gathered.
        outputs: row of each position in a block [B · T], [N].
    """

    order: Tensor | None
    counts: Sequence[int]
    inputs: NDArray[np.int64]
    outputs: NDArray[np.int64]


def layout_of(sentences: int, positions: int, lengths: Tensor | None) -> Layout:
    """The layout of sentences of some lengths, [B]; None: all have all positions."""
    steps = np.arange(positions)[:, None]
    if lengths is None:
        rows = (steps + np.arange(sentences) * positions).ravel()
        return Layout(None, [sentences] * positions, rows, rows)
    known = lengths.numpy()
    order = np.argsort(-known, kind="stable")
    inside = steps < known[order]
    rows = (steps + order * positions)[inside]
    return Layout(torch.from_numpy(order), inside.sum(axis=1).tolist(), np.arange(len(rows)), rows)


class FusedRNN(RNN):
    """The layers of an `RNN`, which must all be plain `nn.GRU`, or all plain `nn.LSTM`, on a CPU."""

    def __init__(self, rnn: RNN) -> None:
        nn.Module.__init__(self)
        self.layers, self.dropouts, self.hidden_size = rnn.layers, rnn.dropouts, rnn.hidden_size
        self.training = rnn.training

    def forward(
        self,
        inputs: Tensor,
        state: State | None = None,
        *,
        lengths: Tensor | None = None,
        draws: Draws | None = None,
        first: int = 0,
    ) -> tuple[Tensor, State]:
        """As `RNN.forward`."""
        if isinstance(self.layers[0], nn.LSTM):
            if state is None or inputs.shape[1] > 1 or torch.is_grad_enabled():
                return super().forward(inputs, state, lengths=lengths, draws=draws, first=first)
            return self._lstm_step(inputs, state, draws, first)
        layout = layout_of(inputs.shape[0], inputs.shape[1], lengths)
        after: list[Tensor] = []
        for number, layer in enumerate(self.layers):
            if number:
                inputs = self.dropouts[number - 1](inputs, draws, first)
            before = state[number] if state else inputs.new_zeros(len(inputs), self.hidden_size)
            inputs, last = _Layer.apply(inputs, before, layout, *_weights(layer))  # type: ignore[no-untyped-call]
            after.append(last)
        return inputs, tuple(after)

    def _lstm_step(
        self, inputs: Tensor, state: State, draws: Draws | None, first: int
    ) -> tuple[Tensor, State]:
        after: list[Tensor] = []
        for number, layer in enumerate(self.layers):
            if number:
                inputs = self.dropouts[number - 1](inputs, draws, first)
            before = state[2 * number : 2 * number + 2]
            h, c = torch.lstm_cell(inputs[:, 0], before, *_weights(layer))
            inputs = h.unsqueeze(1)
            after += (h, c)
        return inputs, tuple(after)


def _weights(layer: nn.Module) -> list[Tensor]:
    """W, U, b and c of each direction; unlike `parameters()`, one that is tied to another is there for both."""
    assert isinstance(layer, nn.RNNBase)
    return [weight for direction in layer.all_weights for weight in direction]


class _Kept(NamedTuple):
    """What one direction keeps for its backward pass: r, z and n of each row of the inputs, [·, 3H]; h before each
    position and U h + c of its n, [N, H]."""

    gates: Tensor
    before: Tensor
    candidate: Tensor


class _Layer(torch.autograd.Function):
    """Inputs [B, T, E], state [B, H] → outputs [B, T, H], state after the last position; see `torch.nn.GRU`."""

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, state: Tensor, layout: Layout, *weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        sentences, positions, width = inputs.shape
        rows = inputs.reshape(-1, width)
        if layout.order is not None:
            rows = rows[torch.from_numpy(layout.outputs)]
        directions = len(weights) // 4
        out = inputs.new_zeros(sentences, positions, state.shape[1])
        kept: list[Tensor] = [rows]
        states = [_sorted(each, layout).clone() for each in state.chunk(directions, dim=1)]
        for number, own in enumerate(states):
            kept += _forward(rows, own, weights[4 * number : 4 * number + 4], layout, out, number)
        ctx.save_for_backward(*kept, *weights)
        ctx.layout, ctx.shape = layout, inputs.shape
        return out, torch.cat([_unsorted(each, layout) for each in states], dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_out: Tensor, of_last: Tensor) -> tuple[Tensor | None, ...]:
        rows, *saved = ctx.saved_tensors
        layout, directions = ctx.layout, len(saved) // 7
        weights, of_out = saved[3 * directions :], of_out.contiguous()
        states = [_sorted(each, layout).clone() for each in of_last.chunk(directions, dim=1)]
        of_rows: Tensor | None = None
        of_weights: list[Tensor] = []
        for number, own in enumerate(states):
            kept = _Kept(*saved[3 * number : 3 * number + 3])
            w, u = weights[4 * number : 4 * number + 2]
            of_inputs, of_recurrent = _backward(kept, own, u, layout, of_out, number)
            of_weights += [of_inputs.t() @ rows, of_recurrent.t() @ kept.before]
            of_weights += [of_inputs.sum(0), of_recurrent.sum(0)]
            if ctx.needs_input_grad[0]:
                of_rows = of_inputs @ w if of_rows is None else of_rows.addmm_(of_inputs, w)
        of_state = torch.cat([_unsorted(each, layout) for each in states], dim=1)
        return _scattered(of_rows, layout, ctx.shape), of_state, None, *of_weights


def _sorted(state: Tensor, layout: Layout) -> Tensor:
    return state if layout.order is None else state[layout.order]


def _unsorted(state: Tensor, layout: Layout) -> Tensor:
    if layout.order is None:
        return state
    return torch.empty_like(state).index_copy_(0, layout.order, state)


def _scattered(of_rows: Tensor | None, layout: Layout, shape: torch.Size) -> Tensor | None:
    if of_rows is None:
        return None
    if layout.order is not None:
        block = of_rows.new_zeros(shape[0] * shape[1], shape[2])
        of_rows = block.index_copy_(0, torch.from_numpy(layout.outputs), of_rows)
    return of_rows.view(shape)


def _steps(layout: Layout, reverse: bool) -> list[slice]:
    """The positions of each step in the order of the layout, from the first step or from the last."""
    ends = np.cumsum(layout.counts).tolist()
    found = [slice(end - count, end) for end, count in zip(ends, layout.counts, strict=True)]
    return found[::-1] if reverse else found


def _transposed(matrix: Tensor, layout: Layout) -> Tensor:
    """Its transpose; a product with a few rows is a third faster where that is contiguous, which pays for several."""
    return matrix.t().contiguous() if len(layout.counts) > 7 else matrix.t()


def _forward(
    rows: Tensor, state: Tensor, weights: Sequence[Tensor], layout: Layout, out: Tensor, number: int
) -> _Kept:
    """One direction; writes its outputs to their columns of `out`, and replaces the state."""
    w, u, b, c = weights
    size, count = state.shape[1], len(layout.inputs)
    bias = b.clone()
    bias[: 2 * size] += c[: 2 * size]
    gates = torch.addmm(bias, rows, w.t())
    before, candidate = rows.new_empty(count, size), rows.new_empty(count, size)
    products, transposed = rows.new_empty(len(state), 3 * size), _transposed(u, layout)
    arrays = gates.numpy(), products.numpy(), c[2 * size :].numpy()
    h, y, kept, found = state.numpy(), out.view(-1, out.shape[2]).numpy(), before.numpy(), candidate.numpy()
    step, column = batch_kernels().gru, number * size
    for here in _steps(layout, reverse=number == 1):
        n = here.stop - here.start
        torch.mm(state[:n], transposed, out=products[:n])
        step(layout.inputs[here], layout.outputs[here], *arrays, column, h, y, kept[here], found[here])
    return _Kept(gates, before, candidate)


def _backward(
    kept: _Kept, of_state: Tensor, u: Tensor, layout: Layout, of_out: Tensor, number: int
) -> tuple[Tensor, Tensor]:
    """The gradients of W x + b and of U h + c at each position; that of the state is replaced."""
    size = of_state.shape[1]
    of_inputs = torch.empty_like(kept.gates)
    of_recurrent = kept.gates.new_empty(len(layout.inputs), 3 * size)
    gates, before, candidate = (each.numpy() for each in kept)
    y, x, r = of_out.view(-1, of_out.shape[2]).numpy(), of_inputs.numpy(), of_recurrent.numpy()
    h, step, column = of_state.numpy(), batch_kernels().gru_back, number * size
    for here in _steps(layout, reverse=number == 0):
        step(
            layout.inputs[here], layout.outputs[here], gates, before[here], candidate[here], column, y, h, x, r[here]
        )  # fmt: skip
        of_state[: here.stop - here.start].addmm_(of_recurrent[here], u)
    return of_inputs, of_recurrent
