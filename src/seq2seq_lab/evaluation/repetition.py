"""Repeated n-grams in sentences."""

from collections.abc import Sequence
from typing import Any

from seq2seq_lab.evaluation.analysis import Subject

LONGEST = 4  # words of an n-gram


class Repetition:
    """Repeated n-grams of greedy translations; see `repetition`."""

    name = "repetition"

    def __call__(self, subject: Subject) -> dict[str, Any]:
        return repetition(subject.evaluation.translations()[0], subject.targets)


def repeated(sentence: Sequence[str], n: int) -> float | None:
    """The share of a sentence's n-grams that have appeared in it before: 1 − distinct n-grams / n-grams.

    It is seq-rep-n of Welleck et al. 2019 (https://arxiv.org/abs/1908.04319). None for a sentence of
    fewer than n words.
    """
    ngrams = list(zip(*(sentence[start:] for start in range(n)), strict=False))
    return 1 - len(set(ngrams)) / len(ngrams) if ngrams else None


def repetition(hypotheses: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
    """Mean share of repeated n-grams, n = 1 … 4, of hypotheses and, for comparison, of the pairs' own targets.

    There is one hypothesis for each segment.

    Sentences of fewer than n words are left out; a share is null if all are.
    """
    orders = list(range(1, LONGEST + 1))
    ours, theirs = ([_mean(sentences, n) for n in orders] for sentences in (hypotheses, references))
    return {
        "n": orders,
        "hypotheses": ours,
        "references": theirs,
        "measures": {
            f"repetition_{n}": share for n, share in zip(orders, ours, strict=True) if share is not None
        },
    }


def _mean(sentences: Sequence[str], n: int) -> float | None:
    shares = [share for each in sentences if (share := repeated(each.split(), n)) is not None]
    return sum(shares) / len(shares) if shares else None
