"""Means, confidence intervals and differences over seeds. All tables, plots and reports take them from here."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median_high
from typing import Literal

from seq2seq_lab.runs.read import Curve

ALPHA = 0.05  # below which a p-value is called significant; intervals have the confidence 1 − ALPHA
POWER = 0.8  # of a difference that is called detectable
Bounds = tuple[float, float]
Method = Literal["paired by seed", "Welch"]
# In words, for whoever reads a table.
INTERVALS = (
    "Student's t; of scores with a range, such as BLEU, on the logit scale, so that they stay in the range"
)
_ROUNDING = 1e-12  # of the values: differences that vary by less than this do not vary


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
        if n > 1 and min(values) == max(values):  # exactly, in spite of rounding
            return cls(values[0], 0.0, n)
        mean = math.fsum(values) / n
        sd = math.hypot(*(value - mean for value in values)) / math.sqrt(n - 1) if n > 1 else math.nan
        return cls(mean, sd, n)

    def interval(self, bounds: Bounds | None = None) -> tuple[float, float]:
        """The 95 % confidence interval of the mean, Student's t; NaN where the values are fewer than two or all equal.

        Args:
            bounds: the lowest and the highest value that a mean can have. The interval is then that of the mean's
                logit, by the delta method, so that it stays between them: with p = (mean − low) / (high − low),
                logit p ± t · s / (√n · (high − low) · p · (1 − p)).
        """
        if self.n < 2 or not self.sd > 0:
            return math.nan, math.nan
        half = student_t_quantile(1 - ALPHA, self.n - 1) * self.sd / math.sqrt(self.n)
        low, high = bounds or (math.nan, math.nan)
        share = (self.mean - low) / (high - low)
        if not 0 < share < 1:
            return self.mean - half, self.mean + half
        logit, change = math.log(share / (1 - share)), half / ((high - low) * share * (1 - share))
        first, last = (low + (high - low) * _logistic(logit + sign * change) for sign in (-1, 1))
        return first, last


def _logistic(x: float) -> float:
    """1 / (1 + e^−x)."""
    return 0.5 * (1 + math.tanh(x / 2))


def decimals(half: float) -> int | None:
    """The decimals that give half the width of an interval two significant digits; None where that is no way to write
    such numbers: they are too small or too large."""
    return max(0, 1 - math.floor(math.log10(half))) if 1e-5 <= half < 1e6 else None


def average(curves: Sequence[Curve]) -> dict[int, Estimate]:
    """For each epoch, the estimate over the curves that have a value for it."""
    epochs = sorted({epoch for curve in curves for epoch in curve})
    return {epoch: Estimate.of([curve[epoch] for curve in curves if epoch in curve]) for epoch in epochs}


@cache
def student_t_quantile(probability: float, df: float) -> float:
    """The value t with P(|T| ≤ t) = ``probability`` for Student's t with ``df`` degrees of freedom."""
    from scipy.special import (
        stdtrit,  # imported here: it takes a quarter of a second, and scipy.stats six times as long
    )

    return float(stdtrit(df, (1 + probability) / 2))


