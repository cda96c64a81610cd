"""Full teacher forcing."""

import torch

from seq2seq_lab.forcing.plan import Pairs, Plan


class FullForcing:
    """Teacher forcing (Williams & Zipser 1989): the decoder is always fed the gold word."""

    def plan(self, pairs: Pairs) -> Plan:
        return Plan(torch.ones(len(pairs.lengths), pairs.positions, dtype=torch.bool))
