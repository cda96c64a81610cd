"""Parallel scheduled sampling: own words come from an earlier pass, without any step."""

import torch

from seq2seq_lab.forcing.feeders.base import check_feeder
from seq2seq_lab.forcing.plan import Feeder, Pairs, Plan, check_ratio, check_unit
from seq2seq_lab.forcing.schedules import Schedule


class TwoPassForcing:
    """A first pass under gold words; each later pass feeds, by a coin, gold words or what the pass before predicted.

    Only the last pass is learnt from (Duckworth et al. 2019, https://arxiv.org/abs/1906.04331; Mihaylova & Martins
    2019, https://arxiv.org/abs/1906.07651). Each pass has coins and samples of its own; after n passes the first n
    words stay, as nothing before them changes (the code of Duckworth et al., tensor2tensor). So with T passes this is
    scheduled sampling by the decoder's running state.

    Args:
        ratio: the probability of gold, in [0, 1].
        passes: passes before the one that is learnt from, at least 1.
        unit: what a coin decides; see `Pairs.gold`.
        schedule: f over training, which brings own words in slowly: ε = 1 − (1 − ratio) · (1 − f); None: f = 0.
        feeder: makes a word, or a mixture of words, of a pass's scores; None: their arg-max.

    Raises:
        ValueError: a value is out of its range, or the feeder does not look at scores.
    """

    def __init__(
        self,
        *,
        ratio: float = 0.5,
        passes: int = 1,
        unit: str = "position",
        schedule: Schedule | None = None,
        feeder: Feeder | None = None,
    ) -> None:
        check_ratio("ratio", ratio)
        check_unit(unit)
        if passes < 1:
            raise ValueError(f"passes must be at least 1, got {passes}")
        check_feeder(feeder, "an earlier pass")
        self.ratio = ratio
        self.passes = passes
        self.unit = unit
        self.schedule = schedule
        self.feeder = feeder

    def plan(self, pairs: Pairs) -> Plan:
        ratio = torch.full((len(pairs.lengths),), self.ratio, dtype=torch.float64)
        if self.schedule is not None:
            ratio = 1 - (1 - ratio) * (1 - self.schedule.ratio(pairs))
        coins = [pairs.gold(ratio, self.unit, number) for number in range(self.passes)]
        positions = torch.arange(pairs.positions)
        for number in range(1, self.passes):  # the words at positions 1 … n stay in pass n
            coins[number] = torch.where(positions <= number, coins[number - 1], coins[number])
        earlier = torch.stack(coins[:-1], dim=1) if self.passes > 1 else None
        return Plan(coins[-1], self.feeder, ratio, passes=self.passes, earlier=earlier)
