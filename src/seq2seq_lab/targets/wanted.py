"""What the positions of B pairs should predict: a word, several words with weights, or a distribution."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import torch
from torch import Tensor

from seq2seq_lab.models.best_word import best_word
from seq2seq_lab.models.likelihood import position_losses

Divergence = Literal["forward_kl", "reverse_kl", "jsd"]


class Wanted(Protocol):
    """What the positions of B pairs should predict.

    Attributes:
        lengths: how many positions of each pair count, from the first, [B]; None: all.
        measured: what is measured of the pairs, name → [B]; see `Target.measures`.
    """

    @property
    def lengths(self) -> Tensor | None: ...

    @property
    def measured(self) -> Mapping[str, Tensor]: ...

    def losses(self, logits: Tensor) -> Tensor:
        """The loss of each position, [B, T], of scores [B, T, V]."""
        ...

    def entropy(self) -> Tensor:
        """The entropy of what each position should predict in nats, [B, T]."""
        ...

    def allows(self, words: Tensor) -> Tensor:
        """Whether words [B, T] are among those that their position should predict most, bool [B, T]."""
        ...


@dataclass(frozen=True)
class Words:
    """One word at each position; the loss is its negative log-likelihood.

    Attributes:
        words: [B, T].
        more: what is added to the loss of each position, [B, T]; None: nothing.
    """

    words: Tensor
    lengths: Tensor | None
    more: Tensor | None = None
    measured: Mapping[str, Tensor] = field(default_factory=dict)

    def losses(self, logits: Tensor) -> Tensor:
        losses = position_losses(logits, self.words)
        return losses if self.more is None else losses + self.more

    def entropy(self) -> Tensor:
        return torch.zeros(self.words.shape, device=self.words.device)

    def allows(self, words: Tensor) -> Tensor:
        return words == self.words


@dataclass(frozen=True)
class WeightedWords:
    """K words at each position, with weights; the same word may be there twice.

    The loss is the cross-entropy Σ_k w_k (−log p(word k)).

    Attributes:
        words: [B, T, K].
        weights: [B, T, K]; they sum to 1 at each position.
    """

    words: Tensor
    weights: Tensor
    lengths: Tensor | None
    measured: Mapping[str, Tensor] = field(default_factory=dict)

    def losses(self, logits: Tensor) -> Tensor:
        found = logits.log_softmax(dim=2).gather(2, self.words)
        # A weight of 0 counts nothing, even where a probability is 0.
        return -(self.weights.to(found) * found.masked_fill(self.weights == 0, 0.0)).sum(dim=2)

    def entropy(self) -> Tensor:
        each: Tensor = torch.special.entr(self._joined())
        return each.sum(dim=2)

    def allows(self, words: Tensor) -> Tensor:
        weights = self._joined()
        most = weights.amax(dim=2, keepdim=True)
        return ((self.words == words.unsqueeze(2)) & (weights == most) & (weights > 0)).any(dim=2)

    def _joined(self) -> Tensor:
        """The weights where each word has all of its own at its first place, [B, T, K]."""
        same = self.words.unsqueeze(2) == self.words.unsqueeze(3)  # [B, T, K, K]
        first = ~same.tril(diagonal=-1).any(dim=3)
        return torch.where(first, (same * self.weights.unsqueeze(2)).sum(dim=3), 0.0)


@dataclass(frozen=True)
class WordSets:
    """A uniform distribution over a set of the K words of each pair; the loss is KL(uniform ‖ p).

    Attributes:
        words: of the pairs, [B, K].
        members: which of them are in the set of a position, without repeats, bool [B, T, K].
    """

    words: Tensor
    members: Tensor
    lengths: Tensor | None
    measured: Mapping[str, Tensor] = field(default_factory=dict)

    def losses(self, logits: Tensor) -> Tensor:
        places = self.words.unsqueeze(1).expand(-1, logits.shape[1], -1)
        # log p of the members alone: neither the other words' nor their gradient is needed.
        found = logits.gather(2, places).masked_fill(~self.members, 0.0).sum(dim=2)
        size = self.members.sum(dim=2).clamp(min=1)
        losses: Tensor = logits.logsumexp(dim=2) - found / size - size.to(logits).log()
        return losses

    def entropy(self) -> Tensor:
        return self.members.sum(dim=2).clamp(min=1).float().log()

    def allows(self, words: Tensor) -> Tensor:
        return ((self.words.unsqueeze(1) == words.unsqueeze(2)) & self.members).any(dim=2)


@dataclass(frozen=True)
class Distribution:
    """A distribution q over the whole vocabulary; the loss is a divergence between it and the model's p.

    forward_kl: KL(q ‖ p); reverse_kl: KL(p ‖ q); jsd: β KL(q ‖ m) + (1 − β) KL(p ‖ m) with m = β q + (1 − β) p
    (Agarwal et al. 2024, https://arxiv.org/abs/2306.13649, section 2).

    Attributes:
        logs: log q, [B, T, V].
        beta: β of `jsd`, in (0, 1).
    """

    logs: Tensor
    lengths: Tensor | None
    divergence: Divergence = "forward_kl"
    beta: float = 0.5
    measured: Mapping[str, Tensor] = field(default_factory=dict)

    def losses(self, logits: Tensor) -> Tensor:
        ours, theirs = logits.log_softmax(dim=2), self.logs.to(logits)
        if self.divergence == "forward_kl":
            return kl(theirs, ours)
        if self.divergence == "reverse_kl":
            return kl(ours, theirs)
        mixture = torch.logaddexp(theirs + math.log(self.beta), ours + math.log1p(-self.beta))
        return self.beta * kl(theirs, mixture) + (1 - self.beta) * kl(ours, mixture)

    def entropy(self) -> Tensor:
        return -(self.logs.exp() * self.logs).sum(dim=2)

    def allows(self, words: Tensor) -> Tensor:
        return best_word(self.logs) == words


def kl(one: Tensor, other: Tensor) -> Tensor:
    """KL(one ‖ other) of logarithms of probabilities [B, T, V], [B, T]."""
    return (one.exp() * (one - other)).sum(dim=2)
