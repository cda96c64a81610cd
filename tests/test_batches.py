"""Batches: every pair once per epoch, in an order that depends only on (seed, epoch), with no unnecessary padding."""

from itertools import islice, pairwise, product

import numpy as np
import pytest
import torch

import tiny
from seq2seq_lab.data.batches import Batch, Block, BlockLoader
from seq2seq_lab.data.vocabulary import EOS, SOS

CORPUS = tiny.lettered(53)
INDICES = np.arange(len(CORPUS))


def loader(**settings: object) -> BlockLoader:
    return BlockLoader(CORPUS, settings.pop("indices", INDICES), **{"batch_size": 4} | settings)


def order(blocks: BlockLoader) -> list[int]:
    """The pairs of one epoch."""
    return np.concatenate([block.indices for block in blocks]).tolist()


def updates(blocks: BlockLoader) -> list[tuple[list[int], Batch]]:
    """The batches of one epoch, each with its pairs."""
    return [(block.indices[batch.rows].tolist(), batch) for block in blocks for batch in block]


def assert_same(one: Block, other: Block) -> None:
    assert one.indices.tolist() == other.indices.tolist()
    assert one.shapes == other.shapes
    assert torch.equal(one.source, other.source)
    assert torch.equal(one.target, other.target)


@pytest.mark.parametrize(
    ("batch_size", "updates_per_block", "shuffle", "bucketing"),
    list(product([1, 4, 53, 99], [1, 3, 128], [False, True], [False, True])),
)
def test_every_pair_appears_once_per_epoch(batch_size, updates_per_block, shuffle, bucketing):
    blocks = loader(
        batch_size=batch_size, updates_per_block=updates_per_block, shuffle=shuffle, bucketing=bucketing
    )
    for _ in range(2):
        found = order(blocks)
        assert sorted(found) == INDICES.tolist()


def test_only_the_given_pairs_are_loaded():
    some = np.array([40, 3, 17])
    assert order(loader(indices=some)) == [40, 3, 17]
    assert sorted(order(loader(indices=some, shuffle=True))) == [3, 17, 40]


def test_without_shuffling_every_epoch_is_in_file_order():
    blocks = loader(shuffle=False, bucketing=True, seed=3)
    assert [order(blocks) for _ in range(3)] == [INDICES.tolist()] * 3


@pytest.mark.parametrize("bucketing", [False, True])
def test_the_order_depends_only_on_seed_and_epoch(bucketing):
    def epochs(seed: int) -> list[list[int]]:
        blocks = loader(shuffle=True, bucketing=bucketing, seed=seed)
        return [order(blocks) for _ in range(3)]

    first = epochs(seed=0)
    torch.manual_seed(5)
    np.random.seed(5)
    assert epochs(seed=0) == first
    assert len({tuple(found) for found in [*first, *epochs(seed=1)]}) == 6


def test_blocks_do_not_change_the_sequence_of_updates():
    for batch_size, shuffle in product([1, 4], [False, True]):
        settings = {"batch_size": batch_size, "shuffle": shuffle, "seed": 7}
        expected = updates(loader(updates_per_block=1, **settings))
        for updates_per_block in (2, 5, 128):
            found = updates(loader(updates_per_block=updates_per_block, **settings))
            assert [pairs for pairs, _ in found] == [pairs for pairs, _ in expected]
            for (_, one), (_, other) in zip(found, expected, strict=True):
                assert torch.equal(one.source, other.source)
                assert torch.equal(one.target, other.target)
                assert (one.source_lengths is None) == (other.source_lengths is None)


def test_a_block_contains_its_updates_and_the_last_block_the_remaining_ones():
    blocks = list(loader(batch_size=4, updates_per_block=3))
    assert [len(block) for block in blocks] == [12, 12, 12, 12, 5]
    assert [len(list(block)) for block in blocks] == [3, 3, 3, 3, 2]
    assert len(loader(batch_size=4, updates_per_block=3)) == 5


@pytest.mark.parametrize("predict_sos", [False, True])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_batch_contains_the_ids_of_its_pairs_padded_with_zeros(batch_size, predict_sos):
    for pairs, batch in updates(
        loader(batch_size=batch_size, updates_per_block=3, shuffle=True, predict_sos=predict_sos)
    ):
        for row, index in enumerate(pairs):
            source = CORPUS.source[index].tolist()
            target = CORPUS.to_predict(predict_sos=predict_sos)[index].tolist()
            assert batch.source[row].tolist() == source + [0] * (batch.source.shape[1] - len(source))
            assert batch.target[row].tolist() == target + [0] * (batch.target.shape[1] - len(target))
            if batch.source_lengths is not None:
                assert batch.source_lengths[row] == len(source)
            if batch.target_lengths is not None:
                assert batch.target_lengths[row] == len(target)


