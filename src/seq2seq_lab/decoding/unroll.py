"""The only loop over steps: a decoder that is fed what it says itself."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from seq2seq_lab.data.draws import Draws
from seq2seq_lab.models.decoder import Decoded, Decoder
from seq2seq_lab.models.encoder import Memory


class Unrolled(NamedTuple):
    """What the steps gave.

    Attributes:
        inputs: what the decoder was fed, [B, T, E].
        words: the same as words, [B, T]; None where mixtures of words were fed.
        logits: [B, T, V].
        weights: attention weights [B, T, S]; None without attention.
    """

    inputs: Tensor
    words: Tensor | None
    logits: Tensor
    weights: Tensor | None

    def need_words(self) -> Tensor:
        """The words."""
        assert self.words is not None
        return self.words


def argmax(logits: Tensor, first: int = 0, draws: Draws | None = None) -> Tensor:
    """The most probable words [B, n] by scores [B, n, V]; of equal ones the first."""
    return logits.argmax(dim=2)


def unroll(
    decoder: Decoder,
    memory: Memory,
    known: Tensor,
    own: Tensor | None = None,
    *,
    words: Tensor | None = None,
    choose: Callable[[Tensor, int, Draws | None], Tensor] = argmax,
    mix: Callable[[Tensor], Tensor] | None = None,
    draws: Draws | None = None,
) -> Unrolled:
    """Step through T positions. Gradients flow through each step and through mixtures, not through a choice of words.

    Args:
        decoder: what is stepped.
        memory: of the source.
        known: what is fed where it is known in advance, embedded, [B, T, E]; the first is `<sos>`.
        own: [B, T], True where the decoder is fed what comes of its scores of the position before; None is everywhere
            but at the first position, which is always fed `known`.
        words: the words of `known`, [B, T], for `Unrolled.words`; None where nobody asks for them.
        choose: scores [B, 1, V], number of the position that is fed, draws → the word that is fed [B, 1].
        mix: scores [B, 1, V] → the weight of each word in the mixture that is fed, [B, 1, V]; None feeds words.
        draws: of dropout and of `choose`.
    """
    state, fed = memory.state, known[:, :1]
    word = None if words is None else words[:, :1]
    inputs, chosen, steps = [fed], [word], list[Decoded]()
    for t in range(known.shape[1]):
        if t:
            scores, here = steps[-1].logits, None if own is None else own[:, t : t + 1]
            if mix is not None:
                fed = decoder.embed_mixture(mix(scores))
            else:
                word = choose(scores, t, draws)
                if here is not None and words is not None:
                    word = torch.where(here, word, words[:, t : t + 1])
                fed = decoder.embed(word)
            if here is not None:
                fed = torch.where(here.unsqueeze(2), fed, known[:, t : t + 1])
            inputs.append(fed)
            chosen.append(word)
        step, state = decoder(fed, memory, state, draws=draws, first=t)
        steps.append(step)
    weights = [step.weights for step in steps if step.weights is not None]
    found = [each for each in chosen if each is not None]
    return Unrolled(
        torch.cat(inputs, dim=1),
        torch.cat(found, dim=1) if mix is None and len(found) == len(steps) else None,
        torch.cat([step.logits for step in steps], dim=1),
        torch.cat(weights, dim=1) if weights else None,
    )
