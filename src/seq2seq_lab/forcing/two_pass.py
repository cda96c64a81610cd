"""Parallel scheduled sampling: own words come from an earlier pass, without any step."""

import torch

from seq2seq_lab.forcing.feeders.base import WORDS, check_feeder
from seq2seq_lab.forcing.plan import Feeder, Pairs, Plan, check_ratio, check_unit


class TwoPassForcing:
    """A first pass under gold words; each later pass feeds, by a coin, gold words or what the pass before predicted.

    Only the last pass is learnt from. A pair's coins are the same in all passes (Duckworth et al. 2019,
    https://arxiv.org/abs/1906.04331; Mihaylova & Martins 2019, https://arxiv.org/abs/1906.07651).

    Args:
        ratio: the probability of gold, in [0, 1].
        passes: passes before the one that is learnt from, at least 1.
        unit: what a coin decides; see `Pairs.gold`.
        feeder: makes a word of a pass's scores; None: their arg-max.

    Raises:
        ValueError: a value is out of its range, or the feeder does not choose words by scores.
    """

    def __init__(
        self, *, ratio: float = 0.5, passes: int = 1, unit: str = "position", feeder: Feeder | None = None
    ) -> None:
        check_ratio("ratio", ratio)
        check_unit(unit)
        if passes < 1:
            raise ValueError(f"passes must be at least 1, got {passes}")
        check_feeder(feeder, WORDS, "an earlier pass")
        self.ratio = ratio
        self.passes = passes
        self.unit = unit
        self.feeder = feeder

    def plan(self, pairs: Pairs) -> Plan:
        ratio = torch.full((len(pairs.lengths),), self.ratio, dtype=torch.float64)
        return Plan(pairs.gold(ratio, self.unit), self.feeder, ratio, passes=self.passes)
