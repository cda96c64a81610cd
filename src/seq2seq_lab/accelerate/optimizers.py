"""Optimizers that PyTorch does not have."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from seq2seq_lab.accelerate.factors import accept_factors, factors_of


class SGD(Optimizer):
    """Plain stochastic gradient descent, `W ← W - lr·∂L/∂W`, that never writes out a weight's gradient.

    It takes each gradient as the thin factors it is a product of (`seq2seq_lab.accelerate.factors`) and adds their
    product to the weight directly. The result is that of `torch.optim.SGD(lr=lr)`; momentum and weight decay
    need whole gradients and are `torch.optim`'s.

    Args:
        params: the parameters, as for any optimizer.
        lr: the learning rate, > 0.

    Raises:
        ValueError: `lr` is not positive and finite.
    """

    def __init__(self, params: Iterable[nn.Parameter], lr: float) -> None:
        if not 0 < lr < math.inf:
            raise ValueError(f"lr must be positive and finite, got {lr}")
        super().__init__(params, {"lr": lr})
        for group in self.param_groups:
            accept_factors(group["params"])

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Apply and forget all waiting factors, and any dense `.grad` beside them."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                for factors in (waiting := factors_of(parameter)):
                    factors.add_to(parameter, alpha=-group["lr"])
                waiting.clear()
                if parameter.grad is not None:
                    parameter.add_(parameter.grad, alpha=-group["lr"])
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients, dense and in factors; dense ones are always set to None."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None
                factors_of(parameter).clear()
