"""Greedy decoding."""

from typing import NamedTuple

import torch
from torch import Tensor

from seq2seq_lab.data.vocabulary import EOS, SOS
from seq2seq_lab.decoding.unroll import Encoded, Steps, encode
from seq2seq_lab.models.interface import Decoded, Model


class Hypotheses(NamedTuple):
    """Translations of a model that is fed only its own words.

    Attributes:
        words: ids [B, L], where L can be less than the maximum; ignore the words after the first `<eos>` of a sentence.
        logits: [B, L, V]; the words are their arg-max.
        weights: attention weights [B, L, S]; None for a model without attention.
    """

    words: Tensor
    logits: Tensor
    weights: Tensor | None


@torch.no_grad()
def greedy(
    model: Model,
    source: Tensor,
    source_lengths: Tensor | None,
    max_length: int,
    *,
    at_least: int | None = None,
    encoded: Encoded | None = None,
) -> Hypotheses:
    """The most probable word at each position, fed back as the next input.

    Args:
        source: ids [B, S]; its lengths [B] are as in `Model.forward`.
        max_length: maximum number of positions, L.
        at_least: the number of positions after which decoding may end, as soon as every sentence has its `<eos>`; None:
            it does not end before `max_length`.
        encoded: the sources, if they have already been encoded.
    """
    decoding = Steps(model, encoded or encode(model, source, source_lengths))
    word = source.new_full((len(source), 1), SOS)
    ended = torch.zeros_like(word, dtype=torch.bool)
    steps, words = list[Decoded](), list[Tensor]()
    for position in range(1, max_length + 1):
        steps.append(decoding.step(model.embed(word)))
        word = steps[-1].logits.argmax(dim=2)
        words.append(word)
        ended |= word == EOS
        if at_least is not None and position >= at_least and bool(ended.all()):
            break
    weights = [step.weights for step in steps if step.weights is not None]
    return Hypotheses(
        torch.cat(words, dim=1),
        torch.cat([step.logits for step in steps], dim=1),
        torch.cat(weights, dim=1) if weights else None,
    )


def before_end(words: Tensor) -> Tensor:
    """[B, L], True at the positions of hypotheses up to their first `<eos>`, which is included; words [B, L]."""
    ends = (words == EOS).long()
    return ends.cumsum(dim=1) - ends == 0
