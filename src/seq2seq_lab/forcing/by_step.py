"""Forcing by decoding step: later positions are fed gold words less often."""

import torch

from seq2seq_lab.forcing.plan import Feeder, Pairs, Plan, check_ratio
from seq2seq_lab.forcing.schedules import Decay, Schedule


class ByStepForcing:
    """Gold words with a probability that falls with the position t = 1 … T of a target of T positions.

    Later positions meet the decoder's own errors more often, as in decoding (Liu et al. 2021,
    https://arxiv.org/abs/2108.12963). ε(t) = end + (start − end) · d(t), with i = t and m = T in the formula of the
    decay; with a schedule over training it is multiplied by that (their joint form).

    Args:
        decay: over positions.
        start: ε where d = 1.
        end: ε where d = 0.
        schedule: over training; None: the same ε throughout.
        feeder: what is fed where it is not gold; None: the arg-max of the decoder's own scores.

    Raises:
        ValueError: a value is out of its range.
    """

    def __init__(
        self,
        *,
        decay: Decay,
        start: float = 1.0,
        end: float = 0.0,
        schedule: Schedule | None = None,
        feeder: Feeder | None = None,
    ) -> None:
        check_ratio("start", start)
        check_ratio("end", end)
        self.decay = decay
        self.start = start
        self.end = end
        self.schedule = schedule
        self.feeder = feeder

    def plan(self, pairs: Pairs) -> Plan:
        t = torch.arange(1, pairs.positions + 1, dtype=torch.float64).expand(len(pairs.lengths), -1)
        lengths = pairs.lengths.double().unsqueeze(1)
        # Beyond a target's length nothing is fed; t/T stays in the range that the formulas are meant for.
        ratio = self.end + (self.start - self.end) * self.decay(
            torch.minimum(t, lengths), lengths.expand_as(t)
        )
        if self.schedule is not None:
            ratio = ratio * self.schedule.ratio(pairs).unsqueeze(1)
        return Plan(pairs.gold(ratio), self.feeder, ratio)
