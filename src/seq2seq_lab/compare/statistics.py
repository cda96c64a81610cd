"""Means, standard deviations and confidence intervals over seeds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from seq2seq_lab.runs.read import Curve


@dataclass(frozen=True)
class Estimate:
    """Mean and sample standard deviation (n − 1 in the denominator) of n values; NaN where undefined."""

    mean: float
    sd: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Estimate":
        """Compute the estimate; if one value is not finite, the mean is not finite either."""
        if not values:
            return cls(math.nan, math.nan, 0)
        if not all(map(math.isfinite, values)):
            return cls(sum(v for v in values if not math.isfinite(v)), math.nan, len(values))
        n = len(values)
        mean = math.fsum(values) / n
        squares = math.fsum((value - mean) ** 2 for value in values)
        return cls(mean, math.sqrt(squares / (n - 1)) if n > 1 else math.nan, n)

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """The confidence interval of the mean, Student's t; NaN where the standard deviation is undefined."""
        if self.n < 2 or math.isnan(self.sd):
            return math.nan, math.nan
        half = student_t_quantile(confidence, self.n - 1) * self.sd / math.sqrt(self.n)
        return self.mean - half, self.mean + half


def average(curves: Sequence[Curve]) -> dict[int, Estimate]:
    """For each epoch, the estimate over the curves that have a value for it."""
    epochs = sorted({epoch for curve in curves for epoch in curve})
    return {epoch: Estimate.of([curve[epoch] for curve in curves if epoch in curve]) for epoch in epochs}


@cache
def student_t_quantile(probability: float, df: int) -> float:
    """The value t with P(|T| ≤ t) = ``probability`` for Student's t with ``df`` degrees of freedom."""
    from scipy.special import (
        stdtrit,  # imported here: it takes a quarter of a second, and scipy.stats six times as long
    )

    return float(stdtrit(df, (1 + probability) / 2))


def student_t_p_value(t: float, df: int) -> float:
    """P(|T| ≥ |t|) for Student's t with ``df`` degrees of freedom."""
    from scipy.special import stdtr

    return 2 * float(stdtr(df, -abs(t)))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for looking at all of them (Holm 1979, https://www.jstor.org/stable/4615733).

    If all that are below 0.05 are called differences, the probability that one of them is not is at most 0.05.
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


@dataclass(frozen=True)
class Difference:
    """Mean difference over n pairs, its confidence interval and its p-value; NaN where they are undefined."""

    mean: float
    low: float
    high: float
    n: int
    p: float = math.nan

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside the interval."""
        return self.low > 0 or self.high < 0


def paired_difference(
    first: Mapping[int, float], second: Mapping[int, float], *, confidence: float = 0.95
) -> Difference:
    """Second minus first, paired by seed: d̄ ± t(confidence, n − 1) · s_d / √n over the common seeds."""
    seeds = sorted(first.keys() & second.keys())
    estimate = Estimate.of([second[seed] - first[seed] for seed in seeds])
    low, high = estimate.interval(confidence)
    if math.isnan(low):
        return Difference(estimate.mean, low, high, estimate.n)
    error = estimate.sd / math.sqrt(estimate.n)
    t = estimate.mean / error if error else math.copysign(math.inf, estimate.mean) if estimate.mean else 0.0
    return Difference(estimate.mean, low, high, estimate.n, student_t_p_value(t, estimate.n - 1))
