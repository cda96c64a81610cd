"""Every measure is the one of its formula: the package beside `literal.measures`, on random cases and for a perfect
model."""

import random
import tracemalloc

import numpy as np
import pytest
import torch

import tiny
from literal import measures as literal
from seq2seq_lab.data import near_duplicates as near
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.data.near_duplicates import near_duplicates
from seq2seq_lab.data.sources.grammar import Translations
from seq2seq_lab.data.sources.toy import ToyCorpus
from seq2seq_lab.data.units import Characters
from seq2seq_lab.data.vocabulary import Vocabulary
from seq2seq_lab.evaluation.analyses import ANALYSES
from seq2seq_lab.evaluation.losses import LossForcedPerCharacter, LossFreePerCharacter
from seq2seq_lab.evaluation.measures import REGISTRY
from seq2seq_lab.evaluation.part import Part, evaluate_part
from seq2seq_lab.evaluation.perfect import Perfect
from seq2seq_lab.evaluation.prefixes import PrefixBias
from seq2seq_lab.evaluation.recovery import Recovery
from seq2seq_lab.models import attention_model

MOST = 9  # pairs of the analyses that take some
MEASURED = {each.name for each in REGISTRY.values() if each.stage in ("evaluation", "analysis")}
WORDS = ["ab", "c", "abc", "b"]


def grammar(seed):
    """A random distribution: each source has up to three translations, and some of them differ in length."""
    rng = random.Random(seed)

    def sentence(most):
        return " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, most)))

    sources = sorted({sentence(3) for _ in range(8)})
    return [(source, sentence(4)) for source in sources for _ in range(rng.randint(1, 3))]


def trained(corpus, seed):
    """A random model that is confident, and wrong in many places."""
    torch.manual_seed(seed)
    model = attention_model(
        source_vocabulary_size=len(corpus.source_vocabulary),
        target_vocabulary_size=len(corpus.target_vocabulary),
        hidden_size=6,
        embedding_size=5,
    )
    for weight in model.double().parameters():
        torch.nn.init.uniform_(weight, -1.2, 1.2)
    return model.eval()


def probabilities(model, corpus):
    """A model as the literal measures take it."""
    known, words = {}, corpus.target_vocabulary.words

    def p(source, fed):
        if (source, fed) not in known:
            ids = torch.tensor([[*corpus.source_vocabulary.encode(source.split()), 1]])
            target = torch.tensor([[*(words.index(word) for word in fed), 1]])
            with torch.no_grad():
                scores = model(ids, target).logits[0, -1]
            known[source, fed] = dict(zip(words, scores.softmax(dim=0).tolist(), strict=True))
        return known[source, fed]

    return p


def perfect_probabilities(truth, words, predict_sos):
    """The perfect model, literally: the data's distribution, and after a prefix of no translation a uniform one."""

    def p(source, fed):
        marks = (literal.SOS,) if predict_sos else ()
        if predict_sos and not fed:
            return {literal.SOS: 1.0}
        following = truth.next_words(source, fed[len(marks) :]) if fed[: len(marks)] == marks else {}
        return following or dict.fromkeys(words, 1 / len(words))

    return p


def both(pairs, truth, *, by_source=True, predict_sos=False, seed=0, perfect=False):
    """All measures, by the package and literally."""
    corpus = tiny.corpus(pairs)
    model = (
        Perfect(
            distribution=truth,
            source_vocabulary=corpus.source_vocabulary,
            target_vocabulary=corpus.target_vocabulary,
            predict_sos=predict_sos,
        )
        if perfect
        else trained(corpus, seed)
    )
    indices, words = np.arange(len(pairs)), corpus.target_vocabulary.words
    segments = corpus.source_groups().tolist() if by_source else None
    found = evaluate_part(
        model,
        Part(
            corpus=corpus,
            references=corpus.references(indices),
            predict_sos=predict_sos,
            max_length=4 + predict_sos,  # less than some targets have
            segments=segments,
            distribution=truth,
        ),
        analyses=(ANALYSES | {"recovery": Recovery(pairs=MOST), "eb_m": PrefixBias(pairs=MOST)}).values(),
    ).measures
    uniform = Draws(0, 0, torch.from_numpy(indices)).uniform("recovery", 8)
    case = literal.Case(
        p=perfect_probabilities(truth, words, predict_sos) if perfect else probabilities(model, corpus),
        words=words,
        pairs=pairs,
        references={source: [b for a, b in pairs if a == source] for source, _ in pairs},
        max_length=4 + predict_sos,
        by_source=by_source,
        predict_sos=predict_sos,
        uniform=lambda pair, t: float(uniform[pair, t]),
        truth=truth.next_words,
        most=MOST,
    )
    return found, literal.measures(case)


