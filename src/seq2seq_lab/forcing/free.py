"""Free-running."""

import torch

from seq2seq_lab.forcing.feeders.base import check_feeder
from seq2seq_lab.forcing.plan import Feeder, Pairs, Plan


class FreeForcing:
    """Free-running: never the gold word (Williams & Zipser 1989, https://doi.org/10.1162/neco.1989.1.2.270).

    Args:
        feeder: what the decoder is fed; None: the arg-max of its own scores.

    Raises:
        ValueError: the feeder does not look at the decoder's scores.
    """

    def __init__(self, *, feeder: Feeder | None = None) -> None:
        check_feeder(feeder, "free-running")
        self.feeder = feeder

    def plan(self, pairs: Pairs) -> Plan:
        gold = torch.zeros(len(pairs.lengths), pairs.positions, dtype=torch.bool)
        return Plan(gold, self.feeder, ratio=torch.zeros(len(gold)))
