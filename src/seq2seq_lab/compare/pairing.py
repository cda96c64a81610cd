"""Groups compared with each other: seed by seed, or without pairs where the seeds share nothing."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from itertools import combinations
from typing import Any

from seq2seq_lab.compare.comparable import incomparable
from seq2seq_lab.compare.corpora import by_corpus, titled
from seq2seq_lab.compare.grouping import Group
from seq2seq_lab.compare.naming import canonical, determines, names_code
from seq2seq_lab.compare.statistics import (
    ALPHA,
    Difference,
    decimals,
    holm,
    paired_difference,
    welch_difference,
)

# What runs of one seed must have in common to be paired: the seed then fixes the same initial weights for both, and the
# same draws of the same pairs.
_SHARED = ("model", "data", "split", "init_from", "init_from_checkpoint")
# Settings of a model that change neither the shapes of its weights nor their initial values.
_WEIGHTS_STAY = ("dropout", "output_dropout", "embedding_relu", "unmasked_positions")
METHODS = (
    "Paired by seed where a seed gives both sides the same initial weights and data; else Welch's t-test, as between"
    " two architectures."
)


@dataclass(frozen=True, eq=False)
class Pair:
    """Two groups that differ in one setting, or of which one is the baseline, and the difference in one metric.

    Attributes:
        difference: difference of the last values, second minus first.
        looked_at: the number of pairs of the same metric with an interval.
        adjusted: the p-value of the difference with Holm's correction for these pairs; NaN without an interval.
        corpus: the name of their corpus; empty if there is only one.
    """

    first: Group
    second: Group
    metric: str
    difference: Difference
    looked_at: int = 1
    adjusted: float = math.nan
    corpus: str = ""

    @property
    def title(self) -> str:
        """What changes, and on which corpus, if there are several."""
        return titled(self.change, self.corpus)

    @property
    def change(self) -> str:
        """The setting that changes from the first to the second group, and the common settings in parentheses."""
        if self.first.own_label or self.second.own_label:
            return f"{self.first.label} → {self.second.label}"
        first, second = self.first.settings, self.second.settings
        keys = list(dict.fromkeys([*first, *second]))
        changed = [k for k in keys if k not in first or k not in second or first[k] != second[k]]
        one, other = self.first.shown, self.second.shown
        shared = ", ".join(f"{k}={one[k]}" for k in keys if k not in changed)
        beside = f" ({shared})" if shared else ""
        if len(changed) == 1 and changed[0] in first and changed[0] in second:
            return f"{changed[0]} {one[changed[0]]} → {other[changed[0]]}{beside}"
        left, right = (
            ", ".join(f"{k}={side[k]}" for k in changed if k in side) or "without" for side in (one, other)
        )
        return f"{left} → {right}{beside}"

    @property
    def verdict(self) -> str:
        """The interpretation of the interval, in words."""
        difference, better = self.difference, self.first.measure(self.metric).better
        seeds = f"{difference.seeds} seeds"
        if difference.n == 1:
            return f"only one {'common ' if difference.method == 'paired by seed' else ''}seed: no interval"
        if difference.without_variation:
            return f"no variation over {seeds}: no interval"
        if math.isnan(difference.low):
            return f"not a number for some of {seeds}: a run diverged"
        if not difference.excludes_zero:
            return f"not distinguishable from zero, {seeds}"
        way = "higher" if difference.mean > 0 else "lower"
        if not self.comparable:
            return f"{way}, but {self.apart}: not comparable"
        judged = "" if better is None else " (better)" if way == better else " (worse)"
        corrected = "" if self.distinguished else f"; not with Holm's correction for {self.looked_at} pairs"
        return f"{way}{judged}, {seeds}{corrected}"

    @property
    def distinguished(self) -> bool:
        """Whether the difference can be distinguished from zero with Holm's correction for all pairs of the metric."""
        return self.adjusted < ALPHA

    @property
    def comparable(self) -> bool:
        """Whether the values of the metric compare."""
        return not self.apart

    @cached_property
    def apart(self) -> str:
        """Why the values do not compare, such as "with different forcing"; empty where they do."""
        return incomparable((self.first, self.second), self.metric)

    @property
    def interval(self) -> str:
        """Mean difference and its 95 % interval, such as ``+0.12 [+0.03, +0.21]``."""
        low, mean, high = self.difference.low, self.difference.mean, self.difference.high
        if math.isnan(low):
            return f"{mean:+.3g}"
        if (digits := decimals((high - low) / 2)) is None:
            return f"{mean:+.3g} [{low:+.3g}, {high:+.3g}]"
        mean, low, high = (round(value, digits) + 0.0 for value in (mean, low, high))  # no -0.0
        return f"{mean:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"


