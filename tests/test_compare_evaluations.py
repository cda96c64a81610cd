"""Evaluations of trained models in a comparison: results with intervals, and the curves of the analyses."""

import csv
import io
import math
import random
import statistics
from itertools import product

import pytest
import sacrebleu
from matplotlib.figure import Figure

from fake_evaluations import evaluation, noisy, small, write_evaluation
from fake_runs import TOY, config, write_run, write_sweep
from literal import statistics as literal
from seq2seq_lab.compare import compare, gather
from seq2seq_lab.compare.analyses import Drawn, curves, in_order
from seq2seq_lab.compare.views import analyses
from seq2seq_lab.evaluation.significance import paired_bleu
from seq2seq_lab.runs import evaluations
from seq2seq_lab.runs.evaluations import Translated, read_translated

QUALITIES = {0.25: 0.6, 0.5: 0.7, 0.75: 0.8}
ACCURACY = Drawn(
    analysis="positions", x="position", y="own", title="", xlabel="", ylabel="", count="sentences"
)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Three ratios with an evaluation of each of three seeds, and what `compare` printed."""
    root = write_sweep(tmp_path_factory.mktemp("sweep"), models=["seq2seq"])
    for ratio, quality in QUALITIES.items():
        for seed in range(3):
            folder = root / f"seq2seq-mixed-{ratio}" / f"seed-{seed}"
            write_evaluation(folder, "test", evaluation(quality, seed))
    stream = io.StringIO()
    return compare([root], metrics=["test/bleu"], stream=stream), stream.getvalue()


def values(ratio, name):
    return [evaluation(QUALITIES[ratio], seed)["measures"][name] for seed in range(3)]


def test_the_results_have_mean_deviation_and_interval_over_seeds(sweep):
    comparison, printed = sweep
    assert "mean ± sd" in printed
    assert "intervals of means are Student's t; of scores with a range" in printed
    with (comparison.output / "summary.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, ratio in zip(rows, QUALITIES, strict=True):
        for name, bounds in (("bleu", (0, 100)), ("exact_match", (0, 1)), ("eb_m", None)):
            its = values(ratio, name)
            assert float(row[f"test/{name} mean"]) == pytest.approx(statistics.fmean(its))
            assert float(row[f"test/{name} sd"]) == pytest.approx(statistics.stdev(its))
            limits = float(row[f"test/{name} low"]), float(row[f"test/{name} high"])
            assert limits == pytest.approx(literal.interval(its, bounds), rel=1e-4)
            assert row[f"test/{name} n"] == "3"


def test_by_default_the_metrics_of_the_test_part_are_shown_but_those_of_the_analyses_are_in_the_report(sweep):
    metrics = gather([run.folder for run in sweep[0].runs]).metrics
    assert {"val/bleu", "test/bleu", "test/exposure_gap"} < set(metrics)
    assert not {"test/eb_m", "test/accuracy_gap"} & set(metrics)


def test_each_run_has_its_value_in_the_results(sweep):
    comparison, _ = sweep
    with (comparison.output / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        assert float(row["test/bleu"]) == values(float(row["ratio"]), "bleu")[int(row["seed"])]


def test_groups_are_paired_in_the_metrics_of_trained_models(sweep):
    comparison, printed = sweep
    pair = next(pair for pair in comparison.pairs if pair.metric == "test/bleu")
    differences = [b - a for a, b in zip(values(0.25, "bleu"), values(0.5, "bleu"), strict=True)]
    assert pair.difference.mean == pytest.approx(statistics.fmean(differences))
    words = " ".join(printed.split())  # on a narrow terminal the title stands above the numbers
    assert "ratio 0.25 → 0.5" in words
    assert pair.interval in words


def test_the_curves_are_means_over_the_seeds_of_points_with_enough_sentences(sweep):
    comparison, _ = sweep
    found = curves(comparison.groups[0], "test", ACCURACY).points
    its = [evaluation(0.6, seed)["analyses"]["positions"]["own"] for seed in range(3)]
    assert list(found) == [1, 2, 3, 4, 5, 6]  # the last one has two sentences
    for t, estimate in found.items():
        assert estimate.mean == pytest.approx(statistics.fmean(each[t - 1] for each in its))
        assert estimate.n == 3


def test_every_kind_of_analysis_is_a_plot_and_in_the_report(sweep):
    comparison, _ = sweep
    report = (comparison.output / "report.html").read_text()
    for kind in ("positions", "recovery", "beams", "sentences", "grammar"):
        for suffix in ("png", "svg"):
            assert (comparison.output / f"evaluation-test-{kind}.{suffix}").exists()
    assert "All measures on test" in report
    assert "test/eb_m" in report


def test_names_are_in_the_order_of_their_numbers(sweep):
    comparison, _ = sweep
    axes = Figure().subplots()
    plot = next(plot for plot in analyses.plots(comparison.groups) if plot.name.endswith("sentences"))
    plot.panels["BLEU, by source length"](axes)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1–2", "3–4", "5–6", "11–15"]
    plot.panels["BLEU, by unknown words"](axes)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["without", "with"]


def test_bands_are_the_intervals_of_the_means(sweep):
    comparison, _ = sweep
    axes = Figure().subplots()
    plot = next(plot for plot in analyses.plots(comparison.groups) if plot.name.endswith("positions"))
    plot.panels["Accuracy after the model's own words"](axes)
    (bands,) = axes.collections
    points = curves(comparison.groups[0], "test", ACCURACY).points
    half = len(points)
    low, high = bands.get_paths()[0].vertices[:half], bands.get_paths()[0].vertices[half : 2 * half][::-1]
    for (x, lower), (_, upper) in zip(low, high, strict=True):
        assert (lower, upper) == pytest.approx(points[int(x)].interval((0, 1)))


def test_runs_without_an_evaluation_lack_it_and_others_are_shown(tmp_path):
    write_sweep(tmp_path, models=["seq2seq"], ratios=(0.25, 0.5))
    folder = tmp_path / "seq2seq-mixed-0.25" / "seed-0"
    write_evaluation(folder, "test", small(0.6, 0))
    stream = io.StringIO()
    comparison = compare([tmp_path], metrics=["test/bleu"], stream=stream)
    first, second = comparison.groups
    assert (first.last("test/bleu").n, second.last("test/bleu").n) == (1, 0)
    assert "(n=1)" in stream.getvalue()
    assert (comparison.output / "evaluation-test-recovery.png").exists()


def test_plots_of_an_earlier_comparison_are_removed(tmp_path):
    write_sweep(tmp_path, models=["seq2seq"], ratios=(0.25,), seeds=(0,))
    folder = tmp_path / "seq2seq-mixed-0.25" / "seed-0"
    write_evaluation(folder, "test", small(0.6, 0))
    output = compare([tmp_path], metrics=["test/bleu"], stream=io.StringIO()).output
    assert list(output.glob("evaluation-*"))
    (folder / "evaluation" / "test.json").unlink()
    compare([tmp_path], metrics=["val/bleu"], stream=io.StringIO())
    assert not list(output.glob("evaluation-*"))


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"measures": 3, "analyses": [1]}', '{"measures": {"bleu": "x"}}']
)
def test_a_damaged_evaluation_is_skipped(tmp_path, text):
    write_sweep(tmp_path, models=["seq2seq"], ratios=(0.25,), seeds=(0,))
    folder = tmp_path / "seq2seq-mixed-0.25" / "seed-0"
    write_evaluation(folder, "test", {})
    (folder / "evaluation" / "test.json").write_text(text)
    comparison = gather([tmp_path])
    assert comparison.groups[0].last("test/bleu").n == 0
    assert any("damaged" in note for note in comparison.notes) == (text in ("", "[]", "{"))


@pytest.mark.parametrize(
    "strange",
    [
        {"positions": {"position": [1, 2], "own": [0.5], "gold": ["a", None], "gap": 3}},
        {"positions": {"position": [1], "own": [0.5], "sentences": ["9"]}},
        {"beams": {"beam": [10**30], "bleu": [3.0]}},
    ],
)
def test_an_analysis_of_another_form_is_not_drawn(tmp_path, strange):
    write_sweep(tmp_path, models=["seq2seq"], ratios=(0.25,), seeds=(0,))
    folder = tmp_path / "seq2seq-mixed-0.25" / "seed-0"
    write_evaluation(folder, "test", {"measures": {}, "analyses": strange})
    assert analyses.plots(gather([tmp_path]).groups) == []


def test_a_group_whose_name_is_a_very_long_number_is_drawn(tmp_path):
    write_sweep(tmp_path, models=["seq2seq"], ratios=(0.25,), seeds=(0,))
    strange = {"by_form": {"group": ["9" * 5000], "exact_match": [0.5], "sentences": [9]}}
    folder = tmp_path / "seq2seq-mixed-0.25" / "seed-0"
    write_evaluation(folder, "test", {"measures": {}, "analyses": strange})
    assert len(analyses.plots(gather([tmp_path]).groups)) == 1


# Over sentences

_WORDS = random.Random(0)
REFERENCES = [[" ".join(_WORDS.choice("abcdefgh") for _ in range(7))] for _ in range(100)]


def translated(root, ratios, shares, seeds=(0, 1), components=None):
    """Groups whose hypotheses have these shares of wrong words; of the first one, components of four sentences."""
    write_sweep(root, models=["seq2seq"], ratios=ratios, seeds=seeds)
    for ratio, share in zip(ratios, shares, strict=True):
        for seed in seeds:
            folder = root / f"seq2seq-mixed-{ratio}" / f"seed-{seed}"
            hypotheses = noisy(REFERENCES, share, seed)
            bleu = sacrebleu.corpus_bleu(
                hypotheses, [[r[0] for r in REFERENCES]], tokenize="none", force=True
            )
            results = {"measures": {"bleu": bleu.score}}
            sources = ["?"] * len(hypotheses)
            evaluations.write_evaluation(
                folder,
                "test",
                results,
                sources=sources,
                references=REFERENCES,
                hypotheses=hypotheses,
                components=components if ratio == ratios[0] else None,
            )
    return root


def test_two_groups_are_compared_over_sentences_and_over_seeds(tmp_path):
    stream = io.StringIO()
    comparison = compare(
        [translated(tmp_path, (0.25, 0.75), (0.4, 0.1))], metrics=["test/bleu"], stream=stream
    )
    (found,) = comparison.over_sentences
    first, second = comparison.groups
    for seed, each in found.by_seed.items():
        difference = second.by_seed("test/bleu")[seed] - first.by_seed("test/bleu")[seed]
        assert each.difference == pytest.approx(difference)
        assert each.p == pytest.approx(1 / 1001)
    drawn = "over sentences: 100 sentences drawn one by one, as their files name no components; "
    shown = " ".join(stream.getvalue().split())  # wrapped to the terminal
    assert drawn + "the interval excludes zero for 2 of 2 seeds: seed 0 +" in shown
    assert "over seeds: +" in stream.getvalue()
    report = (comparison.output / "report.html").read_text(encoding="utf-8")
    assert "Two kinds of chance" in report
    assert "<th>over sentences</th>" in report


def test_components_are_drawn_where_one_of_the_two_files_names_them(tmp_path):
    components = [row // 4 for row in range(100)]
    comparison = gather([translated(tmp_path, (0.25, 0.75), (0.4, 0.1), components=components)])
    (found,) = comparison.over_sentences
    assert found.over_sentences.startswith("25 components of 100 sentences drawn; the interval excludes zero")
    for seed, each in found.by_seed.items():
        first, second = (noisy(REFERENCES, share, seed) for share in (0.4, 0.1))
        assert each == paired_bleu(first, second, REFERENCES, components)
        assert f"(sd {each.sd:.2f}, p = {each.p:.3f})" in found.over_sentences


def test_of_more_groups_hypotheses_are_read_only_when_asked_for(tmp_path):
    root = translated(tmp_path, (0.25, 0.5, 0.75), (0.4, 0.4, 0.1), seeds=(0,))
    assert gather([root]).over_sentences == []
    titles = [each.pair.title for each in gather([root], significance=True).over_sentences]
    assert titles == ["ratio 0.25 → 0.5", "ratio 0.25 → 0.75", "ratio 0.5 → 0.75"]


def test_translations_are_read_as_they_were_written(tmp_path):
    hypotheses, references = ["", "x\ty\u2028z"], [["1", "2"], ["3"]]
    evaluations.write_evaluation(
        tmp_path, "test", {}, sources=["a", "é"], references=references, hypotheses=hypotheses
    )
    assert read_translated(tmp_path / "evaluation" / "test.json") == Translated(hypotheses, references)
    assert read_translated(tmp_path / "evaluation" / "validation.json") is None
    evaluations.write_evaluation(
        tmp_path,
        "test",
        {},
        sources=["a", "é"],
        references=references,
        hypotheses=hypotheses,
        components=[7, 7],
    )
    assert read_translated(tmp_path / "evaluation" / "test.json") == Translated(
        hypotheses, references, [7, 7]
    )


def test_where_sources_count_each_is_one_sentence(tmp_path):
    evaluations.write_evaluation(
        tmp_path,
        "test",
        {},
        sources=["a", "b", "a", "c"],
        references=[["1", "2"], ["3"], ["2", "1"], ["4"]],
        hypotheses=["1", "3", "1", "5"],
        components=[7, 8, 7, 9],
    )
    each = Translated(["1", "3", "5"], [["1", "2"], ["3"], ["4"]], [7, 8, 9])
    assert read_translated(tmp_path / "evaluation" / "test.json", "source") == each
    assert len(read_translated(tmp_path / "evaluation" / "test.json", "pair").hypotheses) == 4


@pytest.mark.parametrize(
    "component", ["", ', "component": null', ', "component": 1e999', ', "component": "3"']
)
def test_a_file_without_whole_numbers_of_components_is_read_without_them(tmp_path, component):
    row = '{"references": ["b"], "hypothesis": "c"'
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "test.jsonl").write_text(f'{row}, "component": 1}}\n{row}{component}}}\n')
    assert read_translated(tmp_path / "evaluation" / "test.json") == Translated(["c", "c"], [["b"], ["b"]])


def test_without_hypotheses_a_note_says_so(tmp_path):
    write_sweep(tmp_path, models=["seq2seq"], ratios=(0.25, 0.5, 0.75), seeds=(0,))
    comparison = gather([tmp_path], significance=True)
    assert any("seq2seq-lab evaluate" in note for note in comparison.notes)


def test_equal_translations_and_small_differences_are_not_significant():
    first = noisy(REFERENCES, 0.3, 0)
    same = paired_bleu(first, first, REFERENCES)
    assert (same.difference, same.sd, same.p, same.excludes_zero) == (0.0, 0.0, 1.0, False)
    assert paired_bleu(first, noisy(REFERENCES, 0.31, 0), REFERENCES).p > 0.05


def test_where_no_sample_differs_nothing_is_significant(tmp_path):
    nothing_right = [paired_bleu(["x"] * 100, ["y"] * 100, REFERENCES)]
    assert [(each.difference, each.p, each.excludes_zero) for each in nothing_right] == [(0.0, 1.0, False)]
    comparison = gather([translated(tmp_path, (0.25, 0.75), (0.4, 0.1), components=[7] * 100)])
    (found,) = comparison.over_sentences
    assert all(each.difference > 10 and math.isnan(each.p) for each in found.by_seed.values())
    assert "excludes zero for 0 of 2 seeds" in found.over_sentences
    assert found.over_sentences.endswith("(no interval: there is only one to draw)")


def test_scores_of_different_segments_are_not_mixed_without_a_word(tmp_path):
    root = write_sweep(tmp_path, models=["seq2seq"])
    for number, ratio in enumerate(QUALITIES):
        for seed in range(3):
            now = {"segments": "source"} if number == 0 else {}  # and the others are of version 0.2
            write_evaluation(root / f"seq2seq-mixed-{ratio}" / f"seed-{seed}", "test", small(0.5, seed) | now)
    stream = io.StringIO()
    comparison = compare([root], metrics=["test/bleu"], stream=stream)
    (caveat,) = (each for each in comparison.caveats if "--segments" in each)
    assert caveat.startswith(
        "Scores of translations of test do not compare: they count each source once in seq2seq"
    )
    assert "--segments" in caveat
    assert caveat in " ".join(stream.getvalue().split())
    of_one = gather([root / f"seq2seq-mixed-{ratio}" for ratio in list(QUALITIES)[1:]])
    assert not any("segments" in each for each in of_one.caveats)


MADE = {
    "segments": "source",
    "beam": 1,
    "length_penalty": 1.0,
    "averaged": None,
    "pairs": 500,
    "checkpoint": "best",
}


def evaluated(root, of_run):
    """Two groups of three runs, evaluated with what `of_run` changes for each ratio and seed."""
    write_sweep(root, models=["seq2seq"], ratios=(0.25, 0.5))
    for ratio, seed in product((0.25, 0.5), range(3)):
        contents = small(QUALITIES[ratio], seed) | MADE | of_run(ratio, seed)
        write_evaluation(root / f"seq2seq-mixed-{ratio}" / f"seed-{seed}", "test", contents)
    return gather([root])


@pytest.mark.parametrize(
    ("changed", "option", "losses"),
    [
        ({"beam": 5}, "beam", True),
        ({"pairs": 50}, "max-pairs", False),
        ({"averaged": 5, "checkpoint": "last"}, "average", False),
        ({"segments": "pair"}, "segments", True),
    ],
)
@pytest.mark.parametrize("within", [True, False])
def test_evaluations_that_were_made_differently_do_not_compare(tmp_path, changed, option, losses, within):
    """Not even of one group. A loss depends on no beam."""
    comparison = evaluated(
        tmp_path, lambda ratio, seed: changed if (seed == 2 if within else ratio == 0.5) else {}
    )
    (caveat,) = (each for each in comparison.caveats if "do not compare" in each)
    assert f"`seq2seq-lab evaluate --{option}`" in caveat
    pairs = {each.metric: each for each in comparison.pairs}
    assert pairs["test/bleu"].apart == f"evaluated with different {option}"
    assert not pairs["test/bleu"].comparable
    assert pairs["test/loss_forced"].comparable == losses
    assert pairs["val/bleu"].comparable


def test_evaluations_that_were_made_alike_compare(tmp_path):
    comparison = evaluated(
        tmp_path, lambda ratio, seed: {"length_penalty": 0.5 + ratio}
    )  # greedy: it has none
    assert all(each.comparable for each in comparison.pairs if each.metric != "train/loss")
    assert not any("compare" in each for each in comparison.caveats if each.startswith("Results"))


def test_the_numbers_of_pairs_of_several_splits_compare(tmp_path):
    """`evaluate --data` leaves out what the training part has, which is another number of pairs for each split."""
    for ratio, seed in product((0.25, 0.5), range(3)):
        folder = tmp_path / f"seq2seq-mixed-{ratio}" / f"seed-{seed}"
        settings = config(ratio=ratio, seed=seed) | {"split": {"seed": seed}}
        write_run(folder, settings, corpus=TOY | {"fingerprint": f"{seed}" * 64})
        write_evaluation(folder, "more", small(QUALITIES[ratio], seed) | MADE | {"pairs": 300 + seed})
    comparison = gather([tmp_path])
    assert len(comparison.groups) == 2
    assert not any("do not compare" in each for each in comparison.caveats)
    assert all(each.comparable for each in comparison.pairs if each.metric.startswith("more/"))


def test_the_best_checkpoint_of_some_and_the_last_of_others_is_said(tmp_path):
    comparison = evaluated(tmp_path, lambda ratio, _: {"checkpoint": "last"} if ratio == 0.5 else {})
    (caveat,) = (each for each in comparison.caveats if each.startswith("Results"))
    assert caveat.startswith(
        "Results of test are of different checkpoints: the best one of seq2seq-mixed-0.25/seed-0"
    )
    both = gather([tmp_path], checkpoints=("best", "last"))
    assert not any("different checkpoints" in each for each in both.caveats)


def test_means_of_checkpoints_are_said_to_be(tmp_path):
    comparison = evaluated(tmp_path, lambda *_: {"averaged": 5, "checkpoint": "last"})
    (caveat,) = (each for each in comparison.caveats if each.startswith("Results"))
    assert caveat.startswith("Results of test are of the mean of the newest 5 kept checkpoints")
    assert all(each.comparable for each in comparison.pairs if each.metric != "train/loss")


def test_an_evaluation_of_a_mean_replaces_neither_that_of_the_best_nor_that_of_the_last(tmp_path):
    for number, changed in enumerate(({}, {"averaged": 2}, {"checkpoint": "last"}, {"averaged": 3})):
        write_evaluation(tmp_path, "test", small(0.5, number) | MADE | changed)
    folder = tmp_path / "evaluation"
    bleu = {
        where: evaluations.read_evaluations(folder / where)[0]["test"].measures["bleu"]
        for where in (".", "best", "last")
    }
    assert bleu == {
        where: small(0.5, number)["measures"]["bleu"]
        for where, number in ((".", 3), ("best", 0), ("last", 2))
    }


def test_validation_that_counts_sources_does_not_compare_with_one_that_counts_pairs(tmp_path):
    for segments, seed in product(("source", "pair"), range(2)):
        write_run(tmp_path / segments / f"seed-{seed}", config(seed=seed) | {"segments": segments})
    apart = {each.metric: each.apart for each in gather([tmp_path]).pairs}
    assert apart["val/bleu"] == "evaluated with different segments"
    assert apart["val/loss_forced"] == apart["train/loss"] == ""


@pytest.mark.parametrize("forms", [("and", "plain"), ("depth 2, left", "depth 2, right")])
def test_points_with_a_name_are_those_of_the_same_name_in_every_run(tmp_path, forms):
    write_sweep(tmp_path, models=["seq2seq"], ratios=(0.5,), seeds=(0, 1))
    several = {0: (forms, [0.2, 0.9], [50, 50]), 1: (forms[1:], [0.8], [50])}
    for seed, (names, shares, counts) in several.items():
        analysis = {"group": names, "exact_match": shares, "sentences": counts}
        contents = small(0.5, seed) | {"analyses": {"by_form": analysis}}
        write_evaluation(tmp_path / "seq2seq-mixed-0.5" / f"seed-{seed}", "test", contents)
    (group,) = gather([tmp_path]).groups
    drawn = Drawn(
        analysis="by_form", x="group", y="exact_match", title="", xlabel="", ylabel="", count="sentences"
    )
    found = curves(group, "test", drawn)
    assert {found.labels[place]: each.mean for place, each in found.points.items()} == pytest.approx(
        dict(zip(forms, (0.2, 0.85), strict=True))
    )
    assert [found.points[place].n for place in in_order(found.labels)] == [1, 2]


def test_what_version_0_2_measured_inside_the_grammar_keeps_its_meaning(tmp_path):
    old = evaluation(0.5, 0)
    old["measures"] |= {"eb_c": 1.2, "excess_error": -3.0}
    old["analyses"]["grammar"]["total_variation"]["model_at_most"] = [0.5, 0.6, 0.7, 1.0]
    write_evaluation(tmp_path, "test", old)
    write_evaluation(tmp_path, "validation", old | {"segments": "source"})
    read, notes = evaluations.read_evaluations(tmp_path / "evaluation")
    assert notes == []
    assert (read["test"].segments, read["validation"].segments) == ("pair", "source")
    assert {"eb_c_inside": 1.2, "excess_error_inside": -3.0}.items() <= read["test"].measures.items()
    assert not {"eb_c", "excess_error"} & set(read["test"].measures)
    before, now = old["analyses"]["grammar"], read["test"].analyses["grammar"]
    assert now["excess_inside"] == before["excess"]
    assert now["total_variation"]["eb_c_inside"] == before["total_variation"]["eb_c"]
    assert now["total_variation"]["model_inside"] == before["total_variation"]["model"]
    assert now["total_variation"]["model"] == [0.5, 0.6, 0.7, 1.0]
    assert read["validation"].measures["eb_c"] == 1.2
    assert read["validation"].analyses["grammar"] == before


def test_a_value_that_is_not_finite_is_null_in_the_file_and_nan_when_read(tmp_path):
    contents = {"segments": "source", "measures": {"loss_free": math.inf, "bleu": 3.0}, "analyses": {}}
    write_evaluation(tmp_path, "test", contents | {"analyses": {"a": {"x": [1.0, math.nan]}}})
    assert "Infinity" not in (tmp_path / "evaluation" / "test.json").read_text()
    read, _ = evaluations.read_evaluations(tmp_path / "evaluation")
    assert read["test"].measures == pytest.approx({"loss_free": math.nan, "bleu": 3.0}, nan_ok=True)
    assert read["test"].analyses == {"a": {"x": [1.0, None]}}
