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


@dataclass(frozen=True)
class Difference:
    """Mean difference over n pairs and its confidence interval; NaN where it is undefined."""

    mean: float
    low: float
    high: float
    n: int

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
    if estimate.n < 2 or math.isnan(estimate.sd):
        return Difference(estimate.mean, math.nan, math.nan, estimate.n)
    half = student_t_quantile(confidence, estimate.n - 1) * estimate.sd / math.sqrt(estimate.n)
    return Difference(estimate.mean, estimate.mean - half, estimate.mean + half, estimate.n)
