"""Means, intervals and pairs: numbers recomputed independently."""

import csv
import io
import math
import random
import statistics
from itertools import product
from typing import get_args

import pytest

from fake_runs import config, write_run, write_sweep
from seq2seq_lab.compare import compare, gather
from seq2seq_lab.compare.pairing import headline, paired_by_seed
from seq2seq_lab.compare.statistics import (
    Estimate,
    average,
    detectable,
    holm,
    paired_difference,
    student_t_quantile,
    welch_difference,
)
from seq2seq_lab.compare.views import columns, paper

# Two-sided 95 % and 99 % quantiles from printed tables.
TABLE = {1: (12.706, 63.657), 2: (4.303, 9.925), 4: (2.776, 4.604), 9: (2.262, 3.250), 30: (2.042, 2.750)}


@pytest.mark.parametrize(("df", "quantiles"), TABLE.items())
def test_quantiles_are_those_of_the_printed_table(df, quantiles):
    assert student_t_quantile(0.95, df) == pytest.approx(quantiles[0], abs=5e-4)
    assert student_t_quantile(0.99, df) == pytest.approx(quantiles[1], abs=5e-4)


@pytest.mark.parametrize("df", [1, 2, 3, 4, 5, 8, 11, 40])
def test_the_density_between_the_quantiles_integrates_to_the_probability(df):
    scale = math.exp(math.lgamma((df + 1) / 2) - math.lgamma(df / 2)) / math.sqrt(df * math.pi)
    steps, t = 20_000, student_t_quantile(0.95, df)
    middles = ((n + 0.5) * t / steps for n in range(steps))
    integral = 2 * t / steps * sum(scale * (1 + x * x / df) ** (-(df + 1) / 2) for x in middles)
    assert integral == pytest.approx(0.95, abs=1e-6)


def test_an_estimate_is_the_mean_and_the_sample_standard_deviation():
    rng = random.Random(0)
    for n in (2, 3, 10):
        values = [rng.gauss(100, 1e-3) for _ in range(n)]
        estimate = Estimate.of(values)
        assert estimate.mean == pytest.approx(statistics.fmean(values), rel=1e-14)
        assert estimate.sd == pytest.approx(statistics.stdev(values), rel=1e-9)
        assert estimate.n == n
    assert math.isnan(Estimate.of([1.0]).sd)
    assert math.isnan(Estimate.of([]).mean)
    assert Estimate.of([1.0, math.inf]).mean == math.inf


def test_the_mean_of_positive_and_negative_infinity_is_not_a_number():
    assert math.isnan(Estimate.of([math.inf, -math.inf, 1.0]).mean)
    assert Estimate.of([math.inf, 1.0]).mean == math.inf


@pytest.mark.parametrize("scale", [1e-300, 1e-90, 1e200, 1e299])
def test_numbers_near_the_limits_are_those_of_one_scaled(scale):
    first, second = [1.0, 2.0, 4.0], [2.0, 5.0, 3.5]
    for one, other in (
        (
            welch_difference(first, second),
            welch_difference(*([scale * x for x in its] for its in (first, second))),
        ),
        (
            paired_difference(dict(enumerate(first)), dict(enumerate(second))),
            paired_difference(*({n: scale * x for n, x in enumerate(its)} for its in (first, second))),
        ),
    ):
        assert other.mean / scale == pytest.approx(one.mean)
        assert other.error / scale == pytest.approx(one.error)
        assert other.df == pytest.approx(one.df)
        assert math.isnan(other.p) or other.p == pytest.approx(one.p)


