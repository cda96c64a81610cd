"""Confidence-aware scheduled sampling: what is fed depends on how sure the model is of the gold word."""

import math

import torch
from torch import Tensor

from seq2seq_lab.data.draws import Draws
from seq2seq_lab.data.vocabulary import SPECIAL_WORDS
from seq2seq_lab.forcing.feeders.base import check_feeder
from seq2seq_lab.forcing.plan import Feeder, Pairs, Plan, Revised, check_ratio
from seq2seq_lab.models.interface import gold_inputs


class ConfidenceForcing:
    """What is fed at a position is decided by c = p(gold word to predict there) in a first pass under gold words:

        the gold word                           where c ≤ golden,
        the model's prediction (of that pass)   where golden < c ≤ random,
        a random word of the same target        where c > random

    (Liu et al. 2021, https://arxiv.org/abs/2107.10427): gold words where the model is unsure, noise where it is very
    sure. So c of the word at t decides about the input at t, which is in the place of the gold word at t − 1, as in the
    authors' code.

    Args:
        golden: the lower limit, in [0, 1].
        random: the upper limit, in [golden, 1].
        feeder: makes the prediction of the first pass's scores; None: their arg-max.
        first_pass: weight of the first pass's loss, at least 0; the last pass's has weight 1.

    Raises:
        ValueError: a value is out of its range, or the feeder does not look at scores.
    """

    def __init__(
        self,
        *,
        golden: float = 0.9,
        random: float = 0.95,
        feeder: Feeder | None = None,
        first_pass: float = 0.0,
    ) -> None:
        check_ratio("golden", golden)
        check_ratio("random", random)
        if random < golden:
            raise ValueError(f"random must not be less than golden={golden}, got {random}")
        if not 0 <= first_pass < math.inf:
            raise ValueError(f"first_pass must be at least 0 and finite, got {first_pass}")
        check_feeder(feeder, "an earlier pass")
        self.golden = golden
        self.random = random
        self.feeder = feeder
        self.first_pass = first_pass

    def plan(self, pairs: Pairs) -> Plan:
        # Where nothing is known yet, all but the first position may turn out not to be gold.
        gold = torch.zeros(len(pairs.lengths), pairs.positions, dtype=torch.bool)
        return Plan(gold, self.feeder, passes=1, revise=self._revise, first_pass=self.first_pass)

    def _revise(
        self, logits: Tensor, target: Tensor, lengths: Tensor, plan: Plan, draws: Draws | None
    ) -> Revised:
        if draws is None:
            raise ValueError("confidence-aware forcing needs draws")
        known = gold_inputs(target)
        confidence = logits.softmax(dim=2).gather(2, target.unsqueeze(2)).squeeze(2)
        noise, any_noise = _random_words(target, lengths, plan.unk, draws)
        is_first = torch.arange(known.shape[1], device=known.device) == 0
        gold = (confidence <= self.golden) | is_first
        is_noise = (confidence > self.random) & any_noise & ~gold
        return Revised(torch.where(is_noise, noise, known), gold, ~(gold | is_noise))


def _random_words(target: Tensor, lengths: Tensor, unk: int | None, draws: Draws) -> tuple[Tensor, Tensor]:
    """For each position a random word of its own target [B, T], and whether the target has one [B, 1].

    Each word of the target is as likely as another; `<sos>`, `<eos>` and `<unk>` are none.
    """
    inside = torch.arange(target.shape[1], device=target.device) < lengths.unsqueeze(1)
    is_word = inside & (target >= len(SPECIAL_WORDS))
    if unk is not None:
        is_word &= target != unk
    numbered = is_word.cumsum(dim=1)
    count = numbered[:, -1:]
    uniform = draws.uniform("forcing/noise", target.shape[1]).double()
    chosen = torch.searchsorted(numbered, 1 + (uniform * count).long().clamp(max=count - 1))
    return target.gather(1, chosen.clamp(max=target.shape[1] - 1)), count > 0