@pytest.mark.parametrize("seed", [0, 2, 3, 4, 5, 6, 11])  # of those whose models say something
def test_each_measure_is_the_one_of_its_formula(seed):
    pairs = grammar(seed)
    by_source, predict_sos = bool(seed % 2), seed % 4 > 1
    found, expected = both(
        pairs, Translations(pairs), by_source=by_source, predict_sos=predict_sos, seed=seed
    )
    assert set(found) == MEASURED
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_so_it_is_of_a_perfect_model(seed):
    pairs = grammar(seed)
    found, expected = both(pairs, Translations(pairs), predict_sos=seed == 3, perfect=True)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_the_values_of_a_perfect_model_of_the_toy_grammar():
    """What `docs/measures.md` says of it: the pairs are some of the grammar's, the translations of a source differ in
    one word at most."""
    corpus = ToyCorpus(pairs=300).load()
    truth = corpus.distribution
    indices = np.arange(len(corpus))
    references = corpus.references(indices)
    words = dict.fromkeys(word for row in references for text in row for word in text.split())
    target = Vocabulary(list(dict.fromkeys([*corpus.target_vocabulary.words, *words])))
    found = evaluate_part(
        Perfect(distribution=truth, source_vocabulary=corpus.source_vocabulary, target_vocabulary=target),
        Part(
            corpus=corpus.encoded(corpus.source_vocabulary, target),
            references=references,
            predict_sos=False,
            max_length=8,
            segments=corpus.source_groups().tolist(),
            distribution=truth,
        ),
        analyses=ANALYSES.values(),
        beams=(1, 4),
    )
    several = [len(row) for row in references]
    lengths = [len(corpus.target_text(i).split()) + 1 for i in indices]
    entropy = np.mean([np.log(n) / length for n, length in zip(several, lengths, strict=True)])
    assert entropy > 0
    first = {source: truth.translations(source) for source in map(corpus.source_text, indices)}
    values = found.measures
    exact = {
        **dict.fromkeys(("bleu", "chrf"), 100),
        **dict.fromkeys(("exact_match", "length_ratio", "eb_m", "eb_c", "eb_c_inside"), 1),
        **dict.fromkeys(("outside", "excess_error", "excess_error_inside"), 0),
        **dict.fromkeys(("exposure_gap", "exposure_gap_to_own_end"), 0),
        **dict.fromkeys(("accuracy_gap", "accuracy_gap_to_own_end"), 0),
        **dict.fromkeys(("loss_forced", "loss_free"), entropy),
        **dict.fromkeys(("loss_forced_per_word", "loss_free_per_word"), entropy),
    }
    assert {name: values[name] for name in exact} == pytest.approx(exact, abs=1e-9)
    assert 0 < values["loss_forced_per_character"] == pytest.approx(values["loss_free_per_character"])
    wrong = sum(
        1
        for i, hypothesis in zip(indices, found.hypotheses, strict=True)
        if hypothesis != corpus.target_text(i)
    )
    assert all(
        hypothesis in first[corpus.source_text(i)]
        for i, hypothesis in zip(indices, found.hypotheses, strict=True)
    )
    assert values["accuracy_gold"] == pytest.approx(1 - wrong / sum(lengths))  # one word of each of these
    assert values["accuracy_own"] == values["accuracy_gold"]
    assert values["recovery_random"] <= values["recovery_second_best"] < 0.1
    assert [values[f"repetition_{n}"] for n in (1, 2, 3, 4)] == pytest.approx([0] * 4, abs=0.01)
    assert found.beams[4]["exact_match"] == 1
    assert set(values) == MEASURED


