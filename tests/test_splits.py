"""Splits: no sentence in two parts, shares, the same parts every time, and error messages."""

import random
from itertools import combinations

import numpy as np
import pytest

import tiny
from seq2seq_lab.data.sources.toy import ToyCorpus
from seq2seq_lab.data.splits import ByComponent, ByRow, BySource, NoSplit, components_of, parts_of
from seq2seq_lab.errors import UserError

HOLDING = (ByComponent, BySource, ByRow)


def graph(pairs, sentences, seed=0):
    """Pairs of random sentences: many share a source or a target."""
    draw = random.Random(seed)
    return tiny.corpus(
        [(f"s{draw.randrange(sentences)}", f"t{draw.randrange(sentences)}") for _ in range(pairs)]
    )


def sides(corpus, indices):
    return {corpus.source_text(i) for i in indices}, {corpus.target_text(i) for i in indices}


@pytest.mark.parametrize("split", HOLDING)
@pytest.mark.parametrize("seed", range(3))
def test_every_pair_is_in_exactly_one_part_in_ascending_order(split, seed):
    corpus = graph(300, 400, seed)
    parts = split(seed=seed).split(corpus)
    assert sorted(np.concatenate(parts).tolist()) == list(range(300))
    assert all((np.diff(part) > 0).all() for part in parts)


@pytest.mark.parametrize("sentences", [200, 400, 2000])
@pytest.mark.parametrize("seed", range(4))
def test_no_sentence_is_in_two_parts_of_a_split_by_component(sentences, seed):
    corpus = graph(300, sentences, seed)
    for one, other in combinations(ByComponent(seed=seed).split(corpus), 2):
        for left, right in zip(sides(corpus, one), sides(corpus, other), strict=True):
            assert left.isdisjoint(right)


def test_components_are_those_of_a_search_from_pair_to_pair():
    corpus = graph(200, 300)
    texts = [(corpus.source_text(i), corpus.target_text(i)) for i in range(200)]
    found: list[set[int]] = []
    for first in range(200):
        if any(first in each for each in found):
            continue
        component, reached = {first}, [first]
        while reached:
            here = texts[reached.pop()]
            near = {i for i, text in enumerate(texts) if text[0] == here[0] or text[1] == here[1]} - component
            component |= near
            reached.extend(near)
        found.append(component)
    assert [set(np.flatnonzero(ByComponent().groups(corpus) == i)) for i in range(len(found))] == found


@pytest.mark.parametrize("seed", range(3))
def test_no_source_is_in_two_parts_of_a_split_by_source(seed):
    corpus = graph(300, 100, seed)
    for one, other in combinations(BySource(seed=seed).split(corpus), 2):
        assert sides(corpus, one)[0].isdisjoint(sides(corpus, other)[0])


@pytest.mark.parametrize("split", HOLDING)
@pytest.mark.parametrize(("validation", "test"), [(0.1, 0.1), (0.3, 0.2), (0.25, 0)])
def test_the_shares_are_those_of_pairs(split, validation, test):
    parts = split(validation=validation, test=test).split(graph(400, 800))
    assert len(parts.validation) == pytest.approx(validation * 400, abs=2)
    assert len(parts.test) == pytest.approx(test * 400, abs=2)


@pytest.mark.parametrize("split", HOLDING)
def test_the_parts_depend_only_on_the_pairs_and_the_seed(split):
    corpus = graph(300, 400)
    first = split().split(corpus)
    np.random.seed(5)
    assert [part.tolist() for part in split().split(corpus)] == [part.tolist() for part in first]
    assert split(seed=1).split(corpus).test.tolist() != first.test.tolist()


def test_without_a_split_everything_is_trained_on_and_evaluated():
    parts = NoSplit().split(graph(5, 5))
    assert [part.tolist() for part in parts] == [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4], []]


def test_parts_that_the_source_gives_are_kept():
    corpus = tiny.corpus([("a", "b"), ("a", "c"), ("d", "b")])
    object.__setattr__(corpus, "given", np.array([2, 0, 1], dtype=np.int8))
    assert [part.tolist() for part in parts_of(corpus, ByComponent())] == [[1], [2], [0]]


def test_a_given_test_part_leaves_no_sentence_in_two_parts():
    """Also where pairs are there several times, which are all trained on."""
    pairs = [(f"a{i}", f"{target}{i}") for i in range(30) for target in ("x", "x", "y")]
    pairs += [(f"b{i}", f"z{i}") for i in range(30)] + [("c", "d")]
    corpus = tiny.corpus(pairs)
    object.__setattr__(corpus, "given", np.array([0] * 120 + [2], dtype=np.int8))
    for split in (ByComponent(), BySource()):
        parts = parts_of(corpus, split)
        assert len(parts.validation) == 3
        assert sides(corpus, parts.train)[0].isdisjoint(sides(corpus, parts.validation)[0])
    corpus = corpus.select(np.array([*range(90), 120]))
    assert len(parts_of(corpus, ByRow()).validation) == 3
    with pytest.raises(UserError, match=r"^split: each of the 90 training pairs is in a group"):
        parts_of(corpus, ByComponent())


@pytest.mark.parametrize("unknown", [False, True])
def test_the_components_of_a_part_are_those_of_the_split(unknown):
    corpus = graph(300, 400)
    split = ByComponent()
    parts = split.split(corpus)
    whole = split.groups(corpus)
    if unknown:  # in the vocabulary of the training part, many sentences of the others are one
        corpus = corpus.numbered(parts.train, unknown=True)
    for part in parts:
        found = components_of(corpus, part, split)
        pairs = {(here, there) for here, there in zip(found.tolist(), whole[part].tolist(), strict=True)}
        assert len(pairs) == len(set(found.tolist())) == len(set(whole[part].tolist())) > 1


@pytest.mark.parametrize("split", [BySource(), ByRow(), NoSplit()])
def test_other_splits_deal_no_components(split):
    corpus = graph(30, 40)
    assert components_of(corpus, np.arange(30), split) is None


def test_the_parts_of_the_embedded_corpus_do_not_change():
    parts = ByComponent().split(ToyCorpus(pairs=40).load())
    assert (parts.validation.tolist(), parts.test.tolist()) == ([2, 3, 23, 34], [4, 11, 24, 27])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"test": 1}, r"split\.test: 1 is not a share in \[0, 1\)"),
        ({"validation": -0.1}, r"split\.validation: -0\.1 is not a share"),
        ({"validation": float("nan")}, r"split\.validation: nan is not a share"),
        ({"validation": 0}, "split.validation: 0 leaves nothing to evaluate on; split=none"),
        ({"validation": 0.5, "test": 0.5}, "0.5 [+] 0.5 leaves nothing to train on"),
        ({"seed": -1}, r"split\.seed: -1 is less than 0"),
    ],
)
def test_the_message_names_the_key(settings, message):
    with pytest.raises(UserError, match=message):
        ByComponent(**settings)


def test_a_split_does_not_advise_itself():
    with pytest.raises(UserError, match=r"use other shares, more pairs, or split=none$"):
        ByRow().split(graph(2, 100))


@pytest.mark.parametrize(
    ("corpus", "missing"),
    [(tiny.corpus([("a", f"t{i}") for i in range(30)]), "validation"), (graph(4, 100), "validation")],
)
def test_a_part_that_would_be_empty_is_named(corpus, missing):
    with pytest.raises(UserError, match=f"leave nothing for {missing}.*split=source, row or none"):
        ByComponent().split(corpus)
