"""Groups set against each other, seed by seed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from seq2seq_lab.compare.grouping import Group
from seq2seq_lab.compare.measures import measure
from seq2seq_lab.compare.naming import differing, show
from seq2seq_lab.compare.statistics import Difference, paired_difference


@dataclass(frozen=True, eq=False)
class Pair:
    """Two groups that differ in one node of the configuration, and what that changes in one metric.

    Attributes:
        difference: of the last values, second minus first, over the seeds that both have.
    """

    first: Group
    second: Group
    metric: str
    difference: Difference

    @property
    def title(self) -> str:
        """What changes from the first to the second group, and beside it what both share."""
        first, second = self.first.settings, self.second.settings
        keys = list(dict.fromkeys([*first, *second]))
        changed = [k for k in keys if k not in first or k not in second or first[k] != second[k]]
        left, right = (
            ", ".join(f"{k}={show(side[k])}" for k in changed if k in side) or "without"
            for side in (first, second)
        )
        shared = ", ".join(f"{k}={show(first[k])}" for k in keys if k not in changed)
        return f"{left} → {right}" + (f" ({shared})" if shared else "")

    @property
    def verdict(self) -> str:
        """The interval in words."""
        difference, better = self.difference, measure(self.metric).better
        if difference.n == 1:
            return "one seed in common: no interval can be given"
        if math.isnan(difference.low):
            return f"not a number in some of the {difference.n} seeds: a run diverged"
        if not difference.told:
            return f"no difference can be told from {difference.n} seeds"
        way = "higher" if difference.mean > 0 else "lower"
        judged = "" if better is None else ", better" if way == better else ", worse"
        return f"the second is {way}{judged}, as far as {difference.n} seeds tell"

    @property
    def interval(self) -> str:
        """Mean difference and its 95 % interval, as ``+0.12 [+0.03, +0.21]``."""
        low, mean, high = self.difference.low, self.difference.mean, self.difference.high
        if math.isnan(low):
            return f"{mean:+.3g}"
        digits = max(0, 2 - math.floor(math.log10(high - low))) if high > low else 4
        return f"{mean:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"


def pair(groups: Sequence[Group], metrics: Sequence[str]) -> list[Pair]:
    """All pairs of groups on one corpus that differ in one node only and share a seed, for each metric.

    One node, as the model or the forcing, is one knob; between groups that differ in several, a difference
    could not be put down to any.
    """
    pairs = []
    for first, second in combinations(groups, 2):
        if first.corpus.fingerprint is None or first.corpus.fingerprint != second.corpus.fingerprint:
            continue
        if len({key.partition(".")[0] for key in differing([first.config, second.config])}) != 1:
            continue
        for metric in metrics:
            difference = paired_difference(first.by_seed(metric), second.by_seed(metric))
            if difference.n:
                pairs.append(Pair(first, second, metric, difference))
    return pairs
