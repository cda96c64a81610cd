"""Words and their numbers, and sentences as rows of numbers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from seq2seq_lab.data.text import words as split
from seq2seq_lab.errors import UserError

SOS = 0
EOS = 1
SPECIAL_WORDS = ("<sos>", "<eos>")


@dataclass(frozen=True, eq=False)
class Ragged:
    """N rows of different lengths, end to end.

    Attributes:
        values: all rows' numbers, ``int32 [total]``.
        offsets: row i is ``values[offsets[i]:offsets[i + 1]]``, ``int64 [N + 1]``.
    """

    values: NDArray[np.int32]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> NDArray[np.int32]:
        row = range(len(self))[index]
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Numbers in every row, ``[N]``."""
        return np.diff(self.offsets)

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """For every row the index of its distinct content, in order of first appearance, ``[N]``."""
        content, bounds = self.values.tobytes(), (self.offsets * self.values.itemsize).tolist()
        seen: dict[bytes, int] = {}
        rows = (content[start:end] for start, end in pairwise(bounds))
        return np.array([seen.setdefault(row, len(seen)) for row in rows], dtype=np.int64)


class Vocabulary:
    """The words of one side, numbered in order of first appearance after ``<sos>`` = 0 and ``<eos>`` = 1.

    There is no padding word and no unknown word: padding is a matter of lengths, and a word that was not
    seen has no number.

    Attributes:
        words: the word of every index, the two special ones included.
    """

    words: list[str]

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)
        self._index = {word: index for index, word in enumerate(self.words)}
        if tuple(self.words[:2]) != SPECIAL_WORDS:
            raise ValueError(f"a vocabulary begins with {SPECIAL_WORDS}, not with {tuple(self.words[:2])}")
        if len(self._index) != len(self.words):
            raise ValueError("a vocabulary holds each word once")

    @classmethod
    def build(cls, sentences: Sequence[str]) -> "Vocabulary":
        """Number the words of normalised sentences.

        Raises:
            UserError: a sentence holds ``<sos>`` or ``<eos>`` as a word of its own.
        """
        seen = dict.fromkeys(split(" ".join(sentences)) if sentences else [])
        for word in SPECIAL_WORDS:
            if word in seen:
                raise UserError(f"{word} is a word of the text, but is needed to mark where sentences end")
        return cls([*SPECIAL_WORDS, *seen])

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._index

    def __repr__(self) -> str:
        return f"Vocabulary({len(self):,} words)"

    def encode(self, words: Sequence[str]) -> list[int]:
        """The number of every word.

        Raises:
            ValueError: a word is not in the vocabulary; the message names each that is not.
        """
        try:
            return list(map(self._index.__getitem__, words))
        except KeyError:
            unknown = ", ".join(map(repr, self.unknown(words)))
            raise ValueError(f"not in the vocabulary: {unknown}") from None

    def number(self, sentences: Sequence[str], *, begin: bool = False) -> Ragged:
        """Normalised sentences as rows of numbers, ended by ``<eos>`` and, if ``begin``, begun by ``<sos>``.

        Raises:
            ValueError: a word is not in the vocabulary.
        """
        lengths = [sentence.count(" ") + 2 + begin for sentence in sentences]
        offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        values = np.full(offsets[-1], EOS, dtype=np.int32)
        is_word = np.ones(len(values), dtype=bool)
        is_word[offsets[1:] - 1] = False
        if begin:
            values[offsets[:-1]] = SOS
            is_word[offsets[:-1]] = False
        values[is_word] = self.encode(split(" ".join(sentences)) if sentences else [])
        return Ragged(values, offsets)

    def unknown(self, words: Iterable[str]) -> list[str]:
        """The words that have no number, each once, in order of first appearance."""
        return [word for word in dict.fromkeys(words) if word not in self._index]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """The words of ``ids`` up to the first ``<eos>``, every ``<sos>`` left out."""
        words = []
        for index in map(int, ids):
            if index == EOS:
                break
            if index != SOS:
                words.append(self.words[index])
        return words

    def to_list(self) -> list[str]:
        """What `from_list` takes: plain strings, for checkpoints and JSON."""
        return list(self.words)

    @classmethod
    def from_list(cls, words: Sequence[str]) -> "Vocabulary":
        """Restore a vocabulary.

        Raises:
            ValueError: the list does not begin with the special words, or repeats one.
        """
        return cls(words)
