"""The facts of a metric in a comparison: from the registry, or from the summaries of runs."""

import csv
import io

import pytest
from matplotlib.figure import Figure

from fake_runs import ENG_FRA, TOY, config, write_run
from seq2seq_lab.compare import compare, gather
from seq2seq_lab.compare.metrics import shown
from seq2seq_lab.compare.views import plots
from seq2seq_lab.evaluation.measures import Measure, measure, to_dict

DESCRIBED = to_dict(
    [
        Measure(name="distance", label="edit distance", unit="words", better="lower", log=True),
        Measure(name="calls", label="calls", unit="", better=None, shown=False),
    ]
)
ROWS = [
    {
        "epoch": epoch,
        "train/loss": 1 / epoch,
        "val/distance": distance,
        "val/calls": 1,
        "perf/epoch_seconds": epoch,
    }
    for epoch, distance in ((1, 400.0), (2, 2.0), (3, 4.0))
]


def sweep(root, measures):
    """Two groups of two seeds; in one the distance is longer."""
    for ratio in (0.25, 0.5):
        for seed in range(2):
            shift = seed / 100 + (10 + seed / 50) * (ratio == 0.5)
            rows = [row | {"val/distance": row["val/distance"] + shift} for row in ROWS]
            write_run(
                root / f"{ratio}" / f"{seed}", config(ratio=ratio, seed=seed), rows=rows, measures=measures
            )
    return root


def axes_of(comparison, metric):
    axes = Figure().subplots()
    plots.curves(comparison.groups, [metric]).panels[metric](axes)
    return axes


