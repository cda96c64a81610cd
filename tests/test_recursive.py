"""The recursive grammar: exact at any length, beside a second way to write its sentences; the perfect model on it."""

import json
import random
from collections import Counter
from itertools import product

import numpy as np
import pytest

import tiny
from seq2seq_lab.commands import main as cli
from seq2seq_lab.data.sources.clauses import ADJECTIVES, ADVERBS, NOUNS, SHORTEST, VERBS, Clauses, sentence
from seq2seq_lab.data.sources.recursive import RecursiveCorpus
from seq2seq_lab.data.splits import ByRow, parts_of
from seq2seq_lab.errors import UserError
from seq2seq_lab.evaluation.analyses import ANALYSES
from seq2seq_lab.evaluation.part import Part, evaluate_part
from seq2seq_lab.evaluation.perfect import Perfect

DEFAULT = RecursiveCorpus()


def tree(draw, depth):
    """A noun phrase: mark, adjective, noun, and None or its clause (kind, verb, noun phrase)."""
    clause = (
        (draw.choice(["ru", "ro"]), draw.choice([*VERBS]), tree(draw, depth - 1))
        if draw.random() < depth
        else None
    )
    return draw.choice(["sa", "pi", ""]), draw.choice(["", *ADJECTIVES]), draw.choice([*NOUNS]), clause


def source_of(phrase):
    mark, adjective, noun, clause = phrase
    before = [] if clause is None else [*source_of(clause[2]), clause[1], clause[0]]
    return [*before, *filter(None, [adjective]), noun, *filter(None, [mark])]


def targets_of(phrase):
    """Each translation of a noun phrase, and whether it is plural."""
    mark, adjective, noun, clause = phrase
    plurals = {"dog": "dogs", "child": "children", "fox": "foxes"}
    for plural in (False, True):
        if mark == ("sa" if plural else "pi"):
            continue
        word = NOUNS[noun]
        said = [
            "the",
            *([ADJECTIVES[adjective]] if adjective else []),
            plurals.get(word, f"{word}s") if plural else word,
        ]
        if clause is None:
            yield said, plural
            continue
        kind, verb, inside = clause
        for words, inner in targets_of(inside):
            if kind == "ru":
                yield [*said, "that", agreeing(verb, plural), *words], plural
            else:
                yield [*said, "that", *words, agreeing(verb, inner)], plural


def agreeing(verb, plural):
    return VERBS[verb] if plural else f"{VERBS[verb]}s"


@pytest.mark.parametrize("seed", range(40))
def test_the_translations_are_those_of_the_tree(seed):
    draw = random.Random(seed)
    one, other, verb = tree(draw, 1.5), tree(draw, 0.9), draw.choice([*VERBS])
    adverb = draw.choice(["", *ADVERBS])
    source = " ".join([*source_of(one), *source_of(other), verb, *filter(None, [adverb])])
    after = [ADVERBS[adverb]] if adverb else []
    wanted = [
        " ".join([*first, agreeing(verb, plural), *second, *after])
        for (first, plural), (second, _) in product(targets_of(one), targets_of(other))
    ]
    grammar = Clauses()
    assert Counter(grammar.translations(source)) == Counter(wanted)
    assert len(set(wanted)) == len(wanted)
    prefixes = {tuple(text.split()[:t]) for text in wanted for t in range(len(text.split()) + 1)}
    for prefix in prefixes:
        under = [text.split() for text in wanted if tuple(text.split()[: len(prefix)]) == prefix]
        counts = Counter((*words, "<eos>")[len(prefix)] for words in under)
        expected = {word: count / len(under) for word, count in counts.items()}
        assert grammar.next_words(source, prefix) == pytest.approx(expected)
        assert grammar.next_words(source, (*prefix, "the", "the")) == {}


@pytest.mark.parametrize(
    "source",
    [
        "",
        "kamo akar",  # one noun phrase
        "kamo tiru",  # no verb
        "kamo tiru belu akar",  # three noun phrases
        "kamo sa pi tiru akar",
        "bo ke kamo tiru akar",
        "kamo akar ru tiru akar",  # its clause is of the object, and there is no subject
        "kamo tiru akar ru akar",  # a clause without its noun
        "kamo tiru akar tak tak",
        "kamo tiru akar dog",
    ],
)
def test_what_is_no_sentence_has_no_translation(source):
    assert Clauses().translations(source) == []
    assert Clauses().next_words(source, []) == {}


