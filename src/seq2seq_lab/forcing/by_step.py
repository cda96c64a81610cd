"""Forcing by decoding step: later positions are fed gold words less often."""

import torch

from seq2seq_lab.forcing.feeders.base import check_feeder
from seq2seq_lab.forcing.plan import Feeder, Pairs, Plan, check_ratio
from seq2seq_lab.forcing.schedules import Decay, Schedule

JOINT = ("composite", "product")


class ByStepForcing:
    """Gold words with a probability that falls with the position t = 0 … T − 1 of a target of T positions.

    Later positions meet the decoder's own errors more often, as in decoding (Liu et al. 2021,
    https://arxiv.org/abs/2108.12963). t is the position of the input: 0 is that of `<sos>`, and the first word that may
    not be gold has t = 1. ε(t) = end + (start − end) · d(t), with i = t and m = T in the formula of the decay.

    With a schedule f over training, ε is

        composite:  end + (start − end) · d(t · (1 − f))    (their joint form; ε = d(0) at all positions where f = 1),
        product:    f · (end + (start − end) · d(t)).

    Args:
        decay: over positions.
        start: ε where d = 1.
        end: ε where d = 0.
        schedule: over training; None: the same ε throughout.
        joint: how the two are joined, `composite` or `product`.
        passes: 0: own words come from the decoder's running state; 1: from an earlier pass under gold words, as in the
            paper, or from further passes.
        feeder: what is fed where it is not gold; None: the arg-max of the decoder's own scores.

    Raises:
        ValueError: a value is out of its range, or an earlier pass is asked for by a feeder that looks at no scores.
    """

    def __init__(
        self,
        *,
        decay: Decay,
        start: float = 1.0,
        end: float = 0.0,
        schedule: Schedule | None = None,
        joint: str = "composite",
        passes: int = 0,
        feeder: Feeder | None = None,
    ) -> None:
        check_ratio("start", start)
        check_ratio("end", end)
        if joint not in JOINT:
            raise ValueError(f"joint must be one of {', '.join(JOINT)}, got {joint}")
        if joint == "product" and schedule is None:
            raise ValueError(
                "joint is how a schedule is joined; joint=product needs one, as forcing/schedule=linear"
            )
        if passes < 0:
            raise ValueError(f"passes must be at least 0, got {passes}")
        if passes:
            check_feeder(feeder, "an earlier pass")
        self.decay = decay
        self.start = start
        self.end = end
        self.schedule = schedule
        self.joint = joint
        self.passes = passes
        self.feeder = feeder

    def plan(self, pairs: Pairs) -> Plan:
        t = torch.arange(pairs.positions, dtype=torch.float64).expand(len(pairs.lengths), -1)
        lengths = pairs.lengths.double().unsqueeze(1)
        t = torch.minimum(t, lengths)  # beyond a target's length nothing is fed; t/T stays in its range
        factor = torch.ones_like(lengths)
        if self.schedule is not None:
            trained = self.schedule.ratio(pairs).unsqueeze(1)
            if self.joint == "composite":
                t = t * (1 - trained)
            else:
                factor = trained
        ratio = factor * (self.end + (self.start - self.end) * self.decay(t, lengths.expand_as(t)))
        return Plan(pairs.gold(ratio), self.feeder, ratio, passes=self.passes)
