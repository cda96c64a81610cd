"""Weight gradients left as the two thin factors they are a product of.

The gradient of a weight `W` that maps inputs `x` [N, in] to outputs with error `d` [N, out] is `dᵀ·x`. For one
sentence N is some eight positions, while `W` has a million entries: writing the product out, reading it back
and adding it costs more than everything else about it. Plain SGD needs no such product, it can add
`-lr·dᵀ·x` to `W` in one go. An optimizer that can (`seq2seq_lab.accelerate.optimizers.SGD`) calls `accept_factors` on its
parameters; the layers below then hand their factors over instead of a dense `.grad`. For every other optimizer
nothing changes.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable


class ProductFactors(NamedTuple):
    """A gradient `deltaᵀ·inputs` of a weight [out, in]; delta [N, out], inputs [N, in]."""

    delta: Tensor
    inputs: Tensor

    def add_to(self, target: Tensor, alpha: float) -> None:
        """target += alpha · gradient, without the gradient ever being written out."""
        target.addmm_(self.delta.t(), self.inputs, alpha=alpha)


class RowFactors(NamedTuple):
    """A gradient of an embedding [V, E] that is zero but for the rows of `ids` [N]; rows [N, E]."""

    ids: Tensor
    rows: Tensor

    def add_to(self, target: Tensor, alpha: float) -> None:
        """target += alpha · gradient; an id that stands twice is added twice."""
        target.index_add_(0, self.ids, self.rows, alpha=alpha)


class SumFactors(NamedTuple):
    """A gradient of a bias [out]: the sum over the rows of delta [N, out]."""

    delta: Tensor

    def add_to(self, target: Tensor, alpha: float) -> None:
        """target += alpha · gradient."""
        target.add_(self.delta.sum(0), alpha=alpha)


Factors = ProductFactors | RowFactors | SumFactors


def accept_factors(parameters: Iterable[nn.Parameter]) -> None:
    """From now on these parameters collect factors in `parameter.factors`; their optimizer applies them."""
    for parameter in parameters:
        parameter.factors = []  # type: ignore[attr-defined]


def factors_of(parameter: Tensor) -> list[Factors]:
    """The factors that wait to be applied to a parameter; empty for one that takes dense gradients."""
    return getattr(parameter, "factors", [])


def write_out_factors(parameters: Iterable[nn.Parameter]) -> None:
    """Turn waiting factors into dense `.grad`, for whoever needs to look at whole gradients (clipping)."""
    for parameter in parameters:
        for factors in factors_of(parameter):
            _add_dense(parameter, factors)
        factors_of(parameter).clear()


def leave(parameter: Tensor, factors: Factors) -> None:
    """Leave a gradient where the parameter's optimizer looks for it: what autograd does with `gradient`."""
    if not parameter.requires_grad:
        return
    if (waiting := getattr(parameter, "factors", None)) is not None:
        waiting.append(factors)
    else:
        _add_dense(parameter, factors)


def _add_dense(parameter: Tensor, factors: Factors) -> None:
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    factors.add_to(parameter.grad, alpha=1.0)


def gradient(weight: Tensor, factors: Factors) -> Tensor | None:
    """What a backward pass returns for a parameter: its dense gradient, if it is not frozen or takes factors."""
    if not weight.requires_grad:
        return None
    if (waiting := getattr(weight, "factors", None)) is not None:
        waiting.append(factors)
        return None
    dense = torch.zeros_like(weight)
    factors.add_to(dense, alpha=1.0)
    return dense


class _Affine(Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        flat = inputs.reshape(-1, inputs.shape[-1])
        ctx.inputs, ctx.weight, ctx.bias = (
            flat,
            weight,
            bias,
        )  # as they are: factors hang on these very objects
        return torch.addmm(bias, flat, weight.t()).view(*inputs.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, delta: Tensor) -> tuple[Tensor | None, ...]:
        flat = delta.reshape(-1, delta.shape[-1])
        delta_inputs = (flat @ ctx.weight).view(*delta.shape[:-1], -1) if ctx.needs_input_grad[0] else None
        return (
            delta_inputs,
            gradient(ctx.weight, ProductFactors(flat, ctx.inputs)),
            gradient(ctx.bias, SumFactors(flat)),
        )


class _Lookup(Function):
    @staticmethod
    def forward(ctx: Any, ids: Tensor, weight: Tensor) -> Tensor:
        ctx.ids, ctx.weight = ids, weight
        return torch.embedding(weight, ids)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, delta: Tensor) -> tuple[Tensor | None, ...]:
        rows = RowFactors(ctx.ids.reshape(-1), delta.reshape(-1, delta.shape[-1]))
        return None, gradient(ctx.weight, rows)


class Linear(nn.Linear):
    """`torch.nn.Linear` (with bias) whose weight gradient may stay in factors."""

    def forward(self, input: Tensor) -> Tensor:
        """[..., in] → [..., out]."""
        outputs: Tensor = _Affine.apply(input, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return outputs


class Embedding(nn.Embedding):
    """`torch.nn.Embedding` (no padding index) whose weight gradient may stay in factors."""

    def forward(self, input: Tensor) -> Tensor:
        """Ids [...] → [..., E]."""
        rows: Tensor = _Lookup.apply(input, self.weight)  # type: ignore[no-untyped-call]
        return rows
