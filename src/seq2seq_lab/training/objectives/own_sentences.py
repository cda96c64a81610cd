"""Sentences of a model's own, and what they are worth."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from seq2seq_lab.data.draws import Draws
from seq2seq_lab.data.vocabulary import EOS, SOS
from seq2seq_lab.decoding.unroll import Choice, Encoded, unroll
from seq2seq_lab.evaluation.sentence_bleu import sentence_bleu
from seq2seq_lab.models.interface import Model, gold_inputs
from seq2seq_lab.targets.edits import distances
from seq2seq_lab.targets.own import limits

Reward = Literal["bleu", "exact_match", "negative_per", "constant"]


class Said(NamedTuple):
    """Sentences of B pairs.

    Attributes:
        words: ids [B, L]; what stands beyond a sentence's length is to be ignored.
        lengths: [B], `<eos>` included where there is one.
    """

    words: Tensor
    lengths: Tensor


def limits_of(model: Model, lengths: Tensor, max_ratio: float) -> Tensor:
    """The most words of sentences beside references of these lengths, [B]; none is longer than the model takes."""
    return limits(lengths, max_ratio).clamp(min=1, max=model.target_positions)


@torch.no_grad()
def said(
    model: Model,
    encoded: Encoded,
    target: Tensor,
    limits: Tensor,
    choose: Choice,
    draws: Draws | None,
    *,
    kept: Tensor,
) -> Said:
    """Sentences that begin with gold words.

    Args:
        encoded: the sources.
        target: the references [B, T], padded by `<eos>`.
        limits: the most words of each sentence, [B].
        choose: what is said next; see `decoding.unroll`.
        draws: of dropout.
        kept: how many gold words each begins with, [B].
    """
    longest = int(limits.max())
    gold = target.new_full((len(target), longest), EOS)
    gold[:, : target.shape[1]] = target[:, :longest]
    fed = gold_inputs(gold)
    own = torch.arange(longest, device=target.device) > kept.unsqueeze(1)
    steps = unroll(model, encoded, model.embed(fed), own, words=fed, choose=choose, draws=draws)
    end = choose(steps.logits[:, -1:], longest, draws)
    end = torch.where((kept < longest).unsqueeze(1), end, gold[:, -1:])
    words = torch.cat((steps.need_words()[:, 1:], end), dim=1)  # what is fed at t was said at t − 1
    before = (words == EOS).cumsum(dim=1) == 0
    return Said(words, torch.minimum(before.sum(dim=1) + 1, limits))


def rewards(kind: Reward, found: Said, target: Tensor, lengths: Tensor) -> Tensor:
    """What sentences are worth beside their references [B, T] of `lengths`, float64 [B].

    `<sos>` and `<eos>` are no words. bleu: smoothed sentence BLEU in [0, 1]; exact_match: 1 or 0; negative_per: −(edit
    distance) / (words of the reference); constant: 1.
    """
    if kind == "constant":
        return torch.ones(len(target), dtype=torch.float64, device=target.device)
    ours, theirs = _plain(found.words, found.lengths), _plain(target, lengths)
    pairs = list(zip(ours, theirs, strict=True))
    if kind == "negative_per":
        found_words, ends = _padded(ours, target)
        gold_words, wanted = _padded(theirs, target)
        errors = distances(found_words, ends, gold_words, wanted)
        return -errors.double() / wanted.clamp(min=1)
    values = [
        float(one == other) if kind == "exact_match" else sentence_bleu(one, other) for one, other in pairs
    ]
    return torch.tensor(values, dtype=torch.float64, device=target.device)


def _plain(words: Tensor, lengths: Tensor) -> list[list[int]]:
    return [
        [each for each in ids[:length] if each not in (SOS, EOS)]
        for ids, length in zip(words.tolist(), lengths.tolist(), strict=True)
    ]


def _padded(sentences: list[list[int]], like: Tensor) -> tuple[Tensor, Tensor]:
    lengths = [len(each) for each in sentences]
    longest = max(lengths)
    rows = [[*each, *[EOS] * (longest - len(each))] for each in sentences]
    return like.new_tensor(rows).view(len(rows), longest), like.new_tensor(lengths)
