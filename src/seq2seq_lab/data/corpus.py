"""Pairs of sentences as ids: what a model is trained on."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seq2seq_lab.data.task import TRANSLATION, Distribution, Task
from seq2seq_lab.data.text import Normalisation
from seq2seq_lab.data.units import Units, Words
from seq2seq_lab.data.vocabulary import EOS, SOS, SPECIAL_WORDS, UNKNOWN, Ragged, Vocabulary


class Dropped(NamedTuple):
    """The pairs that a filter dropped: their number, and the place and text of the first one."""

    pairs: int
    example: str


class Removed(NamedTuple):
    """What the normalisation removed from the raw sentences of one side.

    Attributes:
        of: number of characters of these sentences, without white space.
        characters: how often each character was removed, the most frequent one first.
        sentences: number of sentences that lost a letter.
        example: the place of the first such sentence, its text before and after.
    """

    of: int
    characters: dict[str, int]
    sentences: int
    example: str

    @property
    def share(self) -> float:
        """The share of characters that were removed."""
        return sum(self.characters.values()) / self.of if self.of else 0.0


@dataclass(frozen=True, eq=False)
class Corpus:
    """N pairs of sentences, as ids.

    Attributes:
        source: words and ``<eos>`` of every source sentence.
        target: words and ``<eos>`` of every target sentence; see `to_predict` for ``<sos>``.
        source_vocabulary: the source's words.
        target_vocabulary: the target's words.
        archive_pairs: number of pairs before any filter.
        normalise: how the sentences were normalised; new sentences must be normalised in the same way.
        origin: one line of text that says where the pairs come from.
        units: what the vocabularies of `numbered` contain.
        source_units: what that of the source contains; ``None``: the same.
        task: what the pairs are.
        given: the part of each pair, 0 train, 1 validation, 2 test, if the source gives parts, [N].
        dropped: why pairs of the source are not among these.
        raw: the first pairs as they are in the source, before normalisation, to show.
        distribution: what the pairs are drawn from, where it is known.
        removed: what the normalisation removed of each side, ``source`` and ``target``.
        cautions: what may be wrong with the sentences, each in one line that says what would be right.
        complete: the same pairs with every word numbered, which text is taken from; ``None``: this corpus.
    """

    source: Ragged
    target: Ragged
    source_vocabulary: Vocabulary
    target_vocabulary: Vocabulary
    archive_pairs: int
    normalise: Normalisation
    origin: str
    units: Units = field(default_factory=Words)
    source_units: Units | None = None
    task: Task = TRANSLATION
    given: NDArray[np.int8] | None = None
    dropped: Mapping[str, Dropped] = field(default_factory=dict)
    raw: Sequence[tuple[str, str]] = ()
    distribution: Distribution | None = None
    removed: Mapping[str, Removed] = field(default_factory=dict)
    cautions: Sequence[str] = ()
    complete: "Corpus | None" = None

    @classmethod
    def build(
        cls,
        sources: Sequence[str],
        targets: Sequence[str],
        *,
        archive_pairs: int,
        normalise: Normalisation,
        origin: str,
        units: Units | None = None,
        given: NDArray[np.int8] | None = None,
        dropped: Mapping[str, Dropped] | None = None,
        raw: Sequence[tuple[str, str]] = (),
        removed: Mapping[str, Removed] | None = None,
        cautions: Sequence[str] = (),
    ) -> "Corpus":
        """Number the words of normalised sentences; ``targets[i]`` is a translation of ``sources[i]``.

        Raises:
            UserError: a sentence contains ``<sos>`` or ``<eos>`` as a word.
        """
        source_vocabulary, target_vocabulary = Vocabulary.build(sources), Vocabulary.build(targets)
        return cls(
            source=source_vocabulary.number(sources),
            target=target_vocabulary.number(targets),
            source_vocabulary=source_vocabulary,
            target_vocabulary=target_vocabulary,
            archive_pairs=archive_pairs,
            normalise=normalise,
            origin=origin,
            units=units or Words(),
            given=given,
            dropped=dropped or {},
            raw=raw,
            removed=removed or {},
            cautions=cautions,
        )

    def numbered(self, rows: NDArray[np.int64], *, unknown: bool) -> "Corpus":
        """The same pairs with the vocabularies of some of them, in the units of this corpus.

        Args:
            rows: indices of the training pairs. They alone decide the vocabularies.
            unknown: whether the vocabularies have ``<unk>``, for symbols of the other pairs. If false, all pairs must
                be training pairs.
        """
        return self.encoded(
            _fitted(self.source, self.source_vocabulary, rows, self.source_units or self.units, unknown),
            _fitted(self.target, self.target_vocabulary, rows, self.units, unknown),
        )

    def select(self, rows: NDArray[np.int64]) -> "Corpus":
        """Some of the pairs."""
        return replace(
            self,
            source=self.source.select(rows),
            target=self.target.select(rows),
            given=None if self.given is None else self.given[rows],
            complete=None if self.complete is None else self.complete.select(rows),
        )

    def encoded(self, source_vocabulary: Vocabulary, target_vocabulary: Vocabulary) -> "Corpus":
        """The same pairs with other vocabularies, such as those of a trained model.

        Raises:
            ValueError: a symbol is unknown to a vocabulary without ``<unk>``.
        """
        return replace(
            self,
            source=_encoded(self.source, self.source_vocabulary, source_vocabulary),
            target=_encoded(self.target, self.target_vocabulary, target_vocabulary),
            source_vocabulary=source_vocabulary,
            target_vocabulary=target_vocabulary,
            complete=self,
        )

    def __len__(self) -> int:
        return len(self.source)

    def to_predict(self, *, predict_sos: bool) -> Ragged:
        """The ids that a model has to predict for each pair, one per target position.

        This is the only place that adds ``<sos>`` to a target. Batches, lengths and the loss floor all use it.

        Args:
            predict_sos: the seminar's quirk B: ``<sos>`` is the first id to predict. If false, ``<sos>`` is only
                the first id that the decoder is fed.
        """
        return self._target_after_sos if predict_sos else self.target

    @cached_property
    def _target_after_sos(self) -> Ragged:
        return self.target.with_first(SOS)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the ids and the words: the identity of the data, in hexadecimal."""
        state = hashlib.sha256()
        # The targets of the hash include <sos>. This must not change, as earlier runs contain the hash.
        for rows in (self.source, self._target_after_sos):
            for array in (rows.values, rows.offsets):
                # One byte order, so that the identity does not depend on the machine.
                state.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
        state.update(json.dumps([self.source_vocabulary.words, self.target_vocabulary.words]).encode())
        return state.hexdigest()

    @cached_property
    def given_parts(self) -> str | None:
        """SHA-256 of the part that is given for each pair, in hexadecimal; None if none is given."""
        return (
            None if self.given is None else hashlib.sha256(self.given.astype(np.int8).tobytes()).hexdigest()
        )

    def source_text(self, index: int) -> str:
        """The normalised source sentence of a pair."""
        corpus = self.complete or self
        return (self.source_units or self.units).text(corpus.source_vocabulary.decode(corpus.source[index]))

    def target_text(self, index: int) -> str:
        """The normalised target sentence of a pair."""
        corpus = self.complete or self
        return self.units.text(corpus.target_vocabulary.decode(corpus.target[index]))

    def source_groups(self) -> NDArray[np.int64]:
        """For every pair the index of its distinct source, in order of first appearance, ``[N]``.

        Pairs of one group are alternative translations of one source.
        """
        return (self.complete or self).source.groups

    def references(self, indices: NDArray[np.int64]) -> list[list[str]]:
        """For each pair, all distinct translations of its source; its own target is the first one.

        They are those in the corpus, and all others that are known.
        """
        group = self.source_groups()
        wanted = np.flatnonzero(np.isin(group, group[indices]))
        translations: dict[int, list[str]] = {}
        for index, own in zip(wanted.tolist(), group[wanted].tolist(), strict=True):
            translations.setdefault(own, []).append(self.target_text(index))
        if self.distribution is not None:
            for index, own in zip(indices.tolist(), group[indices].tolist(), strict=True):
                translations[own] += self.distribution.translations(self.source_text(index))
        return [
            list(dict.fromkeys([self.target_text(index), *translations[own]]))
            for index, own in zip(indices.tolist(), group[indices].tolist(), strict=True)
        ]

    def loss_floor(self, rows: NDArray[np.int64] | None = None, *, predict_sos: bool) -> float:
        """The lowest training loss that a model can reach, in nats per target position.

        It is the loss of a model that knows every training pair and gives each translation of a source the
        translation's share of that source's pairs. Only sources with several translations add to it. It is the mean
        over pairs of ``-log(count(source, target) / count(source)) / positions(target)``.

        Args:
            rows: indices of the training pairs; ``None`` = all pairs.
            predict_sos: as in `to_predict`.
        """
        chosen = slice(None) if rows is None else rows
        sources, targets = self.source.groups[chosen], self.target.groups[chosen]
        _, pairs = np.unique(sources * (targets.max() + 1) + targets, return_inverse=True)
        shares = np.bincount(pairs)[pairs] / np.bincount(sources)[sources]
        positions = self.to_predict(predict_sos=predict_sos).lengths[chosen]
        # If all shares are 1, the mean is -0.0, which would be printed with a minus sign.
        return abs(float(np.mean(-np.log(shares) / positions)))

    def statistics(
        self, rows: NDArray[np.int64] | None = None, *, predict_sos: bool
    ) -> dict[str, int | float]:
        """Counts that describe the corpus. Vocabulary sizes and lengths include the special words.

        Args:
            rows: indices of the training pairs, which the loss floor is computed from; ``None`` = all pairs.
            predict_sos: as in `to_predict`.
        """
        complete = self.complete or self  # where unknown symbols differ
        return {
            "archive_pairs": self.archive_pairs,
            "pairs": len(self),
            "training_pairs": len(self) if rows is None else len(rows),
            "source_vocabulary": len(self.source_vocabulary),
            "target_vocabulary": len(self.target_vocabulary),
            "distinct_sources": int(complete.source.groups.max()) + 1,
            "distinct_targets": int(complete.target.groups.max()) + 1,
            "max_source_length": int(self.source.lengths.max()),
            "max_target_length": int(self.to_predict(predict_sos=predict_sos).lengths.max()),
            "loss_floor": self.loss_floor(rows, predict_sos=predict_sos),
        }


