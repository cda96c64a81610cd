"""Confidence-aware scheduled sampling: what is fed depends on how sure the model is of the gold word."""

import torch
from torch import Tensor

from seq2seq_lab.data.draws import Draws
from seq2seq_lab.forcing.feeders.base import WORDS, check_feeder
from seq2seq_lab.forcing.passes import chosen_words
from seq2seq_lab.forcing.plan import Feeder, Pairs, Plan, check_ratio


class ConfidenceForcing:
    """What follows a position is decided by c = p(gold word there) in a first pass under gold words. It is fed

        the gold word                           where c ≤ golden,
        the model's prediction (of that pass)   where golden < c ≤ random,
        a random word of the same target        where c > random

    (Liu et al. 2021, https://arxiv.org/abs/2107.10427): gold words where the model is unsure, noise where it
    is very sure.

    Args:
        golden: the lower limit, in [0, 1].
        random: the upper limit, in [golden, 1].
        feeder: makes the prediction of the first pass's scores; None: their arg-max.

    Raises:
        ValueError: a limit is out of its range, or the feeder does not choose words by scores.
    """

    def __init__(self, *, golden: float = 0.9, random: float = 0.95, feeder: Feeder | None = None) -> None:
        check_ratio("golden", golden)
        check_ratio("random", random)
        if random < golden:
            raise ValueError(f"random must not be less than golden={golden}, got {random}")
        check_feeder(feeder, WORDS, "an earlier pass")
        self.golden = golden
        self.random = random
        self.feeder = feeder

    def plan(self, pairs: Pairs) -> Plan:
        # Where nothing is known yet, all but the first position may turn out not to be gold.
        gold = torch.zeros(len(pairs.lengths), pairs.positions, dtype=torch.bool)
        return Plan(gold, self.feeder, passes=1, revise=self._revise)

    def _revise(
        self, logits: Tensor, known: Tensor, lengths: Tensor, plan: Plan, draws: Draws | None
    ) -> tuple[Tensor, Tensor]:
        predicted = chosen_words(plan.feeder, logits, known, draws)
        # The word fed at a position is the gold word of the position before, whose confidence decides.
        probabilities = logits[:, :-1].softmax(dim=2)
        confidence = probabilities.gather(2, known[:, 1:].unsqueeze(2)).squeeze(2)
        if draws is None:
            raise ValueError("confidence-aware forcing needs draws")
        uniform = draws.uniform("forcing/noise", known.shape[1] - 1).double()
        words = (
            (lengths - 1).clamp(min=1).unsqueeze(1)
        )  # of the target, its <eos> not included, as fed at 1, 2, …
        noise = known.gather(1, (1 + (uniform * words).long()).clamp(max=known.shape[1] - 1))
        later = torch.where(confidence <= self.random, predicted[:, 1:], noise)
        is_gold = confidence <= self.golden
        first = torch.ones_like(is_gold[:, :1])
        later = torch.where(is_gold, known[:, 1:], later)
        return torch.cat((known[:, :1], later), dim=1), torch.cat((first, is_gold), dim=1)
