"""How the probability of gold changes: over training, or over the positions of a sentence.

A decay d falls from 1 towards 0 over m steps; ε(i) = end + (start − end) · d(i). So start = 1, end = 0 is a decreasing
schedule and start = 0, end = 1 an increasing one.
"""

import math
from typing import Protocol

import torch
from torch import Tensor

from seq2seq_lab.errors import UserError
from seq2seq_lab.forcing.plan import Pairs, check_ratio


class Decay(Protocol):
    """A falling function."""

    def __call__(self, i: Tensor, m: Tensor) -> Tensor:
        """The values in [0, 1] after i of m steps; i and m float64, of shapes that broadcast."""
        ...


class Constant:
    """d(i) = 1."""

    def __call__(self, i: Tensor, m: Tensor) -> Tensor:
        return torch.ones_like(i + m)


class Linear:
    """d(i) = max(0, 1 − i/m) (Bengio et al. 2015, https://arxiv.org/abs/1506.03099, section 2.4)."""

    def __call__(self, i: Tensor, m: Tensor) -> Tensor:
        return (1 - i / m).clamp(min=0)


class Exponential:
    """d(i) = kⁱ (Bengio et al. 2015, section 2.4).

    Args:
        k: in (0, 1); None: 0.5^(10/m), so that it halves ten times (Teutsch & Mäder 2022, arXiv 2210.08959).

    Raises:
        ValueError: `k` is out of its range.
    """

    def __init__(self, *, k: float | None = None) -> None:
        if k is not None and not 0 < k < 1:
            raise ValueError(f"k must lie in (0, 1) for an exponential decay, got {k}")
        self.k = k

    def __call__(self, i: Tensor, m: Tensor) -> Tensor:
        return 0.5 ** (10 * i / m) if self.k is None else self.k ** (i + 0 * m)


class InverseExponential:
    """d(i) = 1 − c^(1 − i/m): 1 − c at the start, and 0 from m on; it falls slowly at first, and fastest at the end.

    The warm-up of own words in the code of Duckworth et al. 2019 (tensor2tensor's `inverse_exp_decay`).

    Args:
        c: what is missing to 1 at the start, in (0, 1).

    Raises:
        ValueError: `c` is out of its range.
    """

    def __init__(self, *, c: float = 0.001) -> None:
        if not 0 < c < 1:
            raise ValueError(f"c must lie in (0, 1) for an inverse exponential decay, got {c}")
        self.c = c

    def __call__(self, i: Tensor, m: Tensor) -> Tensor:
        return 1 - self.c ** (1 - i / m).clamp(min=0)


class InverseSigmoid:
    """d(i) = k / (k + e^(i/k)) (Bengio et al. 2015, section 2.4).

    Args:
        k: at least 1; None: so that d(m/2) = ½, that is k · ln k = m/2 (Teutsch & Mäder 2022, arXiv 2210.08959).

    Raises:
        ValueError: `k` is out of its range.
    """

    def __init__(self, *, k: float | None = None) -> None:
        if k is not None and not 1 <= k < math.inf:
            raise ValueError(f"k must be at least 1 for an inverse sigmoid, got {k}")
        self.k = k

    def __call__(self, i: Tensor, m: Tensor) -> Tensor:
        k = _half_way(m) if self.k is None else torch.full_like(m, self.k)
        return torch.sigmoid(k.log() - i / k)  # the same, without an overflow


def _half_way(m: Tensor) -> Tensor:
    """The k > 1 with k · ln k = m/2, by Newton's method on x · eˣ = m/2 with k = eˣ (Lambert's W)."""
    half = m / 2
    x = (1 + half).log()
    for _ in range(30):
        x = x - (x * x.exp() - half) / (x.exp() * (1 + x))
    return x.exp()


class Schedule:
    """ε over training.

    Args:
        decay: its shape.
        start: ε at the beginning, where d = 1.
        end: ε at the end, where d = 0.
        over: `updates`: i counts updates; `epochs`: i counts epochs, and ε is the same within one.
        share: the share of training over which it runs, in (0, 1]; m is that many of all updates or epochs.

    Raises:
        ValueError: a value is out of its range.
    """

    def __init__(
        self,
        *,
        decay: Decay,
        start: float = 1.0,
        end: float = 0.0,
        over: str = "updates",
        share: float = 1.0,
    ) -> None:
        check_ratio("start", start)
        check_ratio("end", end)
        if over not in ("updates", "epochs"):
            raise ValueError(f"over must be updates or epochs, got {over}")
        if not 0 < share <= 1:
            raise ValueError(f"share must lie in (0, 1], got {share}")
        self.decay = decay
        self.start = start
        self.end = end
        self.over = over
        self.share = share

    def ratio(self, pairs: Pairs, of: str = "forcing") -> Tensor:
        """ε of each pair, float64 [N].

        Args:
            of: the group whose schedule it is, for the message.

        Raises:
            UserError: training has no end.
        """
        if self.over == "updates":
            i, length = pairs.update.double(), pairs.updates
        else:
            i, length = (
                torch.full((len(pairs.update),), float(pairs.epoch), dtype=torch.float64),
                pairs.epochs,
            )
        if length < 1:
            raise UserError(f"{of}: a schedule needs the end of training; set trainer.max_epochs")
        m = torch.full_like(i, max(1.0, length * self.share))
        return self.end + (self.start - self.end) * self.decay(i, m)