def test_the_first_word_to_predict_is_sos_only_with_predict_sos():
    (_, plain), *_ = updates(loader(batch_size=1))
    (_, quirk), *_ = updates(loader(batch_size=1, predict_sos=True))
    assert plain.target[0, 0] != SOS
    assert quirk.target[0].tolist() == [SOS, *plain.target[0].tolist()]
    assert plain.target[0, -1] == quirk.target[0, -1] == EOS


def test_there_is_padding_only_where_lengths_differ():
    for pairs, batch in updates(loader(batch_size=4, shuffle=True, updates_per_block=5)):
        for side, matrix, lengths in (
            (CORPUS.source, batch.source, batch.source_lengths),
            (CORPUS.target, batch.target, batch.target_lengths),
        ):
            found = {len(side[index]) for index in pairs}
            assert matrix.shape[1] == max(found)
            assert (lengths is None) == (len(found) == 1)


def test_single_sentences_are_never_padded():
    for _, batch in updates(loader(batch_size=1, shuffle=True, updates_per_block=9)):
        assert batch.source_lengths is None
        assert batch.target_lengths is None


def test_bucketing_reduces_padding_and_still_mixes_pairs():
    def padding(bucketing: bool) -> int:
        blocks = loader(batch_size=4, shuffle=True, bucketing=bucketing)
        return sum(
            batch.target.numel() - sum(len(CORPUS.target[i]) for i in pairs)
            for pairs, batch in updates(blocks)
        )

    assert padding(bucketing=True) < padding(bucketing=False) / 2
    blocks = loader(batch_size=4, shuffle=True, bucketing=True)
    companies = [{frozenset(pairs) for pairs, _ in updates(blocks)} for _ in range(3)]
    assert all(one != other for one, other in pairwise(companies))


def test_the_pairs_that_fill_no_batch_are_others_in_each_epoch_and_anywhere_in_it():
    """Otherwise the last update of every epoch, before each evaluation, is on the same longest pairs."""
    blocks = loader(batch_size=5, shuffle=True, bucketing=True, updates_per_block=3)
    epochs = [[pairs for pairs, _ in updates(blocks)] for _ in range(12)]
    rest = [[len(pairs) for pairs in epoch].index(len(INDICES) % 5) for epoch in epochs]
    assert all(sum(len(pairs) < 5 for pairs in epoch) == 1 for epoch in epochs)
    assert len(set(rest)) > 4
    assert len({pair for epoch, number in zip(epochs, rest, strict=True) for pair in epoch[number]}) > 12
    last = [pair for epoch in epochs for pair in epoch[-1]]
    assert np.mean([len(CORPUS.target[i]) for i in last]) == pytest.approx(
        np.mean(CORPUS.target.lengths[INDICES]), rel=0.2
    )


def test_bucketed_batches_are_not_sorted_by_length():
    lengths = [batch.target.shape[1] for _, batch in updates(loader(batch_size=4, shuffle=True))]
    assert lengths != sorted(lengths)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("done", range(10))
def test_a_restored_loader_continues_with_the_next_block(shuffle, done):
    settings = {"shuffle": shuffle, "updates_per_block": 3, "seed": 2}
    complete = loader(**settings)
    expected = [block for _ in range(3) for block in complete]

    stopped = loader(**settings)
    before = list(islice((block for _ in range(3) for block in stopped), done))
    state = stopped.state_dict()

    resumed = loader(**settings)
    resumed.load_state_dict(state)
    after = list(resumed)
    rest = (len(expected) - done) % len(resumed) or len(resumed)
    assert len(after) == rest, "the first iteration ends with the epoch that was under way"
    after += [block for _ in range((len(expected) - done - rest) // len(resumed)) for block in resumed]
    for one, other in zip([*before, *after], expected, strict=True):
        assert_same(one, other)


def test_an_epoch_that_was_not_completed_is_followed_by_the_next_one():
    left, complete = loader(shuffle=True), loader(shuffle=True)
    next(iter(left))
    order(complete)
    assert order(left) == order(complete)


def test_the_state_of_a_loader_contains_only_integers():
    blocks = loader(shuffle=True)
    next(iter(blocks))
    assert blocks.state_dict() == {"epoch": 0, "blocks_done": 1}
