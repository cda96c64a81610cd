"""Greedy decoding."""

from typing import NamedTuple

import torch
from torch import Tensor

from seq2seq_lab.data.vocabulary import EOS, SOS
from seq2seq_lab.decoding.unroll import Encoded, Steps, encode
from seq2seq_lab.models.best_word import best_word
from seq2seq_lab.models.interface import Model
from seq2seq_lab.models.likelihood import position_losses

# Sentences leave the batch as soon as these are at least this share of it: what goes on is copied then.
LEAVING = 0.25


class Hypotheses(NamedTuple):
    """Translations of a model that is fed only its own words.

    Attributes:
        words: ids [B, L], where L can be less than the maximum; ignore the words after the first `<eos>` of a sentence.
        weights: attention weights [B, L, S]; zero where a sentence was wanted no further. None for a model without
            attention.
        losses: the negative log-likelihood of the gold word at each position, [B, L] or [B, T] if there are fewer,
            likewise; None where no gold words were given.
    """

    words: Tensor
    weights: Tensor | None
    losses: Tensor | None


@torch.no_grad()
def greedy(
    model: Model,
    source: Tensor,
    source_lengths: Tensor | None,
    max_length: int,
    *,
    at_least: Tensor | int | None = None,
    encoded: Encoded | None = None,
    gold: Tensor | None = None,
) -> Hypotheses:
    """The most probable word at each position, fed back as the next input.

    Args:
        source: ids [B, S]; its lengths [B] are as in `Model.forward`.
        max_length: maximum number of positions, L.
        at_least: the number of positions that are wanted of a sentence even if its `<eos>` comes before, of each [B] or
            of all; those after it are wanted up to the `<eos>`. None: all are wanted. A sentence of which no more is
            wanted leaves the batch.
        encoded: the sources, if they have already been encoded.
        gold: words [B, T] whose losses are asked for; they are not fed.
    """
    decoding = Steps(model, encoded or encode(model, source, source_lengths))
    word = source.new_full((len(source), 1), SOS)
    ended = torch.zeros_like(word, dtype=torch.bool)
    wanted = torch.as_tensor(max_length if at_least is None else at_least, device=source.device)
    wanted = wanted.expand(len(source)).unsqueeze(1)
    rows: Tensor | None = None  # the sentences that go on; None: all
    words, weights, losses = list[Tensor](), list[Tensor](), list[Tensor]()
    for position in range(1, max_length + 1):
        step = decoding.step(model.embed(word))
        word = best_word(step.logits)
        words.append(_in_rows(word, rows, source, EOS))
        if step.weights is not None:
            weights.append(_in_rows(step.weights, rows, source))
        if gold is not None and position <= gold.shape[1]:
            here = gold[:, position - 1 : position]
            loss = position_losses(step.logits, here if rows is None else here[rows])
            losses.append(_in_rows(loss, rows, source))
        if at_least is None:
            continue
        ended |= word == EOS
        on = (~ended | (position < wanted)).squeeze(1)
        going = int(on.sum())
        if not going:
            break
        if going <= (1 - LEAVING) * len(on):
            on = on.nonzero().squeeze(1)
            decoding.select(on)
            rows = on if rows is None else rows[on]
            word, ended, wanted = word[on], ended[on], wanted[on]
    return Hypotheses(
        torch.cat(words, dim=1),
        torch.cat(weights, dim=1) if weights else None,
        torch.cat(losses, dim=1) if losses else None,
    )


def _in_rows(values: Tensor, rows: Tensor | None, source: Tensor, fill: int = 0) -> Tensor:
    """Values of some of the sentences [n, …] in their rows among all, [B, …]."""
    if rows is None:
        return values
    every = values.new_full((len(source), *values.shape[1:]), fill)
    every[rows] = values
    return every


def before_end(words: Tensor) -> Tensor:
    """[B, L], True at the positions of hypotheses up to their first `<eos>`, which is included; words [B, L]."""
    ends = (words == EOS).long()
    return ends.cumsum(dim=1) - ends == 0
