"""From scores to sentences."""

from typing import NamedTuple

import torch
from torch import Tensor

from seq2seq_lab.data.vocabulary import SOS
from seq2seq_lab.models.seq2seq import Seq2Seq


class Hypotheses(NamedTuple):
    """What a decoder says when it is fed its own words only.

    Attributes:
        words: ids [B, L]; what stands after a sentence's first `<eos>` is to be ignored.
        logits: [B, L, V], the scores that the words are the arg-max of.
        weights: attention weights [B, L, S]; None without attention.
    """

    words: Tensor
    logits: Tensor
    weights: Tensor | None


@torch.no_grad()
def greedy(model: Seq2Seq, source: Tensor, source_lengths: Tensor | None, max_length: int) -> Hypotheses:
    """The most probable word at each of `max_length` positions, fed back as the next input.

    source [B, S] and its lengths [B] are as in `Seq2Seq.forward`.
    """
    memory = model.encoder(source, source_lengths)
    words, state = [source.new_full((len(source),), SOS)], memory.state
    logits, weights = [], []
    for _ in range(max_length):
        decoded, state = model.decoder.step(words[-1], memory, state)
        words.append(decoded.logits[:, 0].argmax(dim=1))
        logits.append(decoded.logits)
        if decoded.weights is not None:
            weights.append(decoded.weights)
    return Hypotheses(
        torch.stack(words[1:], dim=1),
        torch.cat(logits, dim=1),
        torch.cat(weights, dim=1) if weights else None,
    )