def paired_by_seed(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether runs of one seed share their initial weights, data and draws, so that their values are pairs.

    Forcing, objective, optimizer and all that is not of the model or the data may differ. Where nothing is shared, as
    between two architectures, pairs would only cost degrees of freedom.

    Args:
        first, second: configurations without the seed, dotted key → value.
    """
    keys = {key for key in (*first, *second) if key.partition(".")[0] in _SHARED}
    keys -= {f"model.{name}" for name in _WEIGHTS_STAY}
    return all(
        key in first and key in second and canonical(first[key]) == canonical(second[key]) for key in keys
    )


def difference_of(first: Group, second: Group, metric: str) -> Difference:
    """The difference of the last values of a metric, second minus first, by the test that suits the two groups."""
    one, other = first.by_seed(metric), second.by_seed(metric)
    bounds = first.measure(metric).bounds
    if one.keys() & other.keys() and paired_by_seed(first.config, second.config):
        return paired_difference(one, other, bounds=bounds)
    return welch_difference(list(one.values()), list(other.values()), bounds=bounds)


def pair(groups: Sequence[Group], metrics: Sequence[str], baselines: Sequence[Group] = ()) -> list[Pair]:
    """All pairs of groups on one corpus that differ in one setting, for each metric; or the baseline and each other.

    A setting is one key, or the option of a node with all keys that the option sets. If two groups differ in several
    settings, a difference cannot be attributed to one of them.

    Args:
        baselines: the group of each corpus that all others there are compared with, in whatever they differ.
    """
    several: list[Pair] = []
    for corpus, on_corpus in by_corpus(groups).items():
        if on_corpus[0].corpus.fingerprint is None:
            continue
        found: list[Pair] = []
        first = next((each for each in baselines if each in on_corpus), None)
        if first is not None:
            others = [each for each in on_corpus if each is not first]
            found = [pair for other in others for pair in _of_two(first, other, metrics)]
        elif not baselines:
            found = _in_one_setting(on_corpus, metrics)
        several += [replace(each, corpus=corpus) for each in found]
    return _corrected(several)


def _in_one_setting(groups: Sequence[Group], metrics: Sequence[str]) -> list[Pair]:
    """The pairs on one corpus that differ in one setting."""
    settings = [each.settings for each in groups]
    determined = cache(partial(determines, settings=settings))
    configs = {each: _items(each) for each in groups}
    pairs: list[Pair] = []
    for first, second in combinations(groups, 2):
        both = (first.config, second.config)
        keys = {key for key, _ in configs[first] ^ configs[second]}
        nodes = {key.partition(".")[0] for key in keys if not names_code(key, both)}
        if len(nodes) == 1 and _differ_in_one_setting(first, second, determined):
            pairs += _of_two(first, second, metrics)
    return pairs


def _items(group: Group) -> set[tuple[str, Any]]:
    return {(key, canonical(value)) for key, value in group.config.items()}


def _of_two(first: Group, second: Group, metrics: Sequence[str]) -> Iterator[Pair]:
    """Two groups in each metric that both have."""
    for metric in metrics:
        found = difference_of(first, second, metric)
        if found.n:
            yield Pair(first, second, metric, found)


def _corrected(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs with Holm's correction, metric by metric, over those that have an interval."""
    by_metric: dict[str, list[Pair]] = {}
    for each in pairs:
        if not math.isnan(each.difference.p):
            by_metric.setdefault(each.metric, []).append(each)
    adjusted: dict[Pair, tuple[float, int]] = {}
    for together in by_metric.values():
        p_values = holm([each.difference.p for each in together])
        adjusted |= {each: (p, len(together)) for each, p in zip(together, p_values, strict=True)}
    return [
        replace(each, adjusted=adjusted[each][0], looked_at=adjusted[each][1]) if each in adjusted else each
        for each in pairs
    ]


def headline(pairs: Sequence[Pair]) -> str:
    """The first metric for which all pairs are comparable, of those on the test part if there are any; the first metric
    if there is none."""
    metrics = sorted(
        dict.fromkeys(each.metric for each in pairs), key=lambda name: not name.startswith("test/")
    )
    fair = (m for m in metrics if all(each.comparable for each in pairs if each.metric == m))
    return next(fair, metrics[0])


def _differ_in_one_setting(first: Group, second: Group, determined: Callable[[str, str], bool]) -> bool:
    """Whether two groups that differ in one node differ in only one setting of it, with the keys that it sets."""
    both = [key for key in first.settings if key in second.settings]
    changed = [key for key in both if first.settings[key] != second.settings[key]]
    return all(determined(changed[0], key) for key in changed[1:])
