"""Statistics of a comparison, from their formulas: no NumPy, no SciPy, nothing of the package."""

import math
from collections import Counter
from functools import cache
from itertools import product

STEPS = 1000  # of numerical integrals


def mean(values):
    return sum(values) / len(values)


def variance(values):
    return sum((value - mean(values)) ** 2 for value in values) / (len(values) - 1)


# Student's t


def t_outside(t, df):
    """P(|T| ≥ t): the density of T is that of √df · tan θ, where θ has a density proportional to cos^(df − 1)."""
    return _cosines(math.atan(t / math.sqrt(df)), df) / _cosines(0, df)


def _cosines(start, df):
    """∫ cos^(df − 1) θ dθ from `start` to π/2; with θ = π/2 − u³, as the power may be below 1."""
    top = (math.pi / 2 - start) ** (1 / 3)
    middles = ((step + 0.5) * top / STEPS for step in range(STEPS))
    return top / STEPS * sum(math.sin(u**3) ** (df - 1) * 3 * u**2 for u in middles)


def t_quantile(confidence, df):
    """t with P(|T| ≤ t) = confidence."""
    return _solve(lambda t: t_outside(t, df) - (1 - confidence), 0, 1000)


def _solve(decreasing, low, high):
    for _ in range(45):
        middle = (low + high) / 2
        low, high = (middle, high) if decreasing(middle) > 0 else (low, middle)
    return (low + high) / 2


# Intervals and differences


def interval(values, bounds=None):
    """The 95 % interval of the mean: x̄ ± t · s/√n; with bounds, that of the logit, whose slope is 1/p + 1/(1 − p)."""
    centre = mean(values)
    half = t_quantile(0.95, len(values) - 1) * math.sqrt(variance(values) / len(values))
    if bounds is None:
        return centre - half, centre + half
    low, high = bounds
    share, spread = (centre - low) / (high - low), half / (high - low)
    logit, slope = math.log(share) - math.log(1 - share), 1 / share + 1 / (1 - share)
    ends = [logit - slope * spread, logit + slope * spread]
    return tuple(low + (high - low) * (1 / (1 + math.exp(-end))) for end in ends)


def paired(first, second):
    """Mean, interval and p-value of second minus first over the common seeds."""
    differences = [second[seed] - first[seed] for seed in first if seed in second]
    error = math.sqrt(variance(differences) / len(differences))
    p = t_outside(abs(mean(differences)) / error, len(differences) - 1)
    return mean(differences), interval(differences), p


def welch(first, second):
    """Mean, interval and p-value of the difference of two means of independent values."""
    a, b = variance(first) / len(first), variance(second) / len(second)
    df = (a + b) ** 2 / (a**2 / (len(first) - 1) + b**2 / (len(second) - 1))
    difference, error = mean(second) - mean(first), math.sqrt(a + b)
    half = t_quantile(0.95, df) * error
    return difference, (difference - half, difference + half), t_outside(abs(difference) / error, df)


# Several tests


def holm_rejects(p_values, alpha):
    """The tests that Holm's procedure rejects: the smallest p against α/m, the next one against α/(m − 1), … up to the
    first that fails."""
    left = sorted(range(len(p_values)), key=lambda test: p_values[test])
    rejected = set()
    while left and p_values[left[0]] <= alpha / len(left):
        rejected.add(left.pop(0))
    return rejected


def power(effect, df, threshold):
    """P(|T| > threshold) for T = (Z + effect) / S, Z standard normal and df · S² chi-squared with df degrees."""

    def above(x):
        return 0.5 * math.erfc(x / math.sqrt(2))

    log_scale = math.log(2) + (df / 2) * math.log(df / 2) - math.lgamma(df / 2)
    total, most = 0.0, 1 + 12 / math.sqrt(df)
    for step in range(STEPS):
        s = (step + 0.5) * most / STEPS
        density = math.exp(log_scale + (df - 1) * math.log(s) - df * s * s / 2)
        total += density * (above(threshold * s - effect) + above(threshold * s + effect)) * most / STEPS
    return total


def detectable(differences, *, alpha=0.05, wanted=0.8):
    """The true mean that a test of such differences finds with this power, at the first step of Holm's procedure.

    Args:
        differences: for each test, the differences of its pairs; the numbers of pairs are equal.
    """
    errors = sorted(math.sqrt(variance(each) / len(each)) for each in differences)
    error = errors[len(errors) // 2]
    df = len(differences[0]) - 1
    threshold = t_quantile(1 - alpha / len(differences), df)
    return error * _solve(lambda effect: wanted - power(effect, df, threshold), 0, 100)


# Bootstrap of BLEU by component


def bleu(hypotheses, references):
    """Corpus BLEU-4 with all references, sacreBLEU's exponential smoothing, words split at spaces."""
    found = [counts(each, tuple(several)) for each, several in zip(hypotheses, references, strict=True)]
    length, closest, *matches = (sum(column) for column in zip(*found, strict=True))
    right, all_ = matches[:4], matches[4:]
    if not any(right):
        return 0.0
    precisions, smooth = [], 1
    for n in range(4):
        if not all_[n]:
            return 0.0
        if not right[n]:
            smooth *= 2
        precisions.append(right[n] / all_[n] if right[n] else 1 / (smooth * all_[n]))
    brevity = 1 if length >= closest else math.exp(1 - closest / length)
    return 100 * brevity * math.prod(precisions) ** 0.25


@cache
def counts(hypothesis, references):
    """Words, words of the reference that is closest in length, n-grams that are right, n-grams; n from 1 to 4."""
    words, others = hypothesis.split(), [each.split() for each in references]
    closest = min((abs(len(each) - len(words)), len(each)) for each in others)[1]
    right, all_ = [], []
    for n in range(1, 5):
        ours, theirs = ngrams(words, n), [ngrams(each, n) for each in others]
        right.append(sum(min(k, max(each[gram] for each in theirs)) for gram, k in ours.items()))
        all_.append(sum(ours.values()))
    return (len(words), closest, *right, *all_)


def ngrams(words, n):
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def resampled(first, second, references, components, draws):
    """The differences of BLEU on samples; a sample is a sequence of components, with all sentences of each."""
    differences = []
    for draw in draws:
        rows = [row for component in draw for row, its in enumerate(components) if its == component]
        sample = [references[row] for row in rows]
        scores = [bleu([hypotheses[row] for row in rows], sample) for hypotheses in (first, second)]
        differences.append(scores[1] - scores[0])
    return differences


def p_value(differences, observed):
    """SacreBLEU's: (1 + samples whose |difference| is above its mean by more than |observed|) / (1 + n)."""
    sizes = [abs(each) for each in differences]
    return (1 + sum(size - mean(sizes) > abs(observed) for size in sizes)) / (1 + len(sizes))


# Several tasks


def interquartile_mean(tasks):
    """The mean of what is left when a quarter of the sorted scores is left out at either end, rounded down."""
    every = sorted(score for scores in tasks for score in scores)
    cut = len(every) // 4
    return mean(every[cut : len(every) - cut])


def probability_of_improvement(first, second):
    """For each task, the share of pairs of runs in which the first is better; equal ones are half a pair."""
    return mean(
        [
            mean([1.0 if a > b else 0.5 if a == b else 0.0 for a in one for b in other])
            for one, other in zip(first, second, strict=True)
        ]
    )


def all_resamples(tasks):
    """Every equally probable sample of the runs of each task, with replacement."""
    return [
        [[scores[i] for i in rows] for scores, rows in zip(tasks, choice, strict=True)]
        for choice in product(*(list(product(range(len(scores)), repeat=len(scores))) for scores in tasks))
    ]
