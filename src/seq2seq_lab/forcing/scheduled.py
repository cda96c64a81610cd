"""Scheduled forcing: the ratio changes while the model trains."""

from seq2seq_lab.forcing.plan import Feeder, Pairs, Plan, check_unit
from seq2seq_lab.forcing.schedules import Decay, Schedule


class ScheduledForcing:
    """Gold words with a probability that follows a schedule.

    Decreasing and with a coin for each position it is scheduled sampling (Bengio et al. 2015,
    https://arxiv.org/abs/1506.03099). Its objective is improper: what minimises it is not the data's distribution
    (Huszár 2015, https://arxiv.org/abs/1511.05101). Increasing, it goes from free-running to teacher forcing (Teutsch &
    Mäder 2022, https://arxiv.org/abs/2210.08959).

    Args:
        decay, start, end, over, share: of the schedule; see `Schedule`.
        unit: what a coin decides; see `Pairs.gold`.
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
        over: str = "updates",
        share: float = 1.0,
        unit: str = "position",
        feeder: Feeder | None = None,
    ) -> None:
        check_unit(unit)
        self.schedule = Schedule(decay=decay, start=start, end=end, over=over, share=share)
        self.unit = unit
        self.feeder = feeder

    def plan(self, pairs: Pairs) -> Plan:
        ratio = self.schedule.ratio(pairs)
        return Plan(pairs.gold(ratio, self.unit), self.feeder, ratio)
