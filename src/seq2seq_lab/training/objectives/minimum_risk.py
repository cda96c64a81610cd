"""Minimum risk training."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from seq2seq_lab.data.draws import Draws
from seq2seq_lab.data.vocabulary import EOS
from seq2seq_lab.decoding.unroll import Encoded, encode
from seq2seq_lab.forcing.feeders.base import gumbel
from seq2seq_lab.forcing.passes import scores
from seq2seq_lab.models.best_word import best_word
from seq2seq_lab.models.interface import Model
from seq2seq_lab.models.likelihood import sentence_losses
from seq2seq_lab.targets.base import Target
from seq2seq_lab.targets.gold import Gold
from seq2seq_lab.training.objectives.base import Objective, Outcome
from seq2seq_lab.training.objectives.nll import NegativeLogLikelihood
from seq2seq_lab.training.objectives.own_sentences import Said, limits_of, rewards, said


class Candidates(NamedTuple):
    """Translations of B sources, K each.

    Attributes:
        words: ids [B, K, L]; what stands beyond a candidate's length is to be ignored.
        lengths: [B, K], `<eos>` included where there is one.
        distinct: [B, K], False where the same candidate stands before it.
    """

    words: Tensor
    lengths: Tensor
    distinct: Tensor


class MinimumRisk(Objective):
    """The expected risk of candidate translations; on request mixed with the negative log-likelihood of the target.

    Σ_y Q(y) (1 − BLEU(y)), where Q(y) ∝ p(y | source)^α over the distinct candidates, which are samples of the model
    (Shen et al. 2016, https://arxiv.org/abs/1512.02433). BLEU is smoothed sentence BLEU against the target. Gradients
    flow through the probabilities of the candidates, not through their choice.

    The gradient of the risk is about α times as large as the likelihood's: of a trained model with 8 candidates 4e-4 at
    α = 0.005 and 0.05 at α = 1, beside 1.4. A mixture with a small α therefore learns the likelihood alone.

    Args:
        candidates: K, of each pair.
        reference: whether the pair's own target is one of them, as in that paper.
        temperature: of sampling, > 0; below 1 the distribution is sharper.
        alpha: α > 0.
        mix: the share of the risk in the loss, in [0, 1].
        max_ratio: positions that a candidate may have, as a multiple of its target's; it is cut there.
        label_smoothing: of the negative log-likelihood, where `mix` leaves it a share, in [0, 1), as in Edunov et al.
            2018, https://arxiv.org/abs/1711.04956.

    Raises:
        ValueError: a value is out of its range.
    """

    own_sentences = True

    def __init__(
        self,
        *,
        candidates: int = 50,
        reference: bool = True,
        temperature: float = 1.0,
        alpha: float = 0.005,
        mix: float = 1.0,
        max_ratio: float = 2.0,
        label_smoothing: float = 0.0,
    ) -> None:
        if candidates < 1:
            raise ValueError(f"candidates must be at least 1, got {candidates}")
        for name, value in (("temperature", temperature), ("alpha", alpha), ("max_ratio", max_ratio)):
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive and finite, got {value}")
        if not 0 <= mix <= 1:
            raise ValueError(f"mix must lie in [0, 1], got {mix}")
        self.candidates = candidates
        self.reference = reference
        self.temperature = temperature
        self.alpha = alpha
        self.mix = mix
        self.max_ratio = max_ratio
        self.likelihood = NegativeLogLikelihood(label_smoothing=label_smoothing)
        self.ignores_feeding = mix == 1

    def refuses(self, model: Model, target: Target) -> str | None:
        """Why it makes no sense with a target."""
        if self.mix and self.candidates == 1:
            return "the risk of a single candidate has no gradient; use objective.candidates=2 or more"
        if self.mix < 1 and (reason := self.likelihood.refuses(model, target)) is not None:
            return reason
        if self.mix < 1 or type(target) is Gold:
            return None
        return "the risk of candidates has no target; use target=gold, or objective.mix below 1"

    def __call__(self, outcome: Outcome) -> Tensor:
        """The loss of each pair, [B]."""
        if self.mix == 1:
            return self.risk(outcome)
        losses = self.likelihood(outcome)
        return self.mix * self.risk(outcome) + (1 - self.mix) * losses if self.mix else losses

    def risk(self, outcome: Outcome) -> Tensor:
        """The expected risk of each pair, [B]."""
        model, batch, draws = outcome.model, outcome.batch, outcome.draws
        encoded = encode(model, batch.source, batch.source_lengths, draws)
        found = self.sample(model, encoded, batch.target, batch.lengths, draws)
        rows = _repeated(len(batch.target), self.candidates, batch.target.device)
        words, ends = found.words.flatten(0, 1), found.lengths.flatten()
        decoded = scores(model, encoded.select(rows), words, None, draws[rows])
        losses = sentence_losses(decoded.logits, words, ends).view_as(found.lengths)
        weights = (-self.alpha * losses).masked_fill(~found.distinct, -math.inf).softmax(dim=1)
        return (weights * risks(found, batch.target, batch.lengths).to(weights)).sum(dim=1)

    @torch.no_grad()
    def sample(
        self, model: Model, encoded: Encoded, target: Tensor, lengths: Tensor, draws: Draws
    ) -> Candidates:
        """The candidates of B pairs, of their targets [B, T] and lengths [B]; the target itself comes first."""
        limits = limits_of(model, lengths, self.max_ratio)
        longest, pairs = max(int(limits.max()), target.shape[1]), len(target)
        own = self.candidates - self.reference
        words = target.new_full((pairs, self.candidates, longest), EOS)
        ends = lengths.unsqueeze(1).repeat(1, self.candidates)
        if self.reference:
            words[:, 0, : target.shape[1]] = target
        if own:
            rows = _repeated(pairs, own, target.device)

            def choose(logits: Tensor, first: int, _: Draws | None) -> Tensor:
                """A sample of each row's scores [B · K, 1, V]; each candidate of a pair has numbers of its own."""
                noise = [
                    gumbel(draws, 1, logits.shape[2], first, f"objective/candidates/{number}")
                    for number in range(own)
                ]
                noisy = logits / self.temperature + torch.stack(noise, dim=1).flatten(0, 1)
                return best_word(noisy)

            samples = said(
                model,
                encoded.select(rows),
                target[rows],
                limits[rows],
                choose,
                draws[rows],
                kept=torch.zeros_like(rows),
            )
            words[:, self.candidates - own :, : samples.words.shape[1]] = samples.words.view(pairs, own, -1)
            ends[:, self.candidates - own :] = samples.lengths.view(pairs, own)
        return Candidates(words, ends, _distinct(words, ends))


def risks(found: Candidates, target: Tensor, lengths: Tensor) -> Tensor:
    """1 − sentence BLEU of each candidate against its target, [B, K]; `<sos>` and `<eos>` are no words."""
    columns = zip(found.words.unbind(1), found.lengths.unbind(1), strict=True)
    return torch.stack([1 - rewards("bleu", Said(*column), target, lengths) for column in columns], dim=1)


def _repeated(pairs: int, times: int, device: torch.device) -> Tensor:
    """0 … 0, 1 … 1, …: the row of each candidate's pair."""
    return torch.arange(pairs, device=device).repeat_interleave(times)


def _distinct(words: Tensor, ends: Tensor) -> Tensor:
    """Whether no equal candidate stands before one, [B, K]."""
    inside = torch.arange(words.shape[2], device=words.device) < ends.unsqueeze(2)
    words = words.masked_fill(~inside, -1)
    equal = (words.unsqueeze(1) == words.unsqueeze(2)).all(dim=3)  # [B, K, K]
    return ~equal.tril(diagonal=-1).any(dim=2)
