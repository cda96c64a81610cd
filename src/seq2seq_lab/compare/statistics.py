"""Means, spreads and intervals over seeds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

Curve = Mapping[int, float]  # epoch, counted from 1 → value; epochs in which nothing was measured are absent


@dataclass(frozen=True)
class Estimate:
    """Mean and sample standard deviation (n − 1 in the denominator) of n values; NaN where undefined."""

    mean: float
    sd: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Estimate":
        """Estimate from values; one that is not a finite number makes the mean so too."""
        if not values:
            return cls(math.nan, math.nan, 0)
        if not all(map(math.isfinite, values)):
            return cls(sum(v for v in values if not math.isfinite(v)), math.nan, len(values))
        n = len(values)
        mean = math.fsum(values) / n
        squares = math.fsum((value - mean) ** 2 for value in values)
        return cls(mean, math.sqrt(squares / (n - 1)) if n > 1 else math.nan, n)


def average(curves: Sequence[Curve]) -> dict[int, Estimate]:
    """Epoch by epoch, the estimate over those curves that were measured in that epoch."""
    epochs = sorted({epoch for curve in curves for epoch in curve})
    return {epoch: Estimate.of([curve[epoch] for curve in curves if epoch in curve]) for epoch in epochs}


def student_t_probability(t: float, df: int) -> float:
    """P(|T| ≤ t) for Student's t with ``df`` degrees of freedom: exact, as ``df`` is a whole number.

    With θ = atan(t/√df) it is a finite sum (Abramowitz & Stegun 26.7.3–4):
    odd df:  2/π · (θ + sin θ · (cos θ + 2/3 cos³θ + … + (2·4…(df−3))/(3·5…(df−2)) cos^(df−2) θ)),
    even df: sin θ · (1 + 1/2 cos²θ + … + (1·3…(df−3))/(2·4…(df−2)) cos^(df−2) θ).
    """
    theta = math.atan(t / math.sqrt(df))
    odd = df % 2
    term = total = 0.0 if df == 1 else (math.cos(theta) if odd else 1.0)
    for power in range(2 + odd, df - 1, 2):
        term *= (power - 1) / power * math.cos(theta) ** 2
        total += term
    total *= math.sin(theta)
    return 2 / math.pi * (theta + total) if odd else total


@cache
def student_t_quantile(probability: float, df: int) -> float:
    """The t with P(|T| ≤ t) = ``probability``, by bisection of the angle θ = atan(t/√df) to its last bit."""
    low, high = 0.0, math.pi / 2
    while low < (middle := (low + high) / 2) < high:
        if student_t_probability(math.tan(middle) * math.sqrt(df), df) < probability:
            low = middle
        else:
            high = middle
    return math.tan(high) * math.sqrt(df)


@dataclass(frozen=True)
class Difference:
    """Mean difference over n pairs and its confidence interval; NaN where it is undefined."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def told(self) -> bool:
        """Whether the interval leaves out zero, so that a difference can be told."""
        return self.low > 0 or self.high < 0


def paired_difference(
    first: Mapping[int, float], second: Mapping[int, float], *, confidence: float = 0.95
) -> Difference:
    """Second minus first, paired by seed: d̄ ± t(confidence, n − 1) · s_d / √n over the seeds of both."""
    seeds = sorted(first.keys() & second.keys())
    estimate = Estimate.of([second[seed] - first[seed] for seed in seeds])
    if estimate.n < 2 or math.isnan(estimate.sd):
        return Difference(estimate.mean, math.nan, math.nan, estimate.n)
    half = student_t_quantile(confidence, estimate.n - 1) * estimate.sd / math.sqrt(estimate.n)
    return Difference(estimate.mean, estimate.mean - half, estimate.mean + half, estimate.n)
