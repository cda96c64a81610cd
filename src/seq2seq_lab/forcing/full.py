"""Full teacher forcing."""

import torch

from seq2seq_lab.forcing.plan import Pairs, Plan


class FullForcing:
    """Teacher forcing (Williams & Zipser 1989, https://doi.org/10.1162/neco.1989.1.2.270): always the gold word."""

    def plan(self, pairs: Pairs) -> Plan:
        gold = torch.ones(len(pairs.lengths), pairs.positions, dtype=torch.bool)
        return Plan(gold, ratio=torch.ones(len(gold)))