def _fitted(
    rows: Ragged, vocabulary: Vocabulary, training: NDArray[np.int64], units: Units, unknown: bool
) -> Vocabulary:
    """The vocabulary of the training rows of one side, in their order of first appearance."""
    special = len(SPECIAL_WORDS)
    distinct, first = np.unique(rows.select(training).values, return_index=True)
    seen = distinct[np.argsort(first)].tolist()
    units = units.fit(" ".join(vocabulary.decode(rows[index])) for index in training.tolist())
    words = (vocabulary.words[number] for number in seen if number >= special)
    symbols = dict.fromkeys(symbol for word in words for symbol in units.divide(word))
    first_ids = [*SPECIAL_WORDS, *([UNKNOWN] if unknown else [])]
    return Vocabulary(list(dict.fromkeys([*first_ids, *symbols])), units)


def _encoded(rows: Ragged, words: Vocabulary, symbols: Vocabulary) -> Ragged:
    """Rows of words as rows of symbols."""
    special = len(SPECIAL_WORDS)
    table = symbols.ids_of_words(words.words[special:])
    ends = np.array([SOS, EOS], dtype=np.int32)  # each of them is itself
    offsets = np.concatenate((np.arange(special), table.offsets + special))
    return rows.expanded(Ragged(np.concatenate((ends, table.values)), offsets))
