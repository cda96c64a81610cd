"""Self-critical training: own samples, weighted by how much better they are than the greedy translation."""

import math
from typing import Literal

import torch
from torch import Tensor

from seq2seq_lab.data.draws import Draws
from seq2seq_lab.data.vocabulary import EOS
from seq2seq_lab.decoding.unroll import argmax, encode
from seq2seq_lab.forcing.feeders.base import gumbel
from seq2seq_lab.forcing.passes import scores
from seq2seq_lab.forcing.plan import whole
from seq2seq_lab.forcing.schedules import Schedule
from seq2seq_lab.models.best_word import best_word
from seq2seq_lab.models.interface import Model
from seq2seq_lab.models.likelihood import position_losses
from seq2seq_lab.models.mode import as_evaluated
from seq2seq_lab.targets.base import Target
from seq2seq_lab.targets.gold import Gold
from seq2seq_lab.training.objectives.base import Objective, Outcome
from seq2seq_lab.training.objectives.own_sentences import (
    Reward,
    Said,
    limits_of,
    rewards,
    said,
)

Unit = Literal["sentence", "prefix"]


class SelfCritical(Objective):
    """−(r(sample) − r(greedy)) · log p(sample), with both decoded from the model in the update.

    The baseline is what the model would say (Rennie et al. 2017, https://arxiv.org/abs/1612.00563): samples that are
    better become more probable. With `reward=constant` each sample is worth 1 and there is no baseline: the control of
    Choshen et al. 2020, https://arxiv.org/abs/1907.01752, since it was seen to do as well.

    With `unit=prefix` the first ⌊εT⌋ positions have the loss of their target, and the rest of the sentence is sampled
    after those gold words; ε follows `schedule`. As ε falls from 1 to 0 this is MIXER (Ranzato et al. 2016,
    https://arxiv.org/abs/1511.06732), but for its baseline, which is learnt there, and here is the greedy end of the
    sentence.

    Args:
        reward: r; see `own_sentences.rewards`.
        unit: what is sampled: the `sentence`, or what follows a gold `prefix`.
        schedule: ε over training, for `prefix`.
        temperature: of sampling, > 0.
        mix: the share of the reward in the loss, in [0, 1], for `sentence`; the rest is the loss of the target.
        max_ratio: positions that an own sentence may have, as a multiple of its reference's; it is cut there.

    Raises:
        ValueError: a value is out of its range, or missing.
    """

    measures = ("reward",)
    own_sentences = True

    def __init__(
        self,
        *,
        reward: Reward = "bleu",
        unit: Unit = "sentence",
        schedule: Schedule | None = None,
        temperature: float = 1.0,
        mix: float = 1.0,
        max_ratio: float = 1.5,
    ) -> None:
        for name, value in (("temperature", temperature), ("max_ratio", max_ratio)):
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive and finite, got {value}")
        if not 0 <= mix <= 1:
            raise ValueError(f"mix must lie in [0, 1], got {mix}")
        if (unit == "prefix") != (schedule is not None):
            raise ValueError(
                "schedule must be given with unit=prefix, and only then: forcing/schedule@objective.schedule=linear"
            )
        if unit == "prefix" and mix != 1:
            raise ValueError("mix must be 1 with unit=prefix, where each position has one loss")
        self.reward: Reward = reward
        self.unit = unit
        self.schedule = schedule
        self.temperature = temperature
        self.mix = mix
        self.max_ratio = max_ratio
        self.ignores_feeding = unit == "sentence" and mix == 1

    def refuses(self, model: Model, target: Target) -> str | None:
        """Why it makes no sense with a target."""
        if self.unit == "prefix" or self.mix < 1 or type(target) is Gold:
            return None
        return "a reward of the own outputs has no target; use target=gold, or objective.mix below 1"

    def __call__(self, outcome: Outcome) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of each pair and its sample's reward, [B]."""
        lengths = outcome.batch.lengths
        if self.unit == "sentence":
            weighted, reward = self.weighted(outcome, torch.zeros_like(lengths))
            losses = self.mix * weighted
            return (losses + (1 - self.mix) * outcome.losses if self.mix < 1 else losses), {"reward": reward}
        assert outcome.share is not None
        kept = whole(outcome.share.double() * lengths).long()
        weighted, reward = self.weighted(outcome, kept)
        at_gold = outcome.aim.losses(outcome.decoded.logits)
        places = torch.arange(at_gold.shape[1], device=at_gold.device)
        first = places < kept.unsqueeze(1)
        if (counted := outcome.aim.lengths) is not None:
            first &= places < counted.unsqueeze(1)
        return weighted + at_gold.masked_fill(~first, 0.0).sum(dim=1), {"reward": reward}

    def weighted(self, outcome: Outcome, kept: Tensor) -> tuple[Tensor, Tensor]:
        """−advantage · log p(what is sampled after `kept` gold words), and the reward of the sentence, [B] each."""
        model, batch, draws = outcome.model, outcome.batch, outcome.draws
        lengths = batch.lengths
        places = torch.arange(batch.target.shape[1], device=lengths.device)
        target = batch.target.masked_fill(places >= lengths.unsqueeze(1), EOS)
        limits = torch.maximum(limits_of(model, lengths, self.max_ratio), kept)

        def sample(logits: Tensor, first: int, _: Draws | None) -> Tensor:
            noise = gumbel(draws, 1, logits.shape[2], first, "objective/sample")
            return best_word(logits / self.temperature + noise)

        encoded = encode(model, batch.source, batch.source_lengths, draws)
        found = said(model, encoded, target, limits, sample, draws, kept=kept)
        reward = rewards(self.reward, found, target, lengths)
        advantage = reward
        if self.reward != "constant":
            with torch.no_grad(), as_evaluated(model):
                clean = encode(model, batch.source, batch.source_lengths)
                greedy = said(model, clean, target, limits, argmax, None, kept=kept)
            advantage = reward - rewards(self.reward, greedy, target, lengths)
        logits = scores(model, encoded, found.words, None, draws).logits
        return self._loss(logits, found, kept, advantage), reward

    def _loss(self, logits: Tensor, found: Said, kept: Tensor, advantage: Tensor) -> Tensor:
        places = torch.arange(found.words.shape[1], device=kept.device)
        own = (places >= kept.unsqueeze(1)) & (places < found.lengths.unsqueeze(1))
        losses = position_losses(logits, found.words).masked_fill(~own, 0.0).sum(dim=1)
        return advantage.to(losses) * losses
