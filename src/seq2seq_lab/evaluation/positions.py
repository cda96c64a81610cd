"""Accuracy by target position, with gold words and with the model's own words before it, and the first error."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seq2seq_lab.data.batches import Batch
from seq2seq_lab.data.vocabulary import EOS
from seq2seq_lab.decoding.greedy import greedy
from seq2seq_lab.models.seq2seq import Seq2Seq


class RightWords(NamedTuple):
    """Which of the model's words are right, at the T positions of each pair's own target with its `<eos>`.

    Attributes:
        gold: [B, T], whether the most probable word is the target's when the gold words before it are fed.
        own: [B, T], the same in greedy decoding, where the model's own words are fed. After its first `<eos>` a
            hypothesis has no words, so none of them is right.
        inside: [B, T], whether the target has this position; the others are padding, where nothing is right.
    """

    gold: Tensor
    own: Tensor
    inside: Tensor


@torch.no_grad()
def right_words(model: Seq2Seq, batch: Batch) -> RightWords:
    """Compare the model's words with the target's, position by position."""
    target = batch.target
    forced = model(batch.source, target, source_lengths=batch.source_lengths).logits.argmax(dim=2)
    found = greedy(model, batch.source, batch.source_lengths, target.shape[1]).words
    inside = positions(batch)
    ends = (found == EOS).long()
    not_ended = ends.cumsum(dim=1) - ends == 0  # its first <eos> still counts
    return RightWords((forced == target) & inside, (found == target) & not_ended & inside, inside)


def positions(batch: Batch) -> Tensor:
    """[B, T], True at the positions of the targets, False at their padding."""
    if batch.target_lengths is None:
        return torch.ones_like(batch.target, dtype=torch.bool)
    return torch.arange(batch.target.shape[1], device=batch.target.device) < batch.target_lengths[:, None]


def joined(parts: Sequence[RightWords]) -> RightWords:
    """The words of several batches as those of one, on the CPU, padded to the longest target."""
    longest = max(each.inside.shape[1] for each in parts)
    padded = [
        [torch.nn.functional.pad(each, (0, longest - each.shape[1])).cpu() for each in part] for part in parts
    ]
    return RightWords(*map(torch.cat, zip(*padded, strict=True)))


def accuracy(words: RightWords) -> dict[str, Any]:
    """Accuracy by position, and over all positions.

    Position t counts from 1 and includes `<eos>`; acc_gold(t) and acc_own(t) are shares of the n(t) sentences whose
    own target has a position t. Their difference is the gap; "measures" has the same over all positions of all
    sentences.

    Returns:
        "position" [T], "sentences" n(t), "gold", "own", "gap"; "measures".
    """
    sentences = words.inside.sum(dim=0)
    gold, own = (right.sum(dim=0) / sentences for right in (words.gold.double(), words.own.double()))
    every = words.inside.sum().item()
    of_gold, of_own = words.gold.sum().item() / every, words.own.sum().item() / every
    return {
        "position": list(range(1, len(sentences) + 1)),
        "sentences": sentences.tolist(),
        "gold": gold.tolist(),
        "own": own.tolist(),
        "gap": (gold - own).tolist(),
        "measures": {"accuracy_gold": of_gold, "accuracy_own": of_own, "accuracy_gap": of_gold - of_own},
    }


def first_errors(words: RightWords) -> dict[str, Any]:
    """The first wrong position of greedy decoding, against the pair's own target with its `<eos>`.

    A hypothesis that is too short or too long is wrong at its own `<eos>` or at the target's, whichever is first.

    Returns:
        "position" [T]; "share": of all sentences, the share whose first error is at t; "hazard": of the sentences
        that have a position t and are right before it, the share that is wrong at t; null where there is none;
        "right_before": the number of these sentences; "none": the share of sentences without an error.
    """
    wrong = ~words.own & words.inside
    before = wrong.long().cumsum(dim=1) - wrong.long() == 0
    first = (wrong & before).sum(dim=0)
    at_risk = (words.inside & before).sum(dim=0)
    hazard = [n / m if m else None for n, m in zip(first.tolist(), at_risk.tolist(), strict=True)]
    none = 1 - wrong.any(dim=1).double().mean().item()
    return {
        "position": list(range(1, wrong.shape[1] + 1)),
        "share": (first / len(wrong)).tolist(),
        "hazard": hazard,
        "right_before": at_risk.tolist(),
        "none": none,
        "measures": {},
    }
