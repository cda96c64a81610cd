"""Mixed forcing at a constant ratio."""

import torch

from seq2seq_lab.forcing.plan import Feeder, Pairs, Plan, check_ratio, check_unit


class MixedForcing:
    """Gold words with probability `ratio`.

    With one coin a sentence this is the rule of the PyTorch tutorial and of the seminar: gold words throughout, else
    the decoder's own throughout. It is not scheduled sampling (Bengio et al. 2015, https://arxiv.org/abs/1506.03099),
    which tosses a coin for every position and lowers the ratio while the model trains.

    Args:
        ratio: the teacher-forcing ratio ε, in [0, 1].
        unit: what a coin decides; see `Pairs.gold`.
        feeder: what is fed where it is not gold; None: the arg-max of the decoder's own scores.

    Raises:
        ValueError: a value is out of its range.
    """

    def __init__(self, *, ratio: float, unit: str = "sentence", feeder: Feeder | None = None) -> None:
        check_ratio("ratio", ratio)
        check_unit(unit)
        self.ratio = ratio
        self.unit = unit
        self.feeder = feeder

    def plan(self, pairs: Pairs) -> Plan:
        ratio = torch.full((len(pairs.lengths),), self.ratio, dtype=torch.float64)
        return Plan(pairs.gold(ratio, self.unit), self.feeder, ratio)
