"""The analyses of a trained model as `evaluate` calls them: plain data, registered measures, no effect of batches."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import tiny
from seq2seq_lab.data.batches import BlockLoader
from seq2seq_lab.data.sources.grammar import Translations
from seq2seq_lab.evaluation.analysis import Subject
from seq2seq_lab.evaluation.evaluate import Evaluator
from seq2seq_lab.evaluation.grammar import AgainstGrammar
from seq2seq_lab.evaluation.groups import BySourceLength, ByUnknownWords
from seq2seq_lab.evaluation.measures import REGISTRY
from seq2seq_lab.evaluation.positions import Positions
from seq2seq_lab.evaluation.prefixes import PrefixBias
from seq2seq_lab.evaluation.recovery import Recovery
from seq2seq_lab.evaluation.repetition import Repetition
from seq2seq_lab.models import seq2seq_model

CORPUS = tiny.lettered(12)
ANALYSES = [
    analysis()
    for analysis in (
        Positions,
        Recovery,
        PrefixBias,
        Repetition,
        BySourceLength,
        ByUnknownWords,
        AgainstGrammar,
    )
]


@pytest.fixture(scope="module")
def model():
    """A model whose words differ."""
    torch.manual_seed(0)
    sizes = {
        "source_vocabulary_size": len(CORPUS.source_vocabulary),
        "target_vocabulary_size": len(CORPUS.target_vocabulary),
    }
    made = seq2seq_model(**sizes, hidden_size=6, embedding_size=5).double().eval()
    for weight in made.parameters():
        torch.nn.init.uniform_(weight, -1, 1)
    return made


def subject(model, batch_size=5, predict_sos=False):
    """All pairs of the corpus, the first of which has an unknown word."""
    pairs = np.arange(len(CORPUS))
    blocks = list(BlockLoader(CORPUS, pairs, batch_size=batch_size, predict_sos=predict_sos))
    sources, targets = (
        [text(i) for i in range(len(CORPUS))] for text in (CORPUS.source_text, CORPUS.target_text)
    )
    vocabulary = CORPUS.target_vocabulary
    evaluator = Evaluator(lambda ids: " ".join(vocabulary.decode(ids)), max_length=7)
    for block in blocks:
        for batch in block:
            evaluator.add(model, batch)
    references = [[target] for target in targets]
    evaluation = evaluator.evaluation(references)
    return Subject(
        model=model,
        batches=blocks,
        sources=sources,
        targets=targets,
        references=references,
        greedy=evaluation.hypotheses,
        evaluation=evaluation,
        max_length=7,
        unknown=[i == 0 for i in range(len(CORPUS))],
        vocabulary=vocabulary,
        distribution=Translations(zip(sources, targets, strict=True)),
    )


@pytest.mark.parametrize("analysis", ANALYSES, ids=lambda analysis: analysis.name)
def test_an_analysis_is_plain_data_with_registered_measures(analysis, model):
    found = analysis(subject(model))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    for name, value in found["measures"].items():
        assert REGISTRY[name].stage == "analysis"
        assert math.isfinite(value)


@pytest.mark.parametrize("analysis", ANALYSES, ids=lambda analysis: analysis.name)
def test_an_analysis_does_not_depend_on_the_batches(analysis, model):
    one, other = (flat(analysis(subject(model, batch_size))) for batch_size in (1, 7))
    assert one == pytest.approx(other)


@pytest.mark.parametrize("analysis", [PrefixBias(), AgainstGrammar()], ids=lambda analysis: analysis.name)
def test_where_sos_is_predicted_prefixes_have_the_same_words(analysis, model):
    without, with_sos = (analysis(subject(model, predict_sos=predict)) for predict in (False, True))
    for column in ("prefix", "sentences", "sources"):
        assert without.get(column) == with_sos.get(column)


def flat(value, name=""):
    """All numbers of nested data, by path."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {path: each for key, part in items for path, each in flat(part, f"{name}/{key}").items()}
    return {name: value} if isinstance(value, int | float) else {}


def test_few_pairs_are_at_equal_distances(model):
    rows = [rows.tolist() for _, rows in subject(model).few(4)]
    assert rows == [[0, 3], [7], [11]]  # of batches of five
    batches = [batch for batch, _ in subject(model).few(4)]
    for batch, chosen in zip(batches, rows, strict=True):
        for target, row in zip(batch.target.tolist(), chosen, strict=True):
            assert CORPUS.target_vocabulary.decode(target) == CORPUS.target_text(row).split()


def test_sentences_with_unknown_words_are_apart(model):
    found = ByUnknownWords()(subject(model))
    assert found["group"] == ["without", "with"]
    assert found["sentences"] == [11, 1]
    losses = subject(model).evaluation.losses_forced
    assert found["loss_forced"] == pytest.approx([losses[1:].mean().item(), losses[0].item()])


def test_without_a_known_distribution_there_is_nothing_exact(model):
    assert AgainstGrammar()(replace(subject(model), distribution=None)) == {}
