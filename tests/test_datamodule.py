"""The data module: a split that keeps translations together, references, and values out of range."""

import numpy as np
import pytest

import tiny
from seq2seq_lab.data.corpus import Corpus
from seq2seq_lab.data.datamodule import TranslationDataModule
from seq2seq_lab.errors import UserError

AMBIGUOUS = tiny.corpus(
    [
        ("je suis la", "i am here"),
        ("tu es la", "you are here"),
        ("je suis la", "i m here"),
        ("il est la", "he s here"),
        ("je suis la", "i am here"),
        ("tu es la", "you re here"),
        ("elle est la", "she s here"),
    ]
)


class Given:
    """A recipe that returns a given corpus, and counts its calls."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self.loads = 0

    def load(self) -> Corpus:
        self.loads += 1
        return self.corpus


def module(corpus: Corpus = AMBIGUOUS, **settings: object) -> TranslationDataModule:
    data = TranslationDataModule(recipe=Given(corpus), **{"held_out": 0} | settings)
    data.setup()
    return data


@pytest.mark.parametrize("held_out", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("held_out_seed", range(4))
def test_a_source_is_held_out_with_all_its_translations(held_out, held_out_seed):
    data = module(held_out=held_out, held_out_seed=held_out_seed)

    def sources(indices):
        return {AMBIGUOUS.source_text(index) for index in indices}

    assert sources(data.training).isdisjoint(sources(data.evaluation))
    assert sorted([*data.training, *data.evaluation]) == list(range(7))
    assert len(sources(data.evaluation)) == round(held_out * 4)


def test_the_split_depends_only_on_held_out_seed():
    corpus = tiny.lettered(60)
    splits = [module(corpus, held_out=0.3, seed=seed).evaluation.tolist() for seed in (0, 1, 2)]
    assert splits[0] == splits[1] == splits[2]
    assert module(corpus, held_out=0.3, held_out_seed=1).evaluation.tolist() != splits[0]


def test_training_pairs_are_shuffled_by_the_seed_and_evaluated_pairs_are_in_file_order():
    corpus = tiny.lettered(60)

    def orders(seed):
        data = module(corpus, seed=seed, held_out=0.3)
        return (
            [block.indices.tolist() for block in data.train_dataloader()],
            [block.indices.tolist() for block in data.val_dataloader()],
        )

    training, evaluated = orders(seed=0)
    assert orders(seed=0) == (training, evaluated)
    assert orders(seed=1)[0] != training
    assert orders(seed=1)[1] == evaluated == [sorted(evaluated[0])]


def test_nothing_held_out_trains_and_evaluates_on_everything():
    data = module(held_out=0)
    assert data.training.tolist() == data.evaluation.tolist() == list(range(7))
    assert data.evaluated == "train"
    assert module(held_out=0.5).evaluated == "val"


def test_references_are_all_distinct_translations_and_begin_with_the_target():
    assert module().references(np.arange(7)) == [
        ["i am here", "i m here"],
        ["you are here", "you re here"],
        ["i m here", "i am here"],
        ["he s here"],
        ["i am here", "i m here"],
        ["you re here", "you are here"],
        ["she s here"],
    ]


def test_the_maximum_length_is_that_of_the_longest_target():
    assert module(predict_sos=False).max_length == 4  # three words and <eos>
    assert module(predict_sos=True).max_length == 5


def test_a_block_of_given_pairs_has_one_batch():
    block = module().block(np.array([5, 0]))
    assert block.indices.tolist() == [5, 0]
    assert len(list(block)) == 1


def test_a_second_setup_does_not_load_again():
    recipe = Given(AMBIGUOUS)
    data = TranslationDataModule(recipe=recipe, held_out=0)
    data.setup()
    data.setup("fit")
    assert recipe.loads == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "loader.batch_size: 0"),
        ({"updates_per_block": -1}, "loader.updates_per_block: -1"),
        ({"held_out": 1}, r"loader.held_out: 1 is not a share in \[0, 1\)"),
        ({"held_out": -0.1}, "loader.held_out: -0.1"),
        ({"held_out": 0.01}, "loader.held_out: 0.01 of 4 distinct sources leaves nothing to evaluate"),
        ({"held_out": 0.99}, "loader.held_out: 0.99 of 4 distinct sources leaves nothing to train"),
    ],
)
def test_the_message_about_a_value_out_of_range_names_the_key(settings, message):
    with pytest.raises(UserError, match=message):
        module(**settings)