def test_a_target_of_one_symbol_a_character_has_the_loss_per_character():
    pairs = grammar(1)
    words = tiny.corpus(pairs)
    corpus = words.encoded(
        words.source_vocabulary,
        Vocabulary(["<sos>", "<eos>", "▁", *"abc"], Characters()),
    )
    indices = np.arange(len(corpus))
    part = Part(
        corpus=corpus,
        references=corpus.references(indices),
        predict_sos=False,
        max_length=9,
    )
    values = evaluate_part(trained(corpus, 0), part).measures
    for kind, per_character in (("forced", LossForcedPerCharacter()), ("free", LossFreePerCharacter())):
        assert values[per_character.facts.name] == pytest.approx(values[f"loss_{kind}"])
        symbols = np.mean(corpus.target.lengths)
        assert values[f"loss_{kind}_per_word"] > values[f"loss_{kind}"] * 1.5 > 0 < symbols


def test_the_keys_of_near_duplicates_are_not_all_in_memory(monkeypatch):
    """The pairs have few different keys, so that the keys of each are what takes the memory."""
    (one, other), (first, second) = pairs = [
        ("a b c d e f g h i j k", "l m n o p q r s t u v"),
        ("a c e g i k b d f h j", "l n p r t v m o q s u"),
    ]
    corpus, few = tiny.corpus(pairs * 2000), tiny.corpus([(one, second), (first, other)])
    peaks = []
    for at_a_time in (25_000, 2_000_000):
        monkeypatch.setattr(near, "_MOST", at_a_time)
        tracemalloc.start()
        assert not near_duplicates(few, corpus).any()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[0] < peaks[1] / 4


def test_pairs_that_are_equal_to_training_pairs_take_little_memory():
    """They would share all keys, whose number grows with the product of the lengths."""
    pairs = [
        (" ".join(f"{n}{k}" for k in range(40)), " ".join(f"{k}{n}" for k in range(40))) for n in range(60)
    ]
    corpus = tiny.corpus(pairs)
    tracemalloc.start()
    assert near_duplicates(corpus, corpus).all()
    assert tracemalloc.get_traced_memory()[1] < 8e6  # all their keys take 164 bytes each
    tracemalloc.stop()


@pytest.mark.parametrize("seed", range(5))
def test_near_duplicates_are_those_of_edit_distances(seed, monkeypatch):
    """Also where the keys of a few pairs are in memory at a time."""
    monkeypatch.setattr(near, "_MOST", (2_000_000, 70, 1, 120, 1200)[seed])
    rng = random.Random(seed)

    def sentence():
        return " ".join(rng.choice("abc") for _ in range(rng.randint(1, 4)))

    pairs = [(sentence(), sentence()) for _ in range(120)]
    training = [(sentence(), sentence()) for _ in range(12)]
    found = near_duplicates(tiny.corpus(pairs), tiny.corpus(training))
    expected = [literal.near_duplicate(pair, training) for pair in pairs]
    assert found.tolist() == expected
    assert 0 < sum(expected) < len(expected)


def test_near_duplicates_of_one_pair_by_hand():
    training = tiny.corpus([("x y z", "a b")])
    near = [("x y z", "a b"), ("x q z", "a"), ("x y", "a b c"), ("w x y z", "b"), ("x y z", "q b")]
    far = [("y x z", "a b"), ("x y z", "b a"), ("x", "a b"), ("x y z", "c"), ("q y q", "a b")]
    assert near_duplicates(tiny.corpus([*near, *far]), training).tolist() == [True] * 5 + [False] * 5