def student_t_p_value(t: float, df: float) -> float:
    """P(|T| ≥ |t|) for Student's t with ``df`` degrees of freedom."""
    from scipy.special import stdtr

    return 2 * float(stdtr(df, -abs(t)))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for looking at all of them (Holm 1979, https://www.jstor.org/stable/4615733).

    If all that are below 0.05 are called differences, the probability that one of them is not is at most 0.05. A NaN,
    where nothing could be tested, stays NaN and does not count.
    """
    adjusted = [math.nan] * len(p_values)
    tested = [place for place, p in enumerate(p_values) if not math.isnan(p)]
    largest = 0.0
    for rank, place in enumerate(sorted(tested, key=lambda place: p_values[place])):
        largest = max(largest, min(1.0, (len(tested) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


@dataclass(frozen=True)
class Difference:
    """A mean difference, its 95 % confidence interval and its p-value; NaN where they are undefined.

    Attributes:
        n: the number of pairs; without pairs, the number of values of the side that has fewer.
        p: of a two-sided t-test.
        method: which t-test it is.
        counts: the number of values of each side.
        error: the standard error of the mean difference.
        df: degrees of freedom.
    """

    mean: float
    low: float
    high: float
    n: int
    p: float
    method: Method
    counts: tuple[int, int]
    error: float = math.nan
    df: float = math.nan

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside the interval."""
        return self.low > 0 or self.high < 0

    @property
    def without_variation(self) -> bool:
        """Whether all seeds give the same difference, so that its error cannot be estimated."""
        return self.error == 0

    @property
    def of_some_seeds(self) -> bool:
        """Whether it is paired, and a side has seeds that the other lacks."""
        return self.method == "paired by seed" and self.counts != (self.n, self.n)

    @property
    def seeds(self) -> str:
        """The numbers of seeds, such as ``3``, ``2 common of 3 and 2``, or ``3 + 2`` where they are not paired."""
        first, second = self.counts
        if self.method == "Welch":
            return f"{first} + {second}"
        return f"{self.n} common of {first} and {second}" if self.of_some_seeds else str(self.n)


def paired_difference(
    first: Mapping[int, float], second: Mapping[int, float], *, bounds: Bounds | None = None
) -> Difference:
    """Second minus first, paired by seed: d̄ ± t(0.95, n − 1) · s_d / √n over the common seeds.

    Args:
        first, second: seed → value.
        bounds: the lowest and the highest value. The interval is cut where no difference can be, which changes neither
            its confidence nor whether it excludes zero.
    """
    seeds = sorted(first.keys() & second.keys())
    estimate = Estimate.of([second[seed] - first[seed] for seed in seeds])
    error = estimate.sd / math.sqrt(estimate.n) if estimate.n else math.nan
    if error <= _ROUNDING * max((abs(side[seed]) for side in (first, second) for seed in seeds), default=0):
        error = 0.0
    return _tested(
        estimate.mean, error, estimate.n - 1, estimate.n, "paired by seed", (len(first), len(second)), bounds
    )


def welch_difference(
    first: Sequence[float], second: Sequence[float], *, bounds: Bounds | None = None
) -> Difference:
    """Second minus first, of values without pairs (Welch 1947, https://doi.org/10.1093/biomet/34.1-2.28).

    x̄₂ − x̄₁ ± t(0.95, ν) · √(s₁²/n₁ + s₂²/n₂), ν the degrees of freedom of Welch and Satterthwaite.

    Args:
        bounds: as in `paired_difference`.
    """
    counts = len(first), len(second)
    one, other = Estimate.of(first), Estimate.of(second)
    mean = other.mean - one.mean
    if min(counts) < 2:
        return _tested(mean, math.nan, math.nan, min(counts), "Welch", counts, bounds)
    errors = [each.sd / math.sqrt(each.n) for each in (one, other)]
    error = math.hypot(*errors)
    if error <= _ROUNDING * max(abs(one.mean), abs(other.mean)):
        return _tested(mean, 0.0, math.nan, min(counts), "Welch", counts, bounds)
    df = 1 / sum((each / error) ** 4 / (n - 1) for each, n in zip(errors, counts, strict=True))
    return _tested(mean, error, df, min(counts), "Welch", counts, bounds)


def _tested(
    mean: float,
    error: float,
    df: float,
    n: int,
    method: Method,
    counts: tuple[int, int],
    bounds: Bounds | None,
) -> Difference:
    """The interval and the p-value of a difference; NaN if its error is unknown or 0."""
    if not error > 0 or not math.isfinite(mean):
        return Difference(mean, math.nan, math.nan, n, math.nan, method, counts, error, df)
    half = student_t_quantile(1 - ALPHA, df) * error
    most = math.inf if bounds is None else bounds[1] - bounds[0]
    low, high = max(mean - half, -most), min(mean + half, most)
    return Difference(mean, low, high, n, student_t_p_value(mean / error, df), method, counts, error, df)


def detectable(differences: Sequence[Difference]) -> float:
    """The smallest true difference that these tests find with a probability of 0.8; NaN if none has an interval.

    It is found if it passes the first step of Holm's correction for all m of them: a two-sided t-test at 0.05 / m. The
    power is that of the noncentral t distribution, with the median of the m standard errors: of an even number the
    larger of the two in the middle.
    """
    tested = [each for each in differences if not math.isnan(each.p)]
    if not tested:
        return math.nan
    from scipy.special import nctdtrinc

    df = median_high(each.df for each in tested)
    threshold = student_t_quantile(1 - ALPHA / len(tested), df)
    return float(nctdtrinc(df, 1 - POWER, threshold)) * median_high(each.error for each in tested)
