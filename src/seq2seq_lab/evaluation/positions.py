"""Accuracy by target position, with gold words and with the model's own words before it, and the first error.

A position is a symbol of the vocabulary, which may be a subword or a character, or the target's `<eos>`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seq2seq_lab.data.batches import Batch
from seq2seq_lab.decoding.greedy import before_end, greedy
from seq2seq_lab.evaluation.analysis import Subject
from seq2seq_lab.models.best_word import best_word
from seq2seq_lab.models.interface import Model


class Positions:
    """Accuracy by position, and the first error; see `by_position`."""

    name = "positions"

    def __call__(self, subject: Subject) -> dict[str, Any]:
        batches = (batch for block in subject.batches for batch in block)
        return by_position(
            joined([right_words(subject.model, batch, subject.vocabulary.unk) for batch in batches])
        )


class RightWords(NamedTuple):
    """Which of the model's words are right, at the T positions of each pair's own target with its `<eos>`.

    Attributes:
        gold: [B, T], whether the most probable word is the target's when the gold words before it are fed.
        own: [B, T], the same in greedy decoding, where the model's own words are fed. After its first `<eos>` a
            hypothesis has no words, so none of them is right.
        inside: [B, T], whether the target has this position; the others are padding, where nothing is right.
        to_own_end: [B, T], those of them up to the hypothesis' own `<eos>`, which is included.
    """

    gold: Tensor
    own: Tensor
    inside: Tensor
    to_own_end: Tensor


@torch.no_grad()
def right_words(model: Model, batch: Batch, unk: int | None = None) -> RightWords:
    """Compare the model's words with the target's, position by position.

    Args:
        unk: the id of `<unk>`, which stands for different words and is therefore never right.
    """
    target = batch.target
    forced = best_word(model(batch.source, target, source_lengths=batch.source_lengths).logits)
    found = greedy(model, batch.source, batch.source_lengths, target.shape[1]).words
    inside = positions(batch)
    known = inside if unk is None else inside & (target != unk)
    not_ended = before_end(found)
    own = (found == target) & not_ended & known
    return RightWords((forced == target) & known, own, inside, inside & not_ended)


def positions(batch: Batch) -> Tensor:
    """[B, T], True at the positions of the targets, False at their padding."""
    return torch.arange(batch.target.shape[1], device=batch.target.device) < batch.lengths[:, None]


def joined(parts: Sequence[RightWords]) -> RightWords:
    """The words of several batches as those of one, on the CPU, padded to the longest target."""
    longest = max(each.inside.shape[1] for each in parts)
    padded = [
        [torch.nn.functional.pad(each, (0, longest - each.shape[1])).cpu() for each in part] for part in parts
    ]
    return RightWords(*map(torch.cat, zip(*padded, strict=True)))


def by_position(words: RightWords) -> dict[str, Any]:
    """Accuracy by position with gold and with own words before it, and the first error of greedy decoding.

    A position t counts from 1; the last one of a target is its `<eos>`. acc_gold(t) and acc_own(t) are shares of the
    n(t) sentences whose own target has a position t; the gap is their difference. The first error is the first wrong
    position, against the own target: a hypothesis that is too short or too long is wrong at its own `<eos>` or at the
    target's.

    Returns:
        "position" [T], "sentences" n(t), "gold", "own", "gap"; "first_error": of all sentences, the share whose first
        error is at t; "right_before": the number of sentences that have a position t and are right before it;
        "hazard": their share that is wrong at t, null if there are none; "without_error": the share of all sentences;
        "measures": accuracy and gap over all positions of all sentences, and the gap over those up to the
        hypothesis' own `<eos>`: after it there is nothing that could be right.
    """
    gold, own = words.gold.double(), words.own.double()
    sentences, every = words.inside.sum(dim=0), words.inside.sum()
    wrong = ~words.own & words.inside
    right_before = wrong.long().cumsum(dim=1) - wrong.long() == 0
    first = (wrong & right_before).sum(dim=0)
    at_risk = (words.inside & right_before).sum(dim=0)
    return {
        "position": list(range(1, len(sentences) + 1)),
        "sentences": sentences.tolist(),
        "gold": (gold.sum(dim=0) / sentences).tolist(),
        "own": (own.sum(dim=0) / sentences).tolist(),
        "gap": ((gold - own).sum(dim=0) / sentences).tolist(),
        "first_error": (first.double() / len(wrong)).tolist(),
        "right_before": at_risk.tolist(),
        "hazard": [n / m if m else None for n, m in zip(first.tolist(), at_risk.tolist(), strict=True)],
        "without_error": 1 - wrong.any(dim=1).double().mean().item(),
        "measures": {
            "accuracy_gold": (gold.sum() / every).item(),
            "accuracy_own": (own.sum() / every).item(),
            "accuracy_gap": ((gold - own).sum() / every).item(),
            "accuracy_gap_to_own_end": ((gold - own)[words.to_own_end].sum() / words.to_own_end.sum()).item(),
        },
    }