@pytest.mark.parametrize(("scale", "shown"), [(1e-9, "e-"), (1.0, "+0."), (1e9, "e+")])
def test_an_interval_is_written_with_the_digits_that_it_has(tmp_path, scale, shown):
    for ratio, seed in product((0.25, 0.5), range(3)):
        rows = [{"epoch": 1, "val/loss_forced": scale * (1 + ratio * (1 + 0.1 * seed))}]
        write_run(tmp_path / f"{ratio}" / f"seed-{seed}", config(ratio=ratio, seed=seed), rows=rows)
    found = gather([tmp_path], metrics=["val/loss_forced"])
    (pair,) = found.shown_pairs
    assert shown in pair.interval
    low, high = map(float, pair.interval.partition("[")[2].strip("]").split(", "))
    assert (low, high) == pytest.approx((pair.difference.low, pair.difference.high), rel=0.05)
    text, _ = columns.intervals([each.last("val/loss_forced") for each in found.groups], None)
    low, high = map(float, text.strip("[]").split(", "))
    assert (low, high) == pytest.approx(found.groups[0].last("val/loss_forced").interval(), rel=0.05)


def test_an_average_includes_only_curves_that_have_the_epoch():
    curve = average([{1: 1.0, 2: 3.0}, {1: 2.0}])
    assert [(epoch, estimate.mean, estimate.n) for epoch, estimate in curve.items()] == [
        (1, 1.5, 2),
        (2, 3.0, 1),
    ]


def test_about_19_in_20_intervals_contain_the_true_difference():
    rng = random.Random(1)
    hits = 0
    for _ in range(2000):
        seeds = {
            seed: rng.gauss(0, 5) for seed in range(5)
        }  # the effect of the seed cancels in the difference
        first = {seed: base + rng.gauss(0, 1) for seed, base in seeds.items()}
        second = {seed: base + 0.7 + rng.gauss(0, 1) for seed, base in seeds.items()}
        difference = paired_difference(first, second)
        hits += difference.low <= 0.7 <= difference.high
    assert hits / 2000 == pytest.approx(0.95, abs=0.015)


def test_only_common_seeds_are_paired():
    difference = paired_difference({0: 1.0, 1: 2.0, 2: 9.0}, {0: 1.5, 1: 2.3, 5: 0.0})
    assert (difference.n, difference.mean) == (2, pytest.approx(0.4))
    half = 12.7062047 * statistics.stdev([0.5, 0.3]) / math.sqrt(2)
    assert difference.high - difference.mean == pytest.approx(half)
    assert not difference.excludes_zero
    assert paired_difference({0: 1.0, 1: 2.0}, {0: 2.0, 1: 3.0001}).excludes_zero


def test_a_p_value_is_below_005_where_the_interval_excludes_zero():
    rng = random.Random(2)
    for n in (2, 3, 6):
        for _ in range(200):
            second = {seed: rng.gauss(1, 1) for seed in range(n)}
            difference = paired_difference(dict.fromkeys(range(n), 0.0), second)
            assert (difference.p < 0.05) == difference.excludes_zero


@pytest.mark.parametrize("shift", [0.0, 1.0, 0.1, 1e-9])
def test_equal_differences_have_no_p_value_and_no_interval(shift):
    first = {seed: 0.1 * seed + 7.3 for seed in range(5)}
    second = {seed: value + shift for seed, value in first.items()}
    for found in (
        paired_difference(first, second),
        welch_difference([7.3] * 5, [7.3 + shift] * 4),
    ):
        assert found.mean == pytest.approx(shift)
        assert found.without_variation
        assert all(math.isnan(each) for each in (found.p, found.low, found.high))
        assert not found.excludes_zero
        assert math.isnan(detectable([found]))
    assert paired_difference(first, second | {0: 9.0}).p > 0


def test_what_was_not_tested_does_not_count_in_holm_s_correction():
    assert holm([0.01, math.nan, 0.03]) == pytest.approx([0.02, math.nan, 0.03], nan_ok=True)


