"""Greedy decoding."""

from typing import NamedTuple

import torch
from torch import Tensor

from seq2seq_lab.data.vocabulary import SOS
from seq2seq_lab.decoding.unroll import encode, unroll
from seq2seq_lab.models.seq2seq import Seq2Seq


class Hypotheses(NamedTuple):
    """Translations of a model that is fed only its own words.

    Attributes:
        words: ids [B, L]; ignore the words after the first `<eos>` of a sentence.
        logits: [B, L, V]; the words are their arg-max.
        weights: attention weights [B, L, S]; None for a model without attention.
    """

    words: Tensor
    logits: Tensor
    weights: Tensor | None


@torch.no_grad()
def greedy(model: Seq2Seq, source: Tensor, source_lengths: Tensor | None, max_length: int) -> Hypotheses:
    """The most probable word at each of `max_length` positions, fed back as the next input.

    source [B, S] and its lengths [B] are as in `Seq2Seq.forward`.
    """
    encoded = encode(model, source, source_lengths)
    first = model.decoder.embed(source.new_full((len(source), 1), SOS)).expand(-1, max_length, -1)
    unrolled = unroll(model, encoded, first)
    return Hypotheses(unrolled.logits.argmax(dim=2), unrolled.logits, unrolled.weights)
