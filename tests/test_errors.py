"""Error rates: symbol error rate, edit distance and sequence error rate, beside a literal edit distance."""

import random

import pytest
import torch

from literal import measures as literal
from seq2seq_lab.evaluation.errors import EditDistance, SequenceErrorRate, SymbolErrorRate, distance, edits
from seq2seq_lab.evaluation.evaluate import Evaluation


def evaluation(hypotheses, references, segments=None):
    nothing = torch.zeros(len(hypotheses), dtype=torch.float64)
    return Evaluation(hypotheses, references, nothing, nothing, nothing, nothing + 1, segments=segments)


@pytest.mark.parametrize("seed", range(6))
def test_the_distance_is_that_of_the_literal_recurrence(seed):
    """Also of texts that differ by a long insertion, where a search near the diagonal fails."""
    rng = random.Random(seed)
    symbols = ["I_RUN", "ɑ̃", "a", "b"][: 2 + seed % 3]
    for _ in range(60):
        one, other = ([rng.choice(symbols) for _ in range(rng.randint(0, 12))] for _ in range(2))
        if rng.random() < 0.2:
            other = [rng.choice(symbols) for _ in range(40)] + one + other
        expected = literal.edit_distance(one, other)
        assert distance(" ".join(one), " ".join(other)) == expected
        assert distance(" ".join(other), " ".join(one)) == expected


@pytest.mark.parametrize("seed", range(6))
def test_the_rates_are_the_literal_ones_with_several_references(seed):
    rng = random.Random(seed)

    def text(least=1):
        return " ".join(rng.choice("abc") for _ in range(rng.randint(least, 5)))

    rows = [(text(0), [text() for _ in range(rng.randint(1, 3))]) for _ in range(40)]
    hypotheses, references = map(list, zip(*rows, strict=True))
    found = evaluation(hypotheses, references)
    expected = literal.errors(rows)
    assert SymbolErrorRate()(found) == pytest.approx(expected["symbol_error_rate"])
    assert EditDistance()(found) == pytest.approx(expected["edit_distance"])
    assert SequenceErrorRate()(found) == pytest.approx(expected["sequence_error_rate"])


def test_phones_by_hand():
    """One phone is too many, in one of two words of five phones."""
    found = evaluation(["a b i", "p ɛ̃ t"], [["a b i"], ["p ɛ̃"]])
    assert edits(found.hypotheses, found.references) == (1, 5, 2)
    assert SymbolErrorRate()(found) == pytest.approx(1 / 5)
    assert SequenceErrorRate()(found) == 1 / 2
    assert EditDistance()(found) == 1 / 2


def test_a_segment_counts_once():
    found = evaluation(["a", "a", "b"], [["a"], ["a"], ["a"]], segments=[0, 0, 1])
    assert SequenceErrorRate()(found) == 1 / 2


def test_what_is_empty():
    assert edits(["", "a b"], [[""], [""]]) == (2, 0, 2)
    assert SymbolErrorRate()(evaluation(["", "a b"], [[""], [""]])) == 2
    assert SymbolErrorRate()(evaluation([""], [["a b"]])) == 1
