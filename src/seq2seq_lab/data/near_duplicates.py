"""Near-duplicates: pairs that differ from a training pair in at most one word on each side."""

import hashlib
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from seq2seq_lab.data.corpus import Corpus
from seq2seq_lab.data.vocabulary import EOS, Ragged, Vocabulary

_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd
_HOLE = np.uint64(0xD1B54A32D192ED03)
_MOST = 2_000_000  # keys that are in memory at a time, but for those of one pair


def near_duplicates(pairs: Corpus, training: Corpus) -> NDArray[np.bool_]:
    """Whether a pair has a training pair within one word on both sides: [N].

    The distance is the edit distance of words: one word is inserted, left out or replaced, or none. It is of the
    normalised words, whatever the units of the corpora, of which punctuation marks are some.

    Each sentence gets keys, such that two sentences have a common key if and only if they are within one word: the
    sentence with one word replaced by a hole, and with a hole inserted, at each position. A pair has the products of
    its sides' keys. So the time grows with the number of pairs, and not with its square.

    Args:
        pairs: the N pairs.
        training: those that they are compared with; its vocabularies may be other ones.
    """
    found = np.isin(_wholes(pairs), _wholes(training))  # these would share all of their keys
    rest = np.flatnonzero(~found)
    found[rest] = _within_one(pairs.select(rest), training)
    return found


def _within_one(pairs: Corpus, training: Corpus) -> NDArray[np.bool_]:
    source, known_source = _shared_keys(pairs, training, "source")
    target, known_target = _shared_keys(pairs, training, "target")
    wanted = np.zeros(0, dtype=np.uint64)
    for keys, _ in _products(source, target, len(pairs)):
        wanted = np.union1d(wanted, keys)
    is_known = np.zeros(len(wanted), dtype=np.bool_)
    for keys, _ in _products(known_source, known_target, len(training)):
        is_known |= np.isin(wanted, keys)
    matched = wanted[is_known]
    found = np.zeros(len(pairs), dtype=np.bool_)
    for keys, rows in _products(source, target, len(pairs)):
        found[rows[np.isin(keys, matched)]] = True
    return found


_Keys = tuple[NDArray[np.uint64], NDArray[np.int64]]  # keys, and the row of each, in ascending order


def _shared_keys(pairs: Corpus, training: Corpus, side: str) -> tuple[_Keys, _Keys]:
    """The keys of one side that both have; a key of one of them alone matches nothing."""
    ours, theirs = (
        _keys(getattr(words, side), getattr(words, f"{side}_vocabulary"))
        for words in (each.complete or each for each in (pairs, training))
    )
    shared = np.intersect1d(ours[0], theirs[0])
    return _only(*ours, shared), _only(*theirs, shared)


def _wholes(pairs: Corpus) -> NDArray[np.uint64]:
    """A key of each pair as it is, [N]."""
    words = pairs.complete or pairs
    source, target = (
        _whole(getattr(words, side), getattr(words, f"{side}_vocabulary")) for side in ("source", "target")
    )
    return _joined(source, target)


def _whole(rows: Ragged, vocabulary: Vocabulary) -> NDArray[np.uint64]:
    codes = np.array([_code(word) for word in vocabulary.words], dtype=np.uint64)
    place = np.arange(len(rows.values)) - np.repeat(rows.offsets[:-1], rows.lengths)
    powers = np.cumprod(np.full(int(rows.lengths.max(initial=0)) + 1, _BASE))
    sums = np.concatenate(([np.uint64(0)], np.cumsum(codes[rows.values] * powers[place])))
    found: NDArray[np.uint64] = sums[rows.offsets[1:]] - sums[rows.offsets[:-1]]
    return found


def _joined(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return (left ^ (left >> np.uint64(29))) * _BASE + right


def _keys(rows: Ragged, vocabulary: Vocabulary) -> _Keys:
    """The keys of sentences, which are hashes of 64 bits: Σ_i hash(word i) · base^i, modulo 2^64."""
    codes = np.array([_code(word) for word in vocabulary.words], dtype=np.uint64)
    lengths = rows.lengths - 1
    assert (rows.values[rows.offsets[1:] - 1] == EOS).all()
    row = np.repeat(np.arange(len(rows)), lengths + 1)
    place = np.arange(len(row)) - np.repeat(rows.offsets[:-1], lengths + 1)
    powers = np.cumprod(np.full(int(lengths.max(initial=0)) + 2, _BASE))
    is_word = place < lengths[row]
    terms = np.where(is_word, codes[rows.values] * powers[place], np.uint64(0))
    sums = np.concatenate(([np.uint64(0)], np.cumsum(terms)))
    starts = sums[rows.offsets[:-1]][row]
    before, whole = sums[:-1] - starts, (sums[rows.offsets[1:]] - sums[rows.offsets[:-1]])[row]
    hole = _HOLE * powers[place]
    replaced = (whole - terms + hole)[is_word]
    inserted = before + hole + (whole - before) * _BASE
    keys, places = np.concatenate((replaced, inserted)), np.concatenate((row[is_word], row))
    order = np.argsort(places, kind="stable")
    return keys[order], places[order]


def _code(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")


def _only(keys: NDArray[np.uint64], rows: NDArray[np.int64], wanted: NDArray[np.uint64]) -> _Keys:
    kept = np.isin(keys, wanted)
    return keys[kept], rows[kept]


def _products(source: _Keys, target: _Keys, count: int) -> Iterator[_Keys]:
    """Every key of a source with every key of its target, some of the rows at a time."""
    sizes = np.prod([np.bincount(rows, minlength=count) for _, rows in (source, target)], axis=0)
    chunk = np.cumsum(sizes) // _MOST
    firsts = np.flatnonzero(np.diff(chunk, prepend=-1))
    for first, end in pairwise([*firsts.tolist(), count]):
        bounds = np.arange(first, end + 1)
        (left, left_starts), (right, right_starts) = (
            (keys, np.searchsorted(rows, bounds)) for keys, rows in (source, target)
        )
        widths = np.diff(right_starts)
        of_left = np.repeat(np.arange(len(bounds) - 1), np.diff(left_starts))  # the row of each left key
        repeats = widths[of_left]
        ends = np.cumsum(repeats)
        within = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - repeats, repeats)
        chosen = np.repeat(right_starts[:-1][of_left], repeats) + within
        lefts = np.repeat(left[left_starts[0] : left_starts[-1]], repeats)
        yield _joined(lefts, right[chosen]), np.repeat(of_left, repeats) + first
