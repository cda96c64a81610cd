"""The only loop over steps: a decoder that is fed what it says itself."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from seq2seq_lab.data.draws import Draws
from seq2seq_lab.models.decoder import Decoded, Decoder
from seq2seq_lab.models.encoder import Memory

# Logits [B, V] of a position, number of the position that is fed next, draws → the words to feed [B].
Choose = Callable[[Tensor, int, Draws | None], Tensor]


class Unrolled(NamedTuple):
    """What the steps gave.

    Attributes:
        fed: the words that the decoder was fed, [B, T].
        logits: [B, T, V].
        weights: attention weights [B, T, S]; None without attention.
    """

    fed: Tensor
    logits: Tensor
    weights: Tensor | None


def argmax(logits: Tensor, position: int, draws: Draws | None) -> Tensor:
    """The most probable word of each row; of equal ones the first."""
    return logits.argmax(dim=1)


def unroll(
    decoder: Decoder,
    memory: Memory,
    words: Tensor,
    own: Tensor | None = None,
    *,
    choose: Choose = argmax,
    draws: Draws | None = None,
) -> Unrolled:
    """Step through T positions; gradients flow through each step, but not through a choice of words.

    Args:
        decoder: what is stepped.
        memory: of the source.
        words: what is fed where it is known in advance, [B, T]; the first is `<sos>`.
        own: [B, T], True where the decoder is fed what `choose` makes of its logits of the position before; None is
            everywhere but at the first position, which is always fed `words`.
        choose: how a word is chosen.
        draws: of dropout and of `choose`.
    """
    fed, state = words[:, 0], memory.state
    steps: list[Decoded] = []
    chosen = [fed]
    for t in range(words.shape[1]):
        if t:
            fed = choose(steps[-1].logits[:, 0], t, draws)
            if own is not None:
                fed = torch.where(own[:, t], fed, words[:, t])
            chosen.append(fed)
        step, state = decoder(decoder.embed(fed.unsqueeze(1)), memory, state, draws=draws, first=t)
        steps.append(step)
    weights = [step.weights for step in steps if step.weights is not None]
    return Unrolled(
        torch.stack(chosen, dim=1),
        torch.cat([step.logits for step in steps], dim=1),
        torch.cat(weights, dim=1) if weights else None,
    )