@pytest.mark.parametrize("bounds", [(0, 100), (0, 1), (-1, 1)])
def test_intervals_of_scores_with_a_range_stay_in_it(bounds):
    low, high = bounds
    rng = random.Random(0)
    for _ in range(300):
        n = rng.randint(2, 5)
        its = [rng.choice([low, high, rng.uniform(low, high)]) for _ in range(n)]
        estimate = Estimate.of(its)
        lower, upper = estimate.interval(bounds)
        assert math.isnan(lower) if len(set(its)) == 1 else low <= lower <= estimate.mean <= upper <= high
        seeds = dict(enumerate(its))
        others = {seed: rng.uniform(low, high) for seed in seeds}
        cut, whole = paired_difference(seeds, others, bounds=bounds), paired_difference(seeds, others)
        assert low - high <= cut.low <= cut.high <= high - low
        assert (cut.p, cut.excludes_zero) == (whole.p, whole.excludes_zero)


def test_far_from_the_ends_of_the_range_the_interval_is_student_s():
    estimate = Estimate.of([47.1, 48.0, 47.4, 46.9])
    assert estimate.interval((0, 100)) == pytest.approx(estimate.interval(), abs=0.01)


@pytest.mark.parametrize(("alpha", "beta"), [(2, 2), (3, 30), (40, 4)])
def test_about_19_in_20_intervals_of_shares_contain_the_true_mean(alpha, beta):
    rng = random.Random(3)
    hits = 0
    for _ in range(2000):
        low, high = Estimate.of([rng.betavariate(alpha, beta) for _ in range(5)]).interval((0, 1))
        hits += low <= alpha / (alpha + beta) <= high
    assert hits / 2000 == pytest.approx(0.95, abs=0.02)


def test_about_1_in_20_differences_of_nothing_is_one_without_pairs():
    rng = random.Random(4)
    found = [
        welch_difference([rng.gauss(5, 1) for _ in range(5)], [rng.gauss(5, 3) for _ in range(5)])
        for _ in range(2000)
    ]
    assert sum(each.excludes_zero for each in found) / 2000 == pytest.approx(0.05, abs=0.02)
    assert all(each.excludes_zero == (each.p < 0.05) for each in found)


def finished(root, values, **settings):
    """Runs with these last values of val/bleu, seed → value."""
    for seed, value in values.items():
        row = {"epoch": 1, "val/bleu": value}
        write_run(root / f"{settings}-{seed}", config(seed=seed, **settings), rows=[row])


@pytest.mark.parametrize(
    ("key", "value", "paired"),
    [
        ("forcing.ratio", 0.1, True),
        ("objective.alpha", 1.0, True),
        ("optimizer.lr", 0.1, True),
        ("loader.batch_size", 64, True),
        ("model.dropout", 0.3, True),
        ("model.unmasked_positions", 8, True),
        ("model.hidden_size", 128, False),
        ("model.score._target_", "another", False),
        ("data.max_words", 9, False),
        ("split.seed", 1, False),
        ("init_from", "a run", False),
    ],
)
def test_seeds_are_paired_where_they_share_weights_and_data(key, value, paired):
    base = {"model.hidden_size": 64, "data.max_words": 6, "split.seed": 0, "init_from": None}
    base |= {"forcing.ratio": 0.5, "model.dropout": 0.0, "optimizer.lr": 0.01}
    assert paired_by_seed(base, base)
    assert paired_by_seed(base, base | {key: value}) is paired
    assert paired_by_seed(base | {key: value}, base) is paired


