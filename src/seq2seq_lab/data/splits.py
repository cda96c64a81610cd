"""Splits of a corpus into training, validation and test pairs."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from seq2seq_lab.data.corpus import Corpus
from seq2seq_lab.errors import UserError


class Parts(NamedTuple):
    """Indices of the pairs of each part, each in ascending order.

    Attributes:
        train: the pairs that a model is trained on.
        validation: the pairs that select a checkpoint and settings.
        test: the pairs that only the final results are for.
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


class Splitting(Protocol):
    """Anything that deals the pairs of a corpus to three parts, always the same ones."""

    @property
    def holds_out(self) -> bool:
        """Whether the validation part is held out of training."""
        ...

    def split(self, corpus: Corpus) -> Parts:
        """Return the parts."""
        ...


@dataclass(frozen=True, kw_only=True)
class Split(ABC):
    """Deals pairs to three parts at random. The same arguments and pairs always give the same parts.

    Args:
        validation: share of the pairs in the validation part.
        test: share of the pairs in the test part.
        seed: seed of the choice; separate from the run's seed, so that all runs have the same parts.

    Raises:
        UserError: an argument is out of its range.
    """

    validation: float = 0.1
    test: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("validation", "test"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"split.{name}: {getattr(self, name)} is not a share in [0, 1)")
        if not self.validation:
            raise UserError("split.validation: 0 leaves nothing to evaluate on; split=none holds nothing out")
        if not self.validation + self.test < 1:
            raise UserError(
                f"split.validation + split.test: {self.validation} + {self.test} leaves nothing to train on"
            )
        if self.seed < 0:
            raise UserError(f"split.seed: {self.seed} is less than 0")

    @property
    def holds_out(self) -> bool:
        """Whether the validation part is held out of training."""
        return True

    instead: ClassVar[str] = "split=none"  # what deals smaller groups

    @abstractmethod
    def groups(self, corpus: Corpus) -> NDArray[np.int64]:
        """For every pair the number of its group, from 0, [N]. Pairs of one group are in the same part."""

    def split(self, corpus: Corpus) -> Parts:
        """The parts. Groups are dealt in a random order to the first part that has room for the whole group.

        Raises:
            UserError: a part that was asked for would be empty.
        """
        group = self.groups(corpus)
        sizes = np.bincount(group)
        names = ("test", "validation", "train")
        room = [round(share * len(corpus)) for share in (self.test, self.validation)]
        part = np.full(len(sizes), names.index("train"))
        for number in np.random.default_rng(self.seed).permutation(len(sizes)).tolist():
            for each, free in enumerate(room):
                if sizes[number] <= free:
                    part[number], room[each] = each, free - sizes[number]
                    break
        test, validation, train = (np.flatnonzero(part[group] == each) for each in range(3))
        parts = Parts(train, validation, test)
        for name, indices in zip(Parts._fields, parts, strict=True):
            if not len(indices) and (name == "train" or getattr(self, name)):
                raise UserError(
                    f"split: {len(corpus):,} pairs in {len(sizes):,} groups, the largest of {sizes.max():,} pairs, "
                    f"leave nothing for {name}; use other shares, more pairs, or {self.instead}"
                )
        return parts


@dataclass(frozen=True, kw_only=True)
class ByComponent(Split):
    """No sentence, source or target, is in two parts.

    Two pairs are joined if they share a source or a target. A connected component of this graph is in one part.
    """

    instead = "split=source, row or none"

    def groups(self, corpus: Corpus) -> NDArray[np.int64]:
        """The connected components, in order of their first pair."""
        return _components(corpus.source.groups, corpus.target.groups)


@dataclass(frozen=True, kw_only=True)
class BySource(Split):
    """No source is in two parts: a source is held out with all its translations. A target may be in two parts."""

    instead = "split=row or none"

    def groups(self, corpus: Corpus) -> NDArray[np.int64]:
        """The distinct sources."""
        return corpus.source.groups


@dataclass(frozen=True, kw_only=True)
class ByRow(Split):
    """Each pair is dealt alone: sentences that occur in several pairs may be in several parts."""

    def groups(self, corpus: Corpus) -> NDArray[np.int64]:
        """The pairs."""
        return np.arange(len(corpus))


