"""Learning-rate schedules: a scheduler of PyTorch's, and when it is stepped.

`optimizer.lr` is the learning rate that a schedule starts from or, with a warm-up, its largest one. The state of the
scheduler is saved in the checkpoint.
"""

import math
from typing import Any, Literal, Protocol

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler, ReduceLROnPlateau

Over = Literal["updates", "epochs"] | None


class LRSchedule(Protocol):
    """How the learning rate changes.

    Attributes:
        over: `updates`: the scheduler is stepped after each update; `epochs`: after each epoch; None: never.
        metric: it is stepped with the value of this metric instead, each time it is measured; None: with nothing.
    """

    over: Over
    metric: str | None

    def scheduler(self, optimizer: Optimizer) -> LRScheduler | None:
        """The scheduler of an optimizer; None where it is never stepped."""
        ...


class Constant:
    """The learning rate stays as it is."""

    over: Over = None
    metric: str | None = None

    def scheduler(self, optimizer: Optimizer) -> LRScheduler | None:
        """None."""
        return None


class Plateau:
    """Multiply the learning rate by `factor` when a metric has not improved for more than `patience` evaluations.

    Args:
        metric: the metric, such as `val/bleu`.
        mode: whether more of it is better (`max`) or less (`min`).
        factor: in (0, 1).
        patience: evaluations without improvement that change nothing.
        threshold: what counts as an improvement: a change of more than this, in the metric's own unit.
        min_lr: the learning rate does not fall below it.

    Raises:
        ValueError: a value is out of its range.
    """

    over: Over = "epochs"

    def __init__(
        self,
        *,
        metric: str,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.5,
        patience: int = 2,
        threshold: float = 0.0,
        min_lr: float = 0.0,
    ) -> None:
        if not 0 < factor < 1:
            raise ValueError(f"factor must lie in (0, 1), got {factor}")
        if patience < 0:
            raise ValueError(f"patience must be at least 0, got {patience}")
        _check_not_negative("threshold", threshold)
        _check_not_negative("min_lr", min_lr)
        self.metric: str | None = metric
        self.mode = mode
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.min_lr = min_lr

    def scheduler(self, optimizer: Optimizer) -> LRScheduler:
        """The scheduler of an optimizer."""
        _check_below(self.min_lr, optimizer)
        return ReduceLROnPlateau(
            optimizer,
            mode=self.mode,
            factor=self.factor,
            patience=self.patience,
            threshold=self.threshold,
            threshold_mode="abs",
            min_lr=self.min_lr,
        )


class Cosine:
    """Half a cosine from `optimizer.lr` to `min_lr` (Loshchilov & Hutter 2017, https://arxiv.org/abs/1608.03983).

    In epoch e = 0, 1, … of n it is min_lr + (lr − min_lr) (1 + cos(π e / n)) / 2; there are no restarts.

    Args:
        epochs: n, all of training, or those after which it stays at `min_lr`.
        min_lr: the learning rate at the end.

    Raises:
        ValueError: a value is out of its range.
    """

    over: Over = "epochs"
    metric: str | None = None

    def __init__(self, *, epochs: int | None, min_lr: float = 0.0) -> None:
        if epochs is None or epochs < 1:
            raise ValueError(f"epochs must be at least 1, got {epochs}; it is trainer.max_epochs by default")
        _check_not_negative("min_lr", min_lr)
        self.epochs = epochs
        self.min_lr = min_lr

    def scheduler(self, optimizer: Optimizer) -> LRScheduler:
        """The scheduler of an optimizer."""
        _check_below(self.min_lr, optimizer)
        return _HalfCosine(optimizer, T_max=self.epochs, eta_min=self.min_lr)


class _HalfCosine(CosineAnnealingLR):
    """PyTorch's goes up again after `T_max`."""

    def get_lr(self) -> Any:
        if self.last_epoch > self.T_max:
            return [group["lr"] for group in self.optimizer.param_groups]
        return super().get_lr()


class InverseSqrt:
    """A linear warm-up, then a decay by the inverse square root of the updates made.

    Update u = 1, 2, … has lr · min(u / w, √(w / u)), with `optimizer.lr` as the largest learning rate (Vaswani et al.
    2017, https://arxiv.org/abs/1706.03762, section 5.3).

    Args:
        warm_up: w, the updates of the warm-up.

    Raises:
        ValueError: `warm_up` is less than 1.
    """

    over: Over = "updates"
    metric: str | None = None

    def __init__(self, *, warm_up: int = 4000) -> None:
        if warm_up < 1:
            raise ValueError(f"warm_up must be at least 1, got {warm_up}")
        self.warm_up = warm_up

    def factor(self, done: int) -> float:
        """What the learning rate is multiplied by in the update before which `done` were made."""
        update = done + 1
        return min(update / self.warm_up, math.sqrt(self.warm_up / update))

    def scheduler(self, optimizer: Optimizer) -> LRScheduler:
        """The scheduler of an optimizer."""
        return LambdaLR(optimizer, self.factor)


def _check_below(min_lr: float, optimizer: Optimizer) -> None:
    lr = optimizer.param_groups[0]["lr"]
    if min_lr > lr:
        raise ValueError(f"min_lr must be at most optimizer.lr, which is {lr:g}, got {min_lr:g}")


def _check_not_negative(name: str, value: float) -> None:
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} must be at least 0 and finite, got {value}")