def test_the_description_of_a_measure_sets_label_direction_best_value_and_axis(tmp_path):
    stream = io.StringIO()
    comparison = compare([sweep(tmp_path, DESCRIBED)], stream=stream)
    assert comparison.metrics == ["train/loss", "val/distance"]
    assert "val/distance ↓" in stream.getvalue()
    assert comparison.groups[0].best("val/distance").mean == 2.005
    verdicts = {pair.metric: pair.verdict for pair in comparison.pairs}
    assert verdicts["val/distance"] == "higher (worse), 2 seeds"
    axes = axes_of(comparison, "val/distance")
    assert (axes.get_ylabel(), axes.get_yscale()) == ("edit distance (words)", "log")
    with (comparison.output / "summary.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert "val/distance best mean" in row
    assert "val/calls best mean" not in row


def test_the_description_in_one_run_is_sufficient(tmp_path):
    sweep(tmp_path, None)
    write_run(tmp_path / "0.25" / "0", config(ratio=0.25, seed=0), rows=ROWS, measures=DESCRIBED)
    group = gather([tmp_path]).groups[0]
    assert (group.best("val/distance").n, group.measure("val/distance").better) == (2, "lower")


def test_a_measure_without_a_description_has_only_its_name(tmp_path):
    comparison = gather([sweep(tmp_path, None)])
    assert comparison.metrics == ["train/loss"]
    assert comparison.groups[0].best("val/distance").n == 0
    assert axes_of(comparison, "val/distance").get_ylabel() == "val/distance"


def test_a_run_cannot_change_a_registered_measure(tmp_path):
    lie = {"loss": {"label": "gain", "better": "higher"}, "epoch_seconds": {"better": "lower"}, "x": 3}
    group = gather([sweep(tmp_path, lie)]).groups[0]
    assert group.measure("train/loss").better == "lower"
    assert group.best("perf/epoch_seconds").n == 0


def test_speed_has_no_better_direction(tmp_path):
    stream = io.StringIO()
    comparison = compare([sweep(tmp_path, None)], metrics=["perf/*"], stream=stream)
    assert "↓" not in stream.getvalue()
    assert all("better" not in pair.verdict for pair in comparison.shown_pairs)
    header = (comparison.output / "results.csv").read_text().splitlines()[0]
    assert "perf/epoch_seconds last" in header
    assert "perf/epoch_seconds best" not in header


@pytest.mark.parametrize(
    ("metric", "bounds"),
    [
        ("test/bleu", (0, 100)),
        ("val/chrf", (0, 100)),
        ("val/exact_match", (0, 1)),
        ("train/forced_share", (0, 1)),
        ("test/accuracy_own", (0, 1)),
        ("test/recovery_random", (0, 1)),
        ("test/repetition_2", (0, 1)),
        ("test/outside", (0, 1)),
        ("test/accuracy_gap", None),
        ("test/accuracy_gap_to_own_end", None),
        ("test/loss_free", None),
        ("test/exposure_gap", None),
        ("test/eb_m", None),
        ("test/length_ratio", None),
        ("test/excess_error", None),
        ("a measure of one's own", None),
    ],
)
def test_the_unit_says_the_range(metric, bounds):
    assert measure(metric).bounds == bounds
    assert measure("own", {"own": Measure(name="own", label="own", unit="1–5")}).bounds == (1, 5)


def test_a_loss_says_what_it_is_per_and_where_units_differ_what_compares(tmp_path):
    def written(name, units):
        settings = config(seed=0)
        settings["data"] |= {} if units is None else {"units": units}
        write_run(tmp_path / name / "0", settings)

    written("words", "words")
    assert gather([tmp_path]).groups[0].measure("val/loss_forced").unit == "nats per word"
    written("subwords", "subwords")
    alone = gather([tmp_path / "subwords"])
    assert alone.groups[0].measure("val/loss_forced").unit == "nats per subword"
    assert alone.groups[0].measure("test/accuracy_gap").unit == "difference of shares of subwords"
    assert alone.caveats == []
    both = gather([tmp_path])
    assert {group.measure("val/loss_forced").unit for group in both.groups} == {"nats per symbol"}
    assert [each for each in both.caveats if "per word" in each]
    assert not any("per word" in each for each in gather([tmp_path], metrics=["val/bleu"]).caveats)


def test_where_targets_are_right_or_wrong_the_symbol_error_rate_is_shown_in_place_of_bleu():
    measured = ["val/loss_forced", "val/bleu", "val/chrf", "val/exact_match", "val/symbol_error_rate"]
    assert shown(None, measured, {}) == ["val/loss_forced", "val/bleu", "val/exact_match"]
    assert shown(None, measured, {}, graded={False}) == [
        "val/loss_forced",
        "val/exact_match",
        "val/symbol_error_rate",
    ]
    assert shown(["val/bleu"], measured, {}, graded={False}) == ["val/bleu"]
    both = shown(None, measured, {}, graded={True, False})
    assert {"val/bleu", "val/symbol_error_rate"} <= set(both)


@pytest.mark.usefixtures("undrawn")
def test_losses_with_and_without_sos_as_a_word_to_predict_do_not_compare(tmp_path):
    """One more position of each target, which costs next to nothing, makes each mean over positions smaller."""
    for sos in (False, True):
        for seed in range(3):
            rows = [
                {
                    "epoch": 1,
                    "val/loss_free": (2 + seed / 100) * (5 / 6 if sos else 1),
                    "val/bleu": 20.0 + seed + sos + sos * seed / 10,
                    "val/symbol_error_rate": 0.5 + seed / 100 - sos / 10 - sos * seed / 1000,
                    "val/loss_free_per_word": 2 + seed / 100 - sos / 10 - sos * seed / 1000,
                }
            ]
            settings = config(seed=seed)
            settings["loader"]["predict_sos"] = sos
            write_run(tmp_path / f"{sos}-{seed}", settings, rows=rows)
    stream = io.StringIO()
    comparison = compare([tmp_path], metrics=["val/*"], stream=stream)
    verdicts = {pair.metric: pair.verdict for pair in comparison.pairs}
    assert "with and without <sos> as a word to predict" in verdicts.pop("val/loss_free")
    assert all("(better)" in each for each in verdicts.values()), verdicts
    assert len(verdicts) == 3
    assert "loader.predict_sos differs, which counts <sos> as one" in " ".join(stream.getvalue().split())


@pytest.mark.usefixtures("undrawn")
def test_error_rates_of_different_units_compare_and_each_corpus_has_its_own_notes(tmp_path):
    def write(name, units, corpus, metric="val/symbol_error_rate"):
        for seed in range(3):
            settings = config(seed=seed)
            settings["data"]["units"] = units
            rows = [
                {"epoch": 1, "train/loss": 1.0, metric: 0.5 + seed / 100 - len(units) * (1 + seed / 50) / 100}
            ]
            write_run(tmp_path / name / f"{seed}", settings, rows=rows, corpus=corpus)

    write("a/words", "words", TOY)
    write("a/subwords", "subwords", TOY)
    pairs = compare([tmp_path / "a"], stream=io.StringIO()).pairs
    assert ["(worse)" in each.verdict for each in pairs if each.metric == "val/symbol_error_rate"] == [True]
    write("b/words", "words", TOY)
    write("b/characters", "characters", ENG_FRA)
    stream = io.StringIO()
    compare([tmp_path / "b"], metrics=["train/loss"], stream=stream)
    assert "do not compare, as data.units differs" not in " ".join(stream.getvalue().split())
