"""The embedded corpus: the same on every machine, similar in size to the seminar's, with correct grammar."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

import data_reference
from seq2seq_lab.data.sources.grammar import sentences
from seq2seq_lab.data.sources.toy import ToyCorpus
from seq2seq_lab.data.text import Normalisation
from seq2seq_lab.errors import UserError

RAW = list(sentences())
DEFAULT = (
    "351ab53af8108f5944250b874b5cae969c142a262e0884d3d3630b0001d8076b"  # fingerprint of the default settings
)


@pytest.mark.whole
def test_the_default_corpus_is_the_same_in_every_process():
    script = "from seq2seq_lab.data.sources.toy import ToyCorpus; print(ToyCorpus().load().fingerprint)"
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        printed = subprocess.check_output([sys.executable, "-c", script], env=environment, text=True)
        assert printed == f"{DEFAULT}\n"


def test_another_seed_gives_another_corpus():
    assert ToyCorpus(seed=0).load().fingerprint != ToyCorpus(seed=1).load().fingerprint


def test_the_sizes_are_similar_to_those_of_the_seminar():
    corpus = ToyCorpus().load()
    statistics = corpus.statistics(predict_sos=True)
    assert len(corpus) == 2000
    assert statistics["max_source_length"] == 7
    assert statistics["max_target_length"] == 8
    assert statistics["archive_pairs"] > 5000
    assert all(corpus.target_text(i).startswith(data_reference.SEMINAR_PREFIXES) for i in range(len(corpus)))


def test_the_pairs_are_distinct_and_some_sources_have_several_translations():
    corpus = ToyCorpus().load()
    pairs = {(corpus.source_text(i), corpus.target_text(i)) for i in range(len(corpus))}
    assert len(pairs) == len(corpus)
    assert corpus.statistics(predict_sos=True)["distinct_sources"] < len(corpus)
    assert 0 < corpus.loss_floor(predict_sos=False) < 0.05


def test_sentences_are_normalised_as_the_seminar_does():
    corpus = ToyCorpus().load()
    known = {(data_reference.normalise(french), data_reference.normalise(english)) for french, english in RAW}
    assert all((corpus.source_text(i), corpus.target_text(i)) in known for i in range(len(corpus)))


@pytest.mark.parametrize(
    ("french", "english"),
    [
        ("Je suis fatiguée.", "I'm tired."),
        ("Elle est vieille.", "She's old."),
        ("Elles sont si heureuses\u202f!", "They are so happy!"),
        ("Nous sommes loyaux.", "We're loyal."),
        ("Ils sont assis.", "They're seated."),
        ("Tu n’es pas prête.", "You're not ready."),
        ("Nous mangeons dehors.", "We're eating outside."),
        ("J’étudie ce soir.", "I'm studying tonight."),
        ("Il n’écoute pas.", "He's not listening."),
        ("Il est boulanger.", "He's a baker."),
        ("C’est une musicienne italienne.", "She's an Italian musician."),
        ("Ce sont des avocats honnêtes.", "They're honest lawyers."),
        ("Je suis une artiste géniale.", "I'm a brilliant artist."),
        ("Vous êtes à l’école.", "You're at school."),
    ],
)
def test_agreement_elision_and_articles(french, english):
    assert (french, english) in RAW


@pytest.mark.parametrize(
    "wrong",
    [
        r"\b[Jj]e [éê]",
        r"\bne [eéê]",
        r"uxs\b",
        r"als\b",
        r"\bIl est une? (?!peu)",
        r"\bElles sont des",
        r"\ba [aeioI]",
        r"\ba honest",
        r"\ban [^aehiI]",
    ],
)
def test_no_sentence_breaks_a_rule_of_grammar(wrong):
    assert not [pair for pair in RAW if re.search(wrong, " | ".join(pair))]


def test_every_french_sentence_agrees_in_number():
    for french, _ in RAW:
        first, *rest = french.rstrip(" .\u202f!").split(" ")
        if first in ("Ils", "Elles", "Nous") and rest[0] in ("sont", "sommes") and len(rest) == 2:
            assert rest[1][-1] in "sx" or rest[1] == "ici", french


@pytest.mark.parametrize(("pairs", "message"), [(0, "pairs=0"), (10**6, "pairs=1000000: .* only 5,")])
def test_a_number_of_pairs_out_of_range_is_an_error(pairs, message):
    with pytest.raises(UserError, match=rf"data\.{message}"):
        ToyCorpus(pairs=pairs).load()


def test_normalisation_and_filters_do_not_change_which_pairs_are_drawn():
    plain, accented = ToyCorpus().load(), ToyCorpus(strip_accents=False, keep=None).load()
    stripped = [Normalisation()(accented.source_text(i)) for i in range(len(accented))]
    assert stripped == [plain.source_text(i) for i in range(len(plain))]
    short = ToyCorpus(max_words=4).load()
    targets = [plain.target_text(i) for i in range(len(plain))]
    assert 0 < len(short) < len(plain)
    assert {short.target_text(i) for i in range(len(short))} <= set(targets)


def test_all_translations_of_the_grammar_are_references_whatever_pairs_are_drawn():
    drawn, every = ToyCorpus(pairs=300).load(), grammar_pairs()
    references = drawn.references(np.arange(len(drawn)))
    for index, row in enumerate(references):
        assert row[0] == drawn.target_text(index)
        assert len(row) == len(set(row))
        assert set(row) == {target for source, target in every if source == drawn.source_text(index)}
    assert sum(len(row) for row in references) > len({*every} & {*pairs_of(drawn)})


def test_the_distribution_is_of_the_pairs_that_the_filters_keep():
    every = ToyCorpus(pairs=5000).distribution()
    short = ToyCorpus(pairs=40, prefixes=["i am ", "i m happy"], max_pairs=3).distribution()
    source = "je suis heureux ."
    assert every.translations(source) == ["i m happy .", "i m glad ."]
    assert short.translations(source) == ["i m happy ."]
    assert short.next_words(source, ["i", "m"]) == {"happy": 1}
    assert short.translations("tu es heureux .") == every.translations("no such source") == []


def pairs_of(corpus):
    return [(corpus.source_text(index), corpus.target_text(index)) for index in range(len(corpus))]


def grammar_pairs():
    """The normalised pairs of the grammar that can be drawn, each once."""
    normalise = Normalisation()
    found = {tuple(map(normalise, pair)) for pair in RAW}
    return {pair for pair in found if all(len(side.split()) <= 6 for side in pair)}