@dataclass(frozen=True, kw_only=True)
class NoSplit:
    """Nothing is held out: all pairs are trained on and evaluated (the seminar's quirk C)."""

    @property
    def holds_out(self) -> bool:
        """Whether the validation part is held out of training."""
        return False

    def split(self, corpus: Corpus) -> Parts:
        """All pairs, all pairs, and none."""
        everything = np.arange(len(corpus))
        return Parts(everything, everything, everything[:0])


def _components(sources: NDArray[np.int64], targets: NDArray[np.int64]) -> NDArray[np.int64]:
    """For every pair the number of its connected component, in order of first appearance, [N]."""
    labels = np.arange(len(sources))
    while True:
        before = labels
        for side in (sources, targets):
            least = np.full(side.max(initial=0) + 1, len(labels))
            np.minimum.at(least, side, labels)
            labels = least[side]
        labels = labels[labels]  # a shorter way to the first pair of a component
        if np.array_equal(labels, before):
            return np.unique(labels, return_inverse=True)[1]


def parts_of(corpus: Corpus, split: Splitting) -> Parts:
    """The parts that the corpus gives; all are made by the split if it gives none.

    If the corpus gives a test part and no validation part, the split makes the validation part of the training pairs,
    and gives it no group with a pair that is there several times: their number is a weight in training. A given part
    does not change.

    Raises:
        UserError: there is no pair that the validation part could have, or a split of the user's own gives no parts.
    """
    if corpus.given is None:
        return _made(corpus, split)
    given = Parts(*(np.flatnonzero(corpus.given == part) for part in range(3)))
    if len(given.validation):
        return given
    if not split.holds_out:  # evaluated on what it is trained on
        return given._replace(validation=given.train)
    group = (
        split.groups(corpus.select(given.train)) if isinstance(split, Split) else np.arange(len(given.train))
    )
    once = given.train[~np.isin(group, group[~_only_once(corpus, given.train)])]
    if not len(once):
        raise UserError(
            f"split: each of the {len(given.train):,} training pairs is in a group with one that is there several "
            "times, and these are all trained on; give a validation part, or use split=row or none"
        )
    validation = once[_made(corpus.select(once), split).validation]
    return given._replace(train=np.setdiff1d(given.train, validation), validation=validation)


def _made(corpus: Corpus, split: Splitting) -> Parts:
    """The parts that a split makes, checked, as it may be one of the user's own."""
    made = split.split(corpus)
    if not isinstance(made, tuple) or len(made) != len(Parts._fields):
        raise UserError(f"split: it must give three parts: {', '.join(Parts._fields)}")
    parts = Parts(*(np.sort(np.asarray(rows), axis=None) for rows in made))
    for name, rows in parts._asdict().items():
        if len(rows) and (rows.dtype.kind not in "iu" or rows[0] < 0 or rows[-1] >= len(corpus)):
            raise UserError(
                f"split: {name} must be rows of the corpus, whole numbers from 0 to {len(corpus) - 1}"
            )
    dealt = np.concatenate(parts if split.holds_out else (parts.train, parts.test))
    if len(np.unique(dealt)) < len(dealt):
        raise UserError("split: a pair is in two parts, or twice in one")
    return Parts(*(rows.astype(np.int64) for rows in parts))


def _only_once(corpus: Corpus, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each of some pairs is there once, [n]."""
    sources, targets = corpus.source.groups[rows], corpus.target.groups[rows]
    _, numbers, counts = np.unique(
        sources * (targets.max() + 1) + targets, return_inverse=True, return_counts=True
    )
    found: NDArray[np.bool_] = counts[numbers] == 1
    return found


def holds_out_validation(corpus: Corpus, split: Splitting) -> bool:
    """Whether the validation part is held out of training; else it is the training part."""
    return split.holds_out or (corpus.given is not None and bool((corpus.given == 1).any()))


def has_unknown(corpus: Corpus, split: Splitting) -> bool:
    """Whether pairs are held out of training, so that they may have symbols that the training part lacks."""
    return split.holds_out or corpus.given is not None


def components_of(corpus: Corpus, indices: NDArray[np.int64], split: Splitting) -> NDArray[np.int64] | None:
    """The connected component of each of some pairs, among these pairs, from 0, [n]; see `ByComponent`.

    Pairs of one component are not independent of each other: the split deals them together.

    Returns:
        None if the split does not deal components.
    """
    if not isinstance(split, ByComponent):
        return None
    return split.groups((corpus.complete or corpus).select(indices))
