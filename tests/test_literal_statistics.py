"""The statistics of a comparison beside a second, slow implementation, on random small cases."""

import math
import random
from itertools import product

import numpy as np
import pytest
import sacrebleu
import scipy.stats
from sacrebleu.significance import PairedTest

from literal import statistics as literal
from seq2seq_lab.compare.statistics import (
    Estimate,
    detectable,
    holm,
    paired_difference,
    student_t_p_value,
    student_t_quantile,
    welch_difference,
)
from seq2seq_lab.evaluation.references import streams
from seq2seq_lab.evaluation.significance import SAMPLES, paired_bleu

SEEDS = range(6)


def values(draw, n, centre=50.0, sd=8.0):
    return [draw.gauss(centre, sd) for _ in range(n)]


@pytest.mark.parametrize("df", [1, 1.37, 2, 4, 7.9, 30])
def test_student_s_t(df):
    for t in (0.3, 2.0, 9.0):
        assert student_t_p_value(t, df) == pytest.approx(literal.t_outside(t, df), rel=1e-4)
    assert student_t_quantile(0.95, df) == pytest.approx(literal.t_quantile(0.95, df), rel=1e-4)


@pytest.mark.parametrize("seed", SEEDS)
def test_intervals_of_means(seed):
    draw = random.Random(seed)
    its = values(draw, draw.randint(2, 7))
    assert Estimate.of(its).interval() == pytest.approx(literal.interval(its), rel=1e-4)
    assert Estimate.of(its).interval((0, 100)) == pytest.approx(literal.interval(its, (0, 100)), rel=1e-4)


@pytest.mark.parametrize("seed", SEEDS)
def test_paired_differences(seed):
    draw = random.Random(seed)
    first, second = (dict(zip(draw.sample(range(8), 6), values(draw, 6), strict=True)) for _ in range(2))
    found, (mean, limits, p) = paired_difference(first, second), literal.paired(first, second)
    assert (found.mean, found.low, found.high, found.p) == pytest.approx((mean, *limits, p), rel=1e-4)
    common = sorted(first.keys() & second.keys())
    assert found.p == pytest.approx(
        scipy.stats.ttest_rel([second[s] for s in common], [first[s] for s in common]).pvalue
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_welch_s_differences(seed):
    draw = random.Random(seed)
    first, second = values(draw, draw.randint(2, 6), sd=2), values(draw, draw.randint(2, 6), centre=55)
    found, (mean, limits, p) = welch_difference(first, second), literal.welch(first, second)
    assert (found.mean, found.low, found.high, found.p) == pytest.approx((mean, *limits, p), rel=1e-4)
    assert found.p == pytest.approx(scipy.stats.ttest_ind(second, first, equal_var=False).pvalue)


@pytest.mark.parametrize("seed", SEEDS)
def test_holm_s_procedure(seed):
    draw = random.Random(seed)
    p_values = [draw.random() ** 3 for _ in range(draw.randint(1, 9))]
    adjusted = holm(p_values)
    for alpha in (0.01, 0.05, 0.2, 0.7):
        assert {test for test, p in enumerate(adjusted) if p <= alpha} == literal.holm_rejects(
            p_values, alpha
        )


@pytest.mark.parametrize(("pairs", "tests"), [(6, 20), (3, 2), (8, 1)])
def test_the_detectable_difference_has_the_power_at_holm_s_first_step(pairs, tests):
    draw = random.Random(tests)
    differences = [values(draw, pairs, centre=0, sd=1) for _ in range(tests)]
    found = detectable(
        [paired_difference(dict.fromkeys(range(pairs), 0.0), dict(enumerate(each))) for each in differences]
    )
    assert found == pytest.approx(literal.detectable(differences), rel=1e-3)
    assert scipy.stats.nct.sf(  # one difference, of which the error is known
        student_t_quantile(1 - 0.05 / tests, pairs - 1), pairs - 1, found / literal_error(differences)
    ) == pytest.approx(0.8, abs=1e-3)


def literal_error(differences):
    return sorted(math.sqrt(literal.variance(each) / len(each)) for each in differences)[
        len(differences) // 2
    ]


# Bootstrap


def translations(seed, sentences):
    """References, and hypotheses of two models with wrong words."""
    draw = random.Random(seed)
    references = [
        [" ".join(draw.choice("abcde") for _ in range(draw.randint(3, 8))) for _ in range(draw.randint(1, 3))]
        for _ in range(sentences)
    ]
    models = (
        [" ".join(w if draw.random() > share else "x" for w in row[0].split()) for row in references]
        for share in (0.3, 0.2)
    )
    return references, *models


@pytest.mark.parametrize("seed", range(3))
def test_the_bootstrap_by_component_on_the_same_draws(seed):
    references, first, second = translations(seed, 9)
    components = random.Random(seed).choices([10, 4, 7, 8], k=9)
    names = sorted(set(components))
    numbers = np.random.default_rng(12345)
    draws = [[names[i] for i in numbers.choice(len(names), size=len(names)).tolist()] for _ in range(SAMPLES)]
    differences = literal.resampled(first, second, references, components, draws)
    observed = literal.bleu(second, references) - literal.bleu(first, references)
    found = paired_bleu(first, second, references, components)
    assert found.difference == pytest.approx(observed)
    assert found.sd == pytest.approx(math.sqrt(literal.variance(differences)))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(differences, (0.025, 0.975))))
    assert found.p == pytest.approx(literal.p_value(differences, observed))
    assert (found.units, found.sentences, found.by_component) == (len(names), 9, True)


def test_the_bootstrap_approaches_the_enumeration_of_all_samples():
    references, first, second = translations(5, 12)
    components = [row // 4 for row in range(12)]
    every = literal.resampled(first, second, references, components, list(product(range(3), repeat=3)))
    found = paired_bleu(first, second, references, components)
    exact = math.sqrt(sum((each - literal.mean(every)) ** 2 for each in every) / len(every))
    assert found.sd == pytest.approx(exact, rel=0.08)
    assert min(every) - 1e-9 <= found.low <= found.high <= max(every) + 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_with_one_sentence_per_component_it_is_sacrebleu_s_paired_bootstrap(seed):
    references, first, second = translations(seed, 80)
    bleu = sacrebleu.BLEU(tokenize="none", force=True)
    _, scores = PairedTest(
        [("first", first), ("second", second)], {"BLEU": bleu}, streams(references), "bs", SAMPLES
    )()
    theirs = scores["BLEU"][1]
    for components in (None, list(range(80))):
        found = paired_bleu(first, second, references, components)
        assert found.p == pytest.approx(theirs.p_value)
        assert found.difference == pytest.approx(theirs.score - scores["BLEU"][0].score)


def test_repeated_sentences_in_components_widen_the_interval():
    """Four copies of each of 50 sentences tell no more than the 50."""
    references, first, second = translations(1, 50)
    alone = paired_bleu(first, second, references)
    copies = [[each for each in rows for _ in range(4)] for rows in (first, second, references)]
    naive = paired_bleu(*copies)
    clustered = paired_bleu(*copies, [row // 4 for row in range(200)])
    assert clustered.sd == pytest.approx(alone.sd)
    assert (clustered.low, clustered.high) == pytest.approx((alone.low, alone.high))
    assert naive.sd == pytest.approx(alone.sd / 2, rel=0.1)
    assert clustered.p == alone.p