@pytest.mark.usefixtures("undrawn")
def test_architectures_are_compared_by_welch_s_test_and_ratios_by_seed(tmp_path):
    finished(tmp_path, {0: 40.0, 1: 42.0, 2: 44.5}, model="seq2seq", ratio=0.5)
    finished(tmp_path, {0: 41.0, 1: 43.5, 2: 45.0}, model="seq2seq", ratio=1.0)
    finished(tmp_path, {0: 50.0, 1: 49.0, 2: 53.0}, model="attention", ratio=0.5)
    stream = io.StringIO()
    comparison = compare([tmp_path], metrics=["val/bleu"], stream=stream)
    pairs = {pair.title: pair for pair in comparison.pairs}
    by_seed = pairs["ratio 0.5 → 1 (model=seq2seq)"].difference
    without = pairs["model attention → seq2seq (ratio=0.5)"].difference
    assert (by_seed.method, by_seed.seeds) == ("paired by seed", "3")
    assert (without.method, without.seeds) == ("Welch", "3 + 3")
    assert without.p == pytest.approx(welch_difference([50, 49, 53], [40, 42, 44.5]).p)
    report = (comparison.output / "report.html").read_text()
    rows = list(csv.DictReader((comparison.output / "pairs.csv").open(newline="")))
    assert {(row["test"], row["seeds"]) for row in rows} == {("paired by seed", "3"), ("Welch", "3 + 3")}
    tables = [
        paper.tables(comparison.groups, comparison.metrics, comparison.pairs, form)
        for form in get_args(paper.Format)
    ]
    for text in (report, stream.getvalue(), *tables):
        assert "paired" in text
        assert "Welch" in text
        assert "3 + 3" in text


def test_groups_without_a_common_seed_are_compared_without_pairs(tmp_path):
    finished(tmp_path, {0: 40.0, 1: 42.0}, ratio=0.5)
    finished(tmp_path, {2: 41.0, 3: 43.5}, ratio=1.0)
    (pair,) = gather([tmp_path]).pairs
    assert (pair.difference.method, pair.difference.mean) == ("Welch", pytest.approx(1.25))


def test_with_unequal_seeds_it_is_said_what_the_difference_is_of(tmp_path):
    finished(tmp_path, {0: 10.0, 1: 12.0, 2: 80.0}, ratio=0.5)
    finished(tmp_path, {0: 53.0, 1: 53.0}, ratio=1.0)
    comparison = gather([tmp_path])
    (pair,) = comparison.pairs
    assert pair.difference.mean == pytest.approx(42.0)  # of the means: 19
    assert pair.verdict.endswith("2 common of 3 and 2 seeds")
    (note,) = comparison.caveats
    assert note.startswith("A paired difference is that of the common seeds")
    assert note.endswith("ratio 0.5 → 1 (2 common of 3 and 2 seeds)")


@pytest.mark.usefixtures("undrawn")
def test_of_equal_differences_the_words_and_tables_say_that_nothing_varies(tmp_path):
    finished(tmp_path, {0: 10.0, 1: 12.0, 2: 14.0}, ratio=0.5)
    finished(tmp_path, {0: 11.0, 1: 13.0, 2: 15.0}, ratio=1.0)
    stream = io.StringIO()
    comparison = compare([tmp_path], metrics=["val/bleu"], stream=stream, form="markdown")
    (pair,) = comparison.pairs
    assert (pair.interval, pair.verdict) == ("+1", "no variation over 3 seeds: no interval")
    assert "| +1 | – | – | paired by seed | 3 |" in stream.getvalue()
    (row,) = csv.DictReader((comparison.output / "pairs.csv").open(newline=""))
    assert (row["p"], row["p (Holm)"], row["low"]) == ("", "", "")


def test_holm_s_correction_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.5]) == [1, 1]
    assert holm([0.02]) == [0.02]


def test_of_many_pairs_the_words_say_what_holm_s_correction_says(tmp_path):
    # p is 0.0494 for one of three pairs, and large for the others.
    for ratio, values in ((0.0, (0, 0, 0)), (0.5, (1, 1.4, 0.6)), (1.0, (9, -9, 2))):
        for seed, value in enumerate(values):
            row = {"epoch": 1, "val/bleu": value}
            write_run(tmp_path / f"{ratio}-{seed}", config(ratio=ratio, seed=seed), rows=[row])
    pairs = {pair.title: pair for pair in gather([tmp_path]).pairs}
    assert [pair.looked_at for pair in pairs.values()] == [3, 3, 3]
    close = pairs["ratio 0 → 0.5"]
    assert close.difference.excludes_zero
    assert close.adjusted == pytest.approx(3 * close.difference.p)
    assert close.verdict == "higher (better), 3 seeds; not with Holm's correction for 3 pairs"
    assert pairs["ratio 0 → 1"].verdict == "not distinguishable from zero, 3 seeds"


