"""Splits: no source in both parts, the same pairs every time, and error messages."""

import numpy as np
import pytest

import tiny
from seq2seq_lab.data.sources.toy import ToyCorpus
from seq2seq_lab.data.splits import split_by_source
from seq2seq_lab.errors import UserError

CORPUS = tiny.lettered(60)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("seed", range(3))
def test_a_source_is_held_out_with_all_its_translations(share, seed):
    training, evaluation = split_by_source(CORPUS, share, seed)
    groups = CORPUS.source_groups()
    held_out = set(groups[evaluation].tolist())
    assert held_out.isdisjoint(groups[training].tolist())
    assert len(held_out) == round(share * (groups.max() + 1))


@pytest.mark.parametrize("share", [0, 0.1, 0.5])
def test_both_parts_are_in_ascending_order_and_have_all_pairs(share):
    parts = split_by_source(CORPUS, share, seed=0)
    for part in parts:
        assert (np.diff(part) > 0).all()
    assert sorted({*parts[0].tolist(), *parts[1].tolist()}) == list(range(len(CORPUS)))
    assert sum(map(len, parts)) == len(CORPUS) * (1 if share else 2)


def test_the_split_depends_only_on_share_and_seed():
    first = split_by_source(CORPUS, 0.3, 0)
    np.random.seed(5)
    again = split_by_source(CORPUS, 0.3, 0)
    assert [part.tolist() for part in again] == [part.tolist() for part in first]
    assert split_by_source(CORPUS, 0.3, 1)[1].tolist() != first[1].tolist()


def test_the_held_out_pairs_of_the_embedded_corpus_do_not_change():
    _, evaluation = split_by_source(ToyCorpus(pairs=40).load(), 0.1, 0)
    assert evaluation.tolist() == [4, 11, 24, 27]


@pytest.mark.parametrize(
    ("share", "seed", "message"),
    [
        (1, 0, r"loader\.held_out: 1 is not a share in \[0, 1\)"),
        (-0.1, 0, r"loader\.held_out: -0\.1 is not a share"),
        (float("nan"), 0, r"loader\.held_out: nan is not a share"),
        (0.5, -1, r"loader\.held_out_seed: -1 is less than 0"),
        (0.001, 0, r"loader\.held_out: 0\.001 of \d+ distinct sources leaves nothing to evaluate on"),
        (0.999, 0, r"loader\.held_out: 0\.999 of \d+ distinct sources leaves nothing to train on"),
    ],
)
def test_the_message_names_the_key(share, seed, message):
    with pytest.raises(UserError, match=message):
        split_by_source(CORPUS, share, seed)
