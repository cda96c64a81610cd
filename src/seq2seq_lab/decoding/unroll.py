"""The loop over decoder steps, for a decoder that is fed its own predictions."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from seq2seq_lab.data.draws import Draws
from seq2seq_lab.models.best_word import best_word
from seq2seq_lab.models.interface import Decoded, Memory, Model, select


class Unrolled(NamedTuple):
    """The results of all steps.

    Attributes:
        inputs: what the decoder was fed, [B, T, E].
        words: ids of the words that it was fed, [B, T]; None if mixtures of words were fed.
        steps: the scores of each position, [B, 1, V].
    """

    inputs: Tensor
    words: Tensor | None
    steps: list[Tensor]

    @property
    def logits(self) -> Tensor:
        """The scores of all positions, [B, T, V]."""
        return torch.cat(self.steps, dim=1)

    def need_words(self) -> Tensor:
        """Return the words; they must not be None."""
        assert self.words is not None
        return self.words


# Scores [B, n, V], the number of the first position that is fed, draws → the words that are fed there, [B, n].
Choice = Callable[[Tensor, int, Draws | None], Tensor]


def argmax(logits: Tensor, first: int = 0, draws: Draws | None = None) -> Tensor:
    """The words with the largest scores [B, n], from scores [B, n, V]; the first one if several are equal."""
    return best_word(logits)


class Encoded(NamedTuple):
    """Sources, and what the encoder made of them.

    Attributes:
        source: ids [B, S].
        source_lengths: [B]; None where no source is padded.
        memory: of the sources.
    """

    source: Tensor
    source_lengths: Tensor | None
    memory: Memory

    def select(self, rows: Tensor) -> "Encoded":
        """Those of some of the sentences."""
        lengths = None if self.source_lengths is None else self.source_lengths[rows]
        return Encoded(self.source[rows], lengths, select(self.memory, rows))


def encode(
    model: Model, source: Tensor, source_lengths: Tensor | None = None, draws: Draws | None = None
) -> Encoded:
    """Encode the sources."""
    return Encoded(source, source_lengths, model.encode(source, source_lengths, draws))


class Steps:
    """The decoder of a model, one step after another.

    Args:
        model: what is stepped.
        encoded: the sources.
        draws: of dropout.
    """

    def __init__(self, model: Model, encoded: Encoded, draws: Draws | None = None) -> None:
        self.model = model
        self.encoded = encoded
        self.draws = draws
        self.state = model.first_state(encoded.memory)
        self.sentences = torch.arange(len(encoded.source), device=encoded.source.device)  # of the rows
        self.inputs: list[Tensor] = []

    def step(self, fed: Tensor) -> Decoded:
        """Feed the next input [B, 1, E]; returns the scores [B, 1, V] of the position."""
        self.inputs.append(fed)
        if self.model.overrides_forward:
            return _last_position(self.model, self.encoded, torch.cat(self.inputs, dim=1), self.draws)
        decoded, self.state = self.model.decode(
            fed, self.encoded.memory, self.state, draws=self.draws, first=len(self.inputs) - 1
        )
        return decoded

    def select(self, rows: Tensor) -> None:
        """Go on with some of the rows, each as often as `rows` names it."""
        sentences = self.sentences[rows]
        if not torch.equal(sentences, self.sentences):  # a beam mostly takes another row of the same sentence
            self.encoded, self.sentences = self.encoded.select(rows), sentences
        self.state = select(self.state, rows)
        self.inputs = [each[rows] for each in self.inputs] if self.model.overrides_forward else self.inputs


def unroll(
    model: Model,
    encoded: Encoded,
    known: Tensor,
    own: Tensor,
    *,
    words: Tensor | None = None,
    choose: Choice = argmax,
    mix: Callable[[Tensor], Tensor] | None = None,
    draws: Draws | None = None,
) -> Unrolled:
    """Run the decoder step by step over T positions.

    Gradients flow through the states and through mixtures, but not through the choice of a word.

    Args:
        model: what is stepped.
        encoded: the sources.
        known: what is fed where it is known in advance, embedded, [B, T, E]; the first is `<sos>`.
        own: [B, T], True where the decoder is fed what comes of its scores of the position before; not read at the
            first one, which is always fed `known`.
        words: the words of `known`, [B, T], for `Unrolled.words`; None where nobody asks for them.
        choose: scores [B, 1, V], number of the position that is fed, draws → the word that is fed [B, 1].
        mix: scores [B, 1, V] → the weight of each word in the mixture that is fed, [B, 1, V]; None feeds words.
        draws: of dropout and of `choose`.
    """
    fed = known[:, :1]
    decoding = Steps(model, encoded, draws)
    word = None if words is None else words[:, :1]
    inputs, chosen, steps = [fed], [word], list[Tensor]()
    for t in range(known.shape[1]):
        if t:
            here = own[:, t : t + 1]
            if mix is not None:
                fed = model.embed_mixture(mix(steps[-1]))
            else:
                word = choose(steps[-1], t, draws)
                if words is not None:
                    word = torch.where(here, word, words[:, t : t + 1])
                fed = model.embed(word)
            fed = torch.where(here.unsqueeze(2), fed, known[:, t : t + 1])
            inputs.append(fed)
            chosen.append(word)
        steps.append(decoding.step(fed).logits)
    found = [each for each in chosen if each is not None]
    return Unrolled(
        torch.cat(inputs, dim=1),
        torch.cat(found, dim=1) if mix is None and len(found) == len(steps) else None,
        steps,
    )


def _last_position(model: Model, encoded: Encoded, inputs: Tensor, draws: Draws | None) -> Decoded:
    """The last position of what a model with a `forward` of its own gives for the inputs so far, [B, t, E]."""
    source, source_lengths, memory = encoded
    target = source.new_zeros(inputs.shape[:2])  # of which only the shape matters where the inputs are given
    decoded = model(source, target, source_lengths=source_lengths, inputs=inputs, memory=memory, draws=draws)
    weights = None if decoded.weights is None else decoded.weights[:, -1:]
    return Decoded(decoded.logits[:, -1:], weights)
