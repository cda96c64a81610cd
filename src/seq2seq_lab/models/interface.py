"""What a model has to offer: all that training, decoding, forcing, evaluation and the commands ask of one.

`B` is the batch, `S` the source positions, `T` the target positions, `E` the size of an input of the decoder, `V` the
target vocabulary.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from seq2seq_lab.data.draws import Draws
from seq2seq_lab.data.vocabulary import SOS
from seq2seq_lab.errors import UserError

# What a model keeps of B sentences: tensors whose first dimension is B, or None, or (named) tuples of these.
Memory = Any  # of the sources, which no step changes
State = Any  # of the positions before, which each step replaces

_Kept = TypeVar("_Kept")
_Capability = TypeVar("_Capability")


class Decoded(NamedTuple):
    """Scores of the next word at each position, and attention weights.

    Attributes:
        logits: [B, T, V].
        weights: attention weights [B, T, S]; None for a model without attention.
    """

    logits: Tensor
    weights: Tensor | None


def gold_inputs(target: Tensor) -> Tensor:
    """The decoder's input with teacher forcing: `<sos>`, then each gold word except the last one; [B, T] → [B, T]."""
    return nn.functional.pad(target, (1, -1), value=SOS)


def select(kept: _Kept, rows: Tensor) -> _Kept:
    """A memory or a state of some of the sentences, each as often as `rows` names it."""
    return _selected(kept, rows)  # type: ignore[no-any-return]


def _selected(kept: Any, rows: Tensor) -> Any:
    if kept is None or isinstance(kept, Tensor):
        return None if kept is None else kept[rows]
    parts = [_selected(each, rows) for each in kept]
    return type(kept)(*parts) if hasattr(kept, "_fields") else tuple(parts)


class Model(nn.Module, ABC):
    """A model that translates: it encodes a source, and scores the next word of a target after the words before.

    A subclass defines the six abstract members, and may override the properties below. What it must keep:

    - `decode` gives the same for a sequence at once as for one position after the other.
    - No result of a sentence depends on the others of its batch, or on padding.
    - Random numbers of training come from the draws (`models.dropout.Dropout`), so that they belong to a pair.

    A subclass may override `forward`, where its scores need more than `decode` gives. It is then called for every step
    too (`decoding.unroll`), with all positions up to that step: correct, but slower.

    What only some models can do is a capability below; who needs one asks for it by `need`.
    """

    @property
    @abstractmethod
    def target_vocabulary_size(self) -> int:
        """V."""

    @property
    def source_positions(self) -> int | None:
        """The most positions of a source, `<eos>` included; None: any number."""
        return None

    @property
    def target_positions(self) -> int | None:
        """The most positions of a target, `<eos>` included; None: any number."""
        return None

    @property
    def has_attention(self) -> bool:
        """Whether `Decoded.weights` are given."""
        return False

    @abstractmethod
    def encode(
        self, source: Tensor, source_lengths: Tensor | None = None, draws: Draws | None = None
    ) -> Memory:
        """Read the sources: ids [B, S] → all that decoding needs of them.

        Args:
            source: ids [B, S]; padding at the end may hold any id.
            source_lengths: [B]; None if no source is padded.
            draws: random numbers of dropout; None: PyTorch's generator.

        Raises:
            ValueError: a source has more than `source_positions`.
        """

    @abstractmethod
    def embed(self, words: Tensor) -> Tensor:
        """Ids of target words [B, T] → inputs of the decoder [B, T, E]."""

    @abstractmethod
    def embed_mixture(self, weights: Tensor) -> Tensor:
        """Weights of words [B, T, V] → inputs [B, T, E]: as `embed`, for the weighted mean of the words."""

    @abstractmethod
    def first_state(self, memory: Memory) -> State:
        """The state before the first position."""

    @abstractmethod
    def decode(
        self, inputs: Tensor, memory: Memory, state: State, *, draws: Draws | None = None, first: int = 0
    ) -> tuple[Decoded, State]:
        """Feed T positions that follow a state.

        Args:
            inputs: what is fed, [B, T, E].
            memory: of the sources.
            state: before the first of these positions.
            draws: random numbers of dropout; None: PyTorch's generator.
            first: index of the first of these positions, counted from 0 at `<sos>`.

        Returns:
            The scores of the word that follows each position, and the state after the last one.
        """

    def forward(
        self,
        source: Tensor,
        target: Tensor,
        *,
        source_lengths: Tensor | None = None,
        inputs: Tensor | None = None,
        memory: Memory | None = None,
        draws: Draws | None = None,
    ) -> Decoded:
        """Compute the scores of every target position.

        Args:
            source: ids [B, S].
            target: the gold ids [B, T] to predict; padding at the end may hold any id.
            source_lengths: [B]; None if no source is padded.
            inputs: what the decoder is fed, embedded (`embed`), [B, T, E]; None: the gold words.
            memory: memory of the source, if it has already been encoded.
            draws: random numbers of dropout; None: PyTorch's generator.
        """
        if memory is None:
            memory = self.encode(source, source_lengths, draws)
        if inputs is None:
            inputs = self.embed(gold_inputs(target))
        decoded, _ = self.decode(inputs, memory, self.first_state(memory), draws=draws)
        return decoded

    @property
    def overrides_forward(self) -> bool:
        """Whether a subclass computes the scores in a way of its own."""
        return type(self).forward is not Model.forward

    def check_lengths(self, *, source: int = 0, target: int = 0) -> None:
        """Check numbers of positions, `<eos>` included.

        Raises:
            ValueError: the model takes fewer.
        """
        for side, given, most in (
            ("source", source, self.source_positions),
            ("target", target, self.target_positions),
        ):
            if most is not None and given > most:
                raise ValueError(f"it takes {side}s of at most {most} positions, but one has {given}")


def check_model(model: object, source: NDArray[np.int64], target: NDArray[np.int64]) -> None:
    """Check that an object is a model, and takes sentences of these numbers of positions.

    Raises:
        TypeError: it is no model.
        ValueError: a sentence is too long for it.
    """
    if not isinstance(model, Model):
        raise TypeError(f"{name_of(type(model))} is not a model: it is no subclass of {name_of(Model)}")
    model.check_lengths(source=int(source.max(initial=0)), target=int(target.max(initial=0)))


@runtime_checkable
class HasHeads(Protocol):
    """Attention with several heads: each can be drawn."""

    def head_weights(self, source: Tensor, target: Tensor) -> Tensor:
        """The attention weights of each head while a target is fed: ids [B, S] and [B, T] → [B, heads, T, S]."""
        ...


@runtime_checkable
class Described(Protocol):
    """A model that another implementation, the translator page's script, can compute from its weights."""

    def description(self) -> Mapping[str, Any]:
        """The settings that it needs beside the weights; `architecture` says which model it is.

        Raises:
            ValueError: some part is of a class that is not known; the message is its name.
        """
        ...


def need(model: Model, capability: type[_Capability], cannot: str) -> _Capability:
    """A model with a capability.

    Args:
        model: that may lack it.
        capability: one of the classes above.
        cannot: what is not possible without, such as "RUN: the page does not compute".

    Raises:
        UserError: it lacks it: "RUN: the page does not compute models of my_model.Copy".
    """
    if not isinstance(model, capability):
        raise UserError(f"{cannot} models of {name_of(type(model))}")
    return model


def name_of(kind: type) -> str:
    """The name of a class with its module, such as `my_model.Copy`."""
    return f"{kind.__module__}.{kind.__qualname__}"