def test_a_source_of_any_length_is_known():
    source = " ".join(["kamo", *["akar ru tiru"] * 60, "belu akar"])
    grammar, prefix, probability = Clauses(), [], 1.0
    while (following := grammar.next_words(source, prefix)) != {"<eos>": 1.0}:
        word, share = max(following.items())
        probability *= share
        prefix.append(word)
    assert len(prefix) == 5 + 4 * 60
    assert probability == pytest.approx(0.5**62)  # 62 nouns without a mark; their verbs follow from them


@pytest.mark.parametrize("length", range(SHORTEST, 41))
def test_a_target_has_the_length_that_was_asked_for(length):
    draw = random.Random(length)
    for ambiguous in (0, 2, 4):
        several = [Clauses().translations(sentence(draw, length, ambiguous)) for _ in range(20)]
        assert {len(text.split()) for texts in several for text in texts} == {length}
        assert max(map(len, several)) <= 2**ambiguous


def test_the_default_corpus_is_always_the_same_and_has_all_lengths():
    one, same, other = (RecursiveCorpus(pairs=2000, seed=seed).read() for seed in (0, 0, 1))
    assert one.sources == same.sources != other.sources
    assert one.targets == same.targets
    counts = Counter(len(text.split()) for text in one.targets)
    assert set(counts) == set(range(5, 41))
    assert max(counts.values()) < 3 * min(counts.values())


def test_targets_are_drawn_from_the_distribution():
    corpus = RecursiveCorpus(pairs=3000, shortest=9, longest=9, ambiguous=1)
    raw, grammar = corpus.read(), corpus.distribution()
    several = [
        (grammar.translations(source), target)
        for source, target in zip(raw.sources, raw.targets, strict=True)
    ]
    assert all(target in texts for texts, target in several)
    first = [target == texts[0] for texts, target in several if len(texts) == 2]
    assert len(first) > 1000
    assert np.mean(first) == pytest.approx(0.5, abs=4 * 0.5 / len(first) ** 0.5)


def test_the_perfect_model_has_no_bias_on_long_targets():
    complete = RecursiveCorpus(pairs=60).load()
    corpus = complete.numbered(np.arange(60), unknown=False)
    indices, truth = np.arange(60), complete.distribution
    values = evaluate_part(
        Perfect(
            distribution=truth,
            source_vocabulary=corpus.source_vocabulary,
            target_vocabulary=corpus.target_vocabulary,
        ),
        Part(
            corpus=corpus,
            references=complete.references(indices),
            predict_sos=False,
            max_length=41,
            distribution=truth,
        ),
        analyses=[ANALYSES["grammar"]],
    ).measures
    assert values["exact_match"] == values["eb_c"] == values["eb_c_inside"] == pytest.approx(1)
    assert (
        values["outside"]
        == values["symbol_error_rate"]
        == values["excess_error"]
        == pytest.approx(0, abs=1e-9)
    )


def test_a_run_is_compared_with_the_grammar(outputs, capsys):
    settings = [
        "data=grammar",
        "data.pairs=60",
        "data.longest=9",
        "split=row",
        "trainer.max_epochs=1",
        "threads=1",
    ]
    assert cli.main(["train", *settings, "model.hidden_size=8", "model.embedding_size=8", "logger=none"]) == 0
    (folder,) = tiny.folders(outputs)
    capsys.readouterr()
    assert cli.main(["evaluate", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["outside"] > 0.9
    assert found["eb_c"] > 0
    assert cli.main(["evaluate", str(folder), "--perfect", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["exact_match"] == 1


def test_parts_are_those_of_the_split():
    corpus = RecursiveCorpus(pairs=200).load()
    assert [len(part) for part in parts_of(corpus, ByRow())] == [160, 20, 20]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shortest": 4}, r"data\.shortest=4: the shortest sentence of the grammar has 5"),
        ({"shortest": 9, "longest": 8}, r"data\.longest=8: it is less than data\.shortest=9"),
        ({"ambiguous": 7}, r"data\.ambiguous=7"),
        ({"pairs": 0}, r"data\.pairs=0"),
    ],
)
def test_a_setting_out_of_range_is_an_error(settings, message):
    with pytest.raises(UserError, match=message):
        RecursiveCorpus(**settings)


def test_prefixes_are_refused_as_the_distribution_would_not_be_that_of_the_pairs():
    with pytest.raises(UserError, match=r"data\.prefixes: this grammar takes none"):
        RecursiveCorpus(prefixes=("the dogs",))
