"""The data module: a split that keeps translations together, references, and values out of range."""

import numpy as np
import pytest

import tiny
from seq2seq_lab.data.corpus import Corpus
from seq2seq_lab.data.datamodule import TranslationDataModule
from seq2seq_lab.data.splits import ByRow, BySource, NoSplit
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
    data = TranslationDataModule(recipe=Given(corpus), **{"split": NoSplit()} | settings)
    data.setup()
    return data


def test_training_pairs_are_shuffled_by_the_seed_and_evaluated_pairs_are_in_file_order():
    corpus = tiny.lettered(60)

    def orders(seed):
        data = module(corpus, seed=seed, split=BySource(validation=0.3, test=0))
        return (
            [block.indices.tolist() for block in data.train_dataloader()],
            [block.indices.tolist() for block in data.val_dataloader()],
        )

    training, evaluated = orders(seed=0)
    assert orders(seed=0) == (training, evaluated)
    assert orders(seed=1)[0] != training
    assert orders(seed=1)[1] == evaluated == [sorted(evaluated[0])]


def test_nothing_held_out_trains_and_evaluates_on_everything():
    data = module()
    assert data.training.tolist() == data.evaluation.tolist() == list(range(7))
    assert data.evaluated == "train"
    assert module(split=BySource(validation=0.5, test=0)).evaluated == "val"


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
    data = TranslationDataModule(recipe=recipe, split=NoSplit())
    data.setup()
    data.setup("fit")
    assert recipe.loads == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "loader.batch_size: 0"),
        ({"updates_per_block": -1}, "loader.updates_per_block: -1"),
    ],
)
def test_the_message_about_a_value_out_of_range_names_the_key(settings, message):
    with pytest.raises(UserError, match=message):
        module(**settings)


def test_vocabularies_and_the_limit_of_hypotheses_are_those_of_the_training_part():
    pairs = [(f"mot{i}", " ".join(["word", f"x{i}", *["long"] * (i % 5)])) for i in range(20)]
    data = module(tiny.corpus(pairs), split=ByRow(validation=0.2, test=0.2))
    trained = [pairs[index] for index in data.training]
    assert data.corpus.source_vocabulary.words[:3] == ["<sos>", "<eos>", "<unk>"]
    assert set(data.corpus.source_vocabulary.words[3:]) == {source for source, _ in trained}
    assert data.max_length == max(len(target.split()) for _, target in trained) + 1
    for index in (*data.evaluation.tolist(), *data.test.tolist()):
        assert data.corpus.source[index].tolist() == [2, 1]  # <unk> <eos>
        assert (data.corpus.source_text(index), data.corpus.target_text(index)) == pairs[index]
        assert data.references(np.array([index])) == [[pairs[index][1]]]
