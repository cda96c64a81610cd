"""Sentences near others: drawn with a probability that falls with their distance.

Of a sentence of n words there are C(n, e) · (V − 1)ᵉ at Hamming distance e, with V words of the vocabulary. By edits, e
words are inserted, deleted or substituted; there are Vᵉ · Σ_k C(n, k) C(n + e − k, e − k) ways to do so: k of the words
are changed, each into one of V − 1 others or into nothing, and e − k are inserted.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from seq2seq_lab.data.vocabulary import SPECIAL_WORDS, Vocabulary

Distance = Literal["hamming", "edit"]
Weight = Literal["rescaled", "counted", "flat"]
Uniform = Callable[..., Tensor]  # purpose, sizes → numbers in (0, 1), [N, *sizes]


class Lexicon(NamedTuple):
    """The words that may be drawn: all of a vocabulary but the special ones.

    Attributes:
        size: V.
        unk: the id of `<unk>`, which is none of them; None where there is none.
    """

    size: int
    unk: int | None

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> "Lexicon":
        """That of a vocabulary."""
        return cls(len(vocabulary) - len(SPECIAL_WORDS) - (vocabulary.unk is not None), vocabulary.unk)

    def word(self, number: Tensor) -> Tensor:
        """The id of word `number`, counted from 0."""
        ids = number + len(SPECIAL_WORDS)
        return ids if self.unk is None else ids + (ids >= self.unk)

    def number(self, ids: Tensor) -> Tensor:
        """The number of words of these ids; the inverse of `word`."""
        numbers = ids - len(SPECIAL_WORDS)
        return numbers if self.unk is None else numbers - (ids > self.unk).long()

    def other(self, ids: Tensor, uniform: Tensor) -> Tensor:
        """A uniformly random word other than each of `ids`."""
        drawn = (uniform.double() * (self.size - 1)).long()
        return self.word(drawn + (drawn >= self.number(ids)))


def log_weights(longest: int, size: int, tau: float, *, distance: Distance, weight: Weight) -> Tensor:
    """The logarithm of the weight of e edits of a sentence of n words, float64 [longest + 1 (n), longest + 1 (e)].

    counted: how many there are, · exp(−e/τ), which is exp(reward/τ) summed over all sentences of that distance (Norouzi
    et al. 2016, https://arxiv.org/abs/1609.00150). rescaled: the same with a cost of 1 + ln v instead of 1 for each
    edit, v = V − 1 or V; without it the number of sentences outweighs any usual τ (their code). flat: exp(−e/τ)
    without the number, as in the code of SwitchOut (Wang et al. 2018, https://arxiv.org/abs/1808.07512).

    Args:
        longest: the largest n.
        size: V.
    """
    n = torch.arange(longest + 1, dtype=torch.float64).unsqueeze(1)
    e = n.T
    choices = math.log(size - 1 if distance == "hamming" else size) if size > 1 else 0.0
    cost = 1 + choices if weight == "rescaled" else 1.0
    found = -e * cost / tau
    if weight != "flat":
        ways = _log_choose(n, e) if distance == "hamming" else _log_all_scripts(longest)
        found = found + e * choices + ways
    return found.masked_fill(e > n, -math.inf)


@lru_cache(maxsize=64)
def _log_all_scripts(longest: int) -> Tensor:
    """The logarithm of the ways to make e edits of n words, without the choice of words, [n, e]."""
    numbers = torch.arange(longest + 1)
    return torch.stack([_log_scripts(n, numbers, longest).logsumexp(dim=1) for n in numbers])


def _log_scripts(lengths: Tensor, edits: Tensor, longest: int) -> Tensor:
    """log C(n, k) C(n + e − k, e − k) of lengths n [N] and edits e [N], for k from 0 to `longest`: float64 [N, K]."""
    n, e = lengths.double().unsqueeze(-1), edits.double().unsqueeze(-1)
    k = torch.arange(longest + 1, dtype=torch.float64, device=edits.device)
    inserted = (e - k).clamp(min=0)
    return (_log_choose(n, k) + _log_choose(n + inserted, inserted)).masked_fill(k > e, -math.inf)


def _log_choose(n: Tensor, k: Tensor) -> Tensor:
    """log C(n, k), −∞ where k > n."""
    inside = k <= n
    rest = torch.where(inside, n - k, 0.0)
    found = torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(rest + 1)
    return found.masked_fill(~inside, -math.inf)


def drawn(log_weights: Tensor, uniform: Tensor) -> Tensor:
    """A column for each row, with probabilities in proportion to its weights: log_weights [N, K], uniform [N] → [N]."""
    cumulated = log_weights.softmax(dim=1).cumsum(dim=1)
    return (cumulated < uniform.double().unsqueeze(1)).sum(dim=1).clamp(max=log_weights.shape[1] - 1)


def chosen(keys: Tensor, of: Tensor, number: Tensor) -> Tensor:
    """A uniformly random subset of the first `of` columns with `number` members, by random keys [N, K]: bool [N, K]."""
    outside = torch.arange(keys.shape[1], device=keys.device) >= of.unsqueeze(1)
    ranks = keys.masked_fill(outside, math.inf).argsort(dim=1).argsort(dim=1)
    return (ranks < number.unsqueeze(1)) & ~outside


def substituted(words: Tensor, lengths: Tensor, edits: Tensor, lexicon: Lexicon, uniform: Uniform) -> Tensor:
    """Sentences [N, L] of `lengths` words with `edits` of them replaced by others, at random places."""
    where = chosen(uniform("places", words.shape[1]), lengths, edits)
    return torch.where(where, lexicon.other(words, uniform("words", words.shape[1])), words)


def edited(
    words: Tensor, lengths: Tensor, edits: Tensor, lexicon: Lexicon, uniform: Uniform
) -> tuple[Tensor, Tensor]:
    """Sentences [N, L] of `lengths` words after `edits` insertions, deletions and substitutions, and their lengths."""
    longest = words.shape[1]
    changed = drawn(_log_scripts(lengths, edits, longest), uniform("changed"))
    inserted = edits - changed
    room = longest + int(inserted.max()) if len(words) else longest
    # Which of the n + inserted places is an insertion; the words take the others, in order.
    new = chosen(uniform("insertions", room), lengths + inserted, inserted)
    rank = ((~new).cumsum(dim=1) - 1).clamp(min=0, max=longest - 1)
    where = chosen(uniform("places", longest), lengths, changed)
    # Each of V things with the same probability: nothing, or one of the V − 1 other words.
    deletes = uniform("deletions", longest).double() * lexicon.size < 1
    other = torch.where(where, lexicon.other(words, uniform("words", longest)), words).gather(1, rank)
    fresh = lexicon.word((uniform("inserted words", room).double() * lexicon.size).long())
    result = torch.where(new, fresh, other)
    places = torch.arange(room, device=words.device)
    kept = (places < (lengths + inserted).unsqueeze(1)) & (new | ~(where & deletes).gather(1, rank))
    order = (~kept).long().argsort(dim=1, stable=True)
    return result.gather(1, order), kept.sum(dim=1)