def test_the_values_of_a_group_are_those_in_the_files_of_its_runs(tmp_path):
    write_sweep(tmp_path)
    for group in gather([tmp_path]).groups:
        lasts, bests = [], []
        for run in group.runs:
            lines = (run.folder / "metrics.csv").read_text().splitlines()
            column = lines[0].split(",").index("val/bleu")
            values = [float(line.split(",")[column]) for line in lines[1:]]
            lasts.append(values[-1])
            bests.append(max(values))
        assert group.last("val/bleu").mean == pytest.approx(statistics.fmean(lasts))
        assert group.last("val/bleu").sd == pytest.approx(statistics.stdev(lasts))
        assert group.best("val/bleu").mean == pytest.approx(statistics.fmean(bests))


def test_pairs_differ_in_one_setting(tmp_path):
    write_sweep(tmp_path, ratios=(0.25, 0.5))
    write_run(tmp_path / "full", config(forcing="full"))
    titles = {pair.title for pair in gather([tmp_path]).pairs}
    assert titles == {
        "ratio 0.25 → 0.5 (model=attention, forcing=mixed)",
        "ratio 0.25 → 0.5 (model=seq2seq, forcing=mixed)",
        "model attention → seq2seq (forcing=mixed, ratio=0.25)",
        "model attention → seq2seq (forcing=mixed, ratio=0.5)",
        "forcing=full → forcing=mixed, ratio=0.25 (model=seq2seq)",
        "forcing=full → forcing=mixed, ratio=0.5 (model=seq2seq)",
    }


def test_the_verdict_of_a_pair_describes_its_interval(tmp_path):
    values = {"full": [(0, 1.0), (1, 2.0), (2, 3.0)], "mixed": [(0, 2.0), (1, 3.1), (2, 3.9)]}
    for forcing, runs in values.items():
        for seed, value in runs:
            row = {
                "epoch": 1,
                "val/bleu": value,
                "val/loss_free": value,
                "train/loss": value,
                "odd": value**2,
            }
            row["val/chrf"] = seed if forcing == "full" else 2 - seed
            write_run(tmp_path / f"{forcing}-{seed}", config(forcing=forcing, seed=seed), rows=[row])
    pairs = {pair.metric: pair for pair in gather([tmp_path]).pairs}
    assert pairs["val/bleu"].verdict == "higher (better), 3 seeds"
    assert pairs["val/loss_free"].verdict == "higher (worse), 3 seeds"
    assert pairs["val/chrf"].verdict == "not distinguishable from zero, 3 seeds"
    assert "not comparable" in pairs["train/loss"].verdict
    assert headline(list(pairs.values())) != "train/loss"
    assert pairs["val/bleu"].interval == "+1.00 [+0.75, +1.25]"


def test_differences_with_a_tiny_interval_are_shown_with_few_digits(tmp_path):
    for ratio, shift in ((0.25, 0.0), (0.75, -1e-9)):
        for seed in range(3):
            row = {"epoch": 1, "odd": 0.1 * seed + shift * (seed + 1)}
            write_run(tmp_path / f"{ratio}-{seed}", config(ratio=ratio, seed=seed), rows=[row])
    assert gather([tmp_path]).pairs[0].interval == "-2e-09 [-4.48e-09, +4.84e-10]"


def test_one_common_seed_gives_no_interval(tmp_path):
    write_run(tmp_path / "a", config(ratio=0.25, seed=0))
    write_run(tmp_path / "b", config(ratio=0.75, seed=0))
    write_run(tmp_path / "c", config(ratio=0.75, seed=1))
    pair = gather([tmp_path]).pairs[0]
    assert pair.difference.n == 1
    assert "no interval" in pair.verdict
