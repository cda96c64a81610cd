"""Mixed cross-entropy: the gold word and the model's own arg-max, with a share that grows."""

import torch

from seq2seq_lab.forcing.schedules import Schedule
from seq2seq_lab.models.best_word import best_word
from seq2seq_lab.targets.base import Fed, Target
from seq2seq_lab.targets.wanted import WeightedWords


class Mixed(Target):
    """The gold word with weight 1 − m, and the most probable word with weight m.

    The loss is −[(1 − m) log p(gold) + m log p(arg-max)] (Li & Lu 2021, https://arxiv.org/abs/2106.15880). No gradient
    flows through the choice of the arg-max.

    Args:
        schedule: m over training.
    """

    def __init__(self, *, schedule: Schedule) -> None:
        self.schedule = schedule

    def __call__(self, fed: Fed) -> WeightedWords:
        assert fed.share is not None
        gold, own = fed.batch.target, best_word(fed.logits)
        share = fed.share.to(fed.logits.dtype).view(-1, 1, 1).expand(*gold.shape, 1)
        return WeightedWords(
            torch.stack((gold, own), dim=2),
            torch.cat((1 - share, share), dim=2),
            fed.batch.target_lengths,
        )
