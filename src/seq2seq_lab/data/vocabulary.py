"""Vocabularies, which map words to ids, and sentences as rows of ids."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seq2seq_lab.data.text import words as split
from seq2seq_lab.data.units import Units, Words
from seq2seq_lab.errors import UserError

SOS = 0
EOS = 1
SPECIAL_WORDS = ("<sos>", "<eos>")
UNKNOWN = "<unk>"  # of a vocabulary that is made of the training part alone; its id is `Vocabulary.unk`


@dataclass(frozen=True, eq=False)
class Ragged:
    """N rows of different lengths, one after the other in one array.

    Attributes:
        values: the ids of all rows, ``int32 [total]``.
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
        """Number of ids in each row, ``[N]``."""
        return np.diff(self.offsets)

    def select(self, rows: NDArray[np.integer[Any]]) -> "Ragged":
        """Some of the rows, in the given order."""
        lengths = self.lengths[rows]
        ends = np.cumsum(lengths)
        inside = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - lengths, lengths)
        values = self.values[np.repeat(self.offsets[rows], lengths) + inside]
        return Ragged(values, np.concatenate(([0], ends)))

    def with_first(self, value: int) -> "Ragged":
        """The same rows, each with ``value`` before its first id."""
        values = np.insert(self.values, self.offsets[:-1], value)
        return Ragged(values, self.offsets + np.arange(len(self.offsets)))

    def expanded(self, table: "Ragged") -> "Ragged":
        """The same rows, with each value v replaced by row v of ``table``."""
        each = table.select(self.values)
        return Ragged(each.values, each.offsets[self.offsets])

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """For each row the index of its distinct content, in order of first appearance, ``[N]``."""
        content, bounds = self.values.tobytes(), (self.offsets * self.values.itemsize).tolist()
        seen: dict[bytes, int] = {}
        rows = (content[start:end] for start, end in pairwise(bounds))
        return np.array([seen.setdefault(row, len(seen)) for row in rows], dtype=np.int64)


class Vocabulary:
    """The symbols of one language: its words, or smaller units.

    Ids follow first appearance, after ``<sos>`` = 0, ``<eos>`` = 1 and, where pairs are held out, ``<unk>`` = 2, which
    stands for every symbol that the training part lacks. There is no symbol for padding, as padding is expressed by
    lengths.

    Args:
        words: the symbol of each id, with the special ones.
        units: how words are divided into symbols.
    """

    words: list[str]

    def __init__(self, words: Sequence[str], units: Units | None = None) -> None:
        self.words = list(words)
        self.units = units or Words()
        self._index = {word: index for index, word in enumerate(self.words)}
        if tuple(self.words[:2]) != SPECIAL_WORDS:
            raise ValueError(
                f"a vocabulary must begin with {SPECIAL_WORDS}, not with {tuple(self.words[:2])}"
            )
        if len(self._index) != len(self.words):
            raise ValueError("a vocabulary must contain each word only once")

    @classmethod
    def build(cls, sentences: Sequence[str]) -> "Vocabulary":
        """The vocabulary of normalised sentences.

        Raises:
            UserError: a sentence contains ``<sos>`` or ``<eos>`` as a word.
        """
        seen = dict.fromkeys(split(" ".join(sentences)) if sentences else [])
        for word in SPECIAL_WORDS:
            if word in seen:
                raise UserError(
                    f"{word} is a word of the text, but it is reserved to mark the ends of sentences"
                )
        return cls([*SPECIAL_WORDS, *seen])

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._index

    def __repr__(self) -> str:
        return f"Vocabulary({len(self):,} words)"

    @property
    def unk(self) -> int | None:
        """The id of ``<unk>``; ``None`` if unknown symbols have no id."""
        return self._index.get(UNKNOWN)

    def encode(self, words: Sequence[str]) -> list[int]:
        """The id of each symbol.

        Raises:
            ValueError: a word is not in the vocabulary; the message names all such words.
        """
        try:
            return list(map(self._index.__getitem__, words))
        except KeyError:
            unknown = ", ".join(map(repr, self.unknown(words)))
            raise ValueError(f"not in the vocabulary: {unknown}") from None

    def number(self, sentences: Sequence[str]) -> Ragged:
        """The ids of normalised sentences, each sentence followed by ``<eos>``.

        Raises:
            ValueError: a word is not in the vocabulary.
        """
        lengths = [sentence.count(" ") + 2 for sentence in sentences]
        offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        values = np.full(offsets[-1], EOS, dtype=np.int32)
        is_word = np.ones(len(values), dtype=bool)
        is_word[offsets[1:] - 1] = False
        values[is_word] = self.encode(split(" ".join(sentences)) if sentences else [])
        return Ragged(values, offsets)

    def unknown(self, words: Iterable[str]) -> list[str]:
        """The words that have no id, each once, in order of first appearance."""
        return [word for word in dict.fromkeys(words) if word not in self._index]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """The words of ``ids`` up to the first ``<eos>``, without any ``<sos>``."""
        words = []
        for index in map(int, ids):
            if index == EOS:
                break
            if index != SOS:
                words.append(self.words[index])
        return words

    def text(self, ids: Iterable[int]) -> str:
        """The sentence of ``ids`` up to the first ``<eos>``."""
        return self.units.join(self.decode(ids))

    def ids_of_words(self, words: Sequence[str]) -> Ragged:
        """The ids of each word's symbols: one row per word; unknown symbols are ``<unk>``.

        Raises:
            ValueError: a symbol is unknown and there is no ``<unk>``.
        """
        divided = [self.units.divide(word) for word in words]
        missing = -1 if self.unk is None else self.unk
        ids = [self._index.get(symbol, missing) for symbols in divided for symbol in symbols]
        if missing < 0 and missing in ids:
            named = ", ".join(map(repr, self.unknown(symbol for symbols in divided for symbol in symbols)))
            raise ValueError(f"not in the vocabulary: {named}")
        offsets = np.concatenate(([0], np.cumsum([len(symbols) for symbols in divided], dtype=np.int64)))
        return Ragged(np.array(ids, dtype=np.int32), offsets)

    def to_list(self) -> list[str]:
        """The words as plain strings, for JSON; `from_list` is the inverse."""
        return list(self.words)

    @classmethod
    def from_list(cls, words: Sequence[str], units: Units | None = None) -> "Vocabulary":
        """A vocabulary from the words that `to_list` returned.

        Raises:
            ValueError: the list does not begin with the special words, or contains a word twice.
        """
        return cls(words, units)
