"""Methods over several tasks: the formulas beside published examples and literally; the tables; no raw means."""

import csv
import io
import itertools
import json
import math
import random
import re

import numpy as np
import pytest
import scipy.stats

import fake_runs
from fake_evaluations import write_evaluation
from literal import statistics as literal
from seq2seq_lab.commands import main as cli
from seq2seq_lab.compare.comparison import compare, gather
from seq2seq_lab.compare.presentation import Presentation, parse_group
from seq2seq_lab.compare.tasks import interquartile_mean, probability_of_improvement, with_interval
from seq2seq_lab.errors import UserError

# Of rliable's own tests: runs × tasks.
X = [[1, 2], [2, 2], [1, 1], [2, 1]]
Y = [[1, 1], [2, 2], [3, 3]]


def by_task(matrix):
    return [np.array(column, dtype=float) for column in zip(*matrix, strict=True)]


def test_the_published_examples():
    assert interquartile_mean(by_task(X)) == 1.5
    assert interquartile_mean(by_task(Y)) == 2
    assert probability_of_improvement(by_task(X), by_task(Y)) == pytest.approx(1 / 3)


@pytest.mark.parametrize("seed", range(8))
def test_the_formulas_are_the_literal_ones_and_those_of_scipy(seed):
    draw = random.Random(seed)

    def scores():
        return [[draw.choice([draw.random(), 0.5]) for _ in range(draw.randint(2, 6))] for _ in range(3)]

    one, other = scores(), scores()
    first, second = ([np.array(each) for each in side] for side in (one, other))
    assert interquartile_mean(first) == pytest.approx(literal.interquartile_mean(one))
    assert interquartile_mean(first) == pytest.approx(scipy.stats.trim_mean(np.concatenate(first), 0.25))
    found = probability_of_improvement(first, second)
    assert found == pytest.approx(literal.probability_of_improvement(one, other))
    shares = [
        scipy.stats.mannwhitneyu(a, b).statistic / (len(a) * len(b)) for a, b in zip(one, other, strict=True)
    ]
    assert found == pytest.approx(np.mean(shares))
    assert probability_of_improvement(second, first) == pytest.approx(1 - found)


def test_the_interval_is_that_of_all_samples_of_the_runs_of_each_task():
    one = [[0.1, 0.5, 0.9], [0.2, 0.3, 0.8]]
    means = [literal.interquartile_mean(each) for each in literal.all_resamples(one)]
    found = with_interval(interquartile_mean, [np.array(each) for each in one], samples=100_000)
    assert found.value == pytest.approx(literal.interquartile_mean(one))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=0.02)


def test_the_interval_of_the_probability_is_that_of_all_samples_of_both_methods():
    one, other = [[0.1, 0.5], [0.2, 0.8]], [[0.3, 0.4], [0.2, 0.9]]
    several = [
        literal.probability_of_improvement(first, second)
        for first in literal.all_resamples(one)
        for second in literal.all_resamples(other)
    ]
    sides = ([np.array(each) for each in side] for side in (one, other))
    found = with_interval(probability_of_improvement, *sides, samples=100_000)
    assert found.value == pytest.approx(literal.probability_of_improvement(one, other))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(several, [0.025, 0.975])), abs=0.02)


def test_one_run_of_a_task_has_no_interval():
    found = with_interval(interquartile_mean, [np.array([0.5]), np.array([0.1, 0.2])])
    assert np.isnan(found.low)
    assert np.isnan(found.high)


def run(root, task, ratio, seed, exact, bleu):
    settings = fake_runs.config(ratio=ratio, seed=seed, epochs=1)
    settings["name"] = f"{task}-{ratio}"
    settings["data"] = {**settings["data"], "pairs": 100 if task == "short" else 900}
    corpus = {**fake_runs.TOY, "fingerprint": task * 10, "origin": f"{task} sentences"}
    rows = [{"epoch": 1, "val/exact_match": exact, "val/loss_forced": -bleu}]
    fake_runs.write_run(root / f"{task}-{ratio}" / f"seed-{seed}", settings, rows=rows, corpus=corpus)


@pytest.fixture
def two_tasks(tmp_path):
    """A task of scores near 0 and one of scores near 1; a higher ratio is better on both."""
    for seed in range(3):
        for ratio, gain in ((0.25, 0.0), (0.5, 0.02), (0.75, 0.04)):
            run(tmp_path, "short", ratio, seed, 0.9 + gain + 0.001 * seed, 1 + gain)
            run(tmp_path, "long", ratio, seed, 0.01 + gain / 10 + 0.0001 * seed, 0.5 + gain)
    return tmp_path


def test_each_score_is_normalised_within_its_task(two_tasks):
    (exact, loss) = gather([two_tasks]).over_tasks
    assert exact.tasks == ["toy (pairs=900)", "toy (pairs=100)"]
    assert exact.reference == "ratio=0.25"
    assert [method.name for method in exact.methods] == ["ratio=0.25", "ratio=0.5", "ratio=0.75"]
    assert [method.runs for method in exact.methods] == [[3, 3]] * 3
    lowest, middle, highest = (method.iqm for method in exact.methods)
    assert lowest.value == pytest.approx(0.001 / 0.042)  # of both tasks: the middle seed
    assert middle.value == pytest.approx(0.021 / 0.042)
    assert highest.value == pytest.approx(0.041 / 0.042)
    assert lowest.low < lowest.value < lowest.high < middle.low
    assert exact.methods[0].better is None
    assert [each.better.value for each in exact.methods[1:]] == [1, 1]
    assert loss.metric == "val/loss_forced"  # a lower one is better
    assert [each.iqm.value for each in loss.methods] == pytest.approx([0, 0.5, 1])


@pytest.mark.usefixtures("undrawn")
def test_a_metric_that_a_task_lacks_is_said(two_tasks):
    for folder in sorted(two_tasks.glob("*/seed-*")):
        if folder.parent.name != "long-0.5":
            write_evaluation(folder, "test", {"measures": {"exact_match": 0.5}})
    comparison = gather([two_tasks])
    assert not comparison.over_tasks
    (note,) = (each for each in comparison.notes if "test/exact_match" in each)
    assert note == "test/exact_match is not compared over tasks: ratio=0.5 on toy (pairs=900) has no value"


def test_every_view_has_one_table_a_task_and_one_over_all(two_tasks, tmp_path):
    text = io.StringIO()
    comparison = compare([two_tasks], stream=text)
    said = text.getvalue()
    assert "Over 2 tasks: toy (pairs=900), toy (pairs=100)." in " ".join(said.split())
    assert re.search(r"ratio=0\.75 +3 +0\.98 \[0\.96, 0\.99\] +1\.00 \[1\.00, 1\.00\]", said)
    assert "short sentences" in said
    assert "long sentences" in said
    report = (comparison.output / "report.html").read_text(encoding="utf-8")
    assert "<h2>Over all tasks</h2>" in report
    assert "P(better than ratio=0.25)" in report
    with (comparison.output / "tasks.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == ["ratio=0.25", "ratio=0.5", "ratio=0.75"] * 2
    assert rows[0]["P(better)"] == ""
    assert float(rows[1]["P(better)"]) == 1
    for each in ("short", "long"):  # no mean over both tasks is anywhere
        assert all(float(row["IQM"]) <= 1 for row in rows), each
    assert "0.475" not in said + report


@pytest.mark.usefixtures("undrawn")
def test_the_tables_of_a_paper_too(two_tasks, capsys):
    assert cli.main(["compare", str(two_tasks), "--format", "latex"]) == 0
    said = capsys.readouterr().out
    assert said.count(r"\begin{table}") == 2 + 2 + said.count("two-sided t-test")
    assert "val/exact\\_match over 2 tasks" in said
    assert "short sentences. Mean" in said


@pytest.mark.usefixtures("undrawn")
def test_each_table_over_tasks_as_csv_names_its_metric_and_its_reference(two_tasks, capsys):
    metrics = ["val/loss_forced", "val/exact_match"]
    asked = [argument for metric in metrics for argument in ("--metric", metric)]
    assert cli.main(["compare", str(two_tasks), *asked, "--format", "csv"]) == 0
    tables = [[*csv.DictReader(each.splitlines())] for each in capsys.readouterr().out.strip().split("\n\n")]
    over_tasks = [table for table in tables if "IQM" in table[0]]
    assert [{row["metric"] for row in table} for table in over_tasks] == [{each} for each in metrics]
    for row in (row for table in over_tasks for row in table):
        assert (row["P(better)"] == "–") == (row["method"] == row["reference"])


@pytest.mark.usefixtures("undrawn")
def test_each_difference_names_its_task(two_tasks, capsys):
    assert cli.main(["compare", str(two_tasks), "--metric", "val/exact_match"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for task in ("toy (pairs=900)", "toy (pairs=100)"):
        assert f"ratio 0.25 → 0.5 · {task}" in said
    assert cli.main(["compare", str(two_tasks), "--metric", "val/exact_match", "--format", "csv"]) == 0
    long, short, _, differences = capsys.readouterr().out.strip().split("\n\n")
    assert [row["corpus"] for row in csv.DictReader(long.splitlines())] == ["toy (pairs=900)"] * 3
    assert [row["corpus"] for row in csv.DictReader(short.splitlines())] == ["toy (pairs=100)"] * 3
    titles = [row["from → to"] for row in csv.DictReader(differences.splitlines())]
    assert len({*titles}) == len(titles) == 6


@pytest.mark.usefixtures("undrawn")
def test_the_baseline_is_the_reference_method_in_every_view(two_tasks, capsys):
    assert cli.main(["compare", str(two_tasks), "--baseline", "ratio=0.75"]) == 0
    said = capsys.readouterr().out
    assert re.search(
        r"method .* P\(better than ratio=0\.75\)\n.*ratio=0\.25 .* 0\.00 \[0\.00, 0\.00\]\n", said
    )
    assert re.search(r"ratio=0\.75 .* –\n", said)
    folder = two_tasks / "comparison"
    assert "P(better than ratio=0.75)" in (folder / "report.html").read_text(encoding="utf-8")
    with (folder / "tasks.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["reference"] for row in rows} == {"ratio=0.75"}
    assert [row["P(better)"] for row in rows] == ["0.0", "0.0", ""] * 2
    assert cli.main(["compare", str(two_tasks), "--baseline", "ratio=0.75", "--format", "latex"]) == 0
    assert "Reference method: ratio=0.75." in capsys.readouterr().out


def test_the_reference_is_found_by_its_label_of_one_corpus_and_by_an_own_one(two_tasks):
    labels = {each.label for each in gather([two_tasks]).groups}
    (of_one,) = (label for label in labels if label.startswith("ratio=0.5, corpus=long"))
    shown = Presentation([parse_group("ratio=0.5: half")], "half")
    for presentation, name in ((Presentation(baseline=of_one), "ratio=0.5"), (shown, "half")):
        exact = gather([two_tasks], presentation=presentation).over_tasks[0]
        assert exact.reference == name
        assert [method.name for method in exact.methods if method.better is None] == [name]


def test_a_reference_that_no_run_has_ends_in_a_line_that_names_each_method_once(two_tasks):
    with pytest.raises(UserError) as error:
        gather([two_tasks], presentation=Presentation(baseline="ratio=0.6"))
    assert str(error.value) == (
        "--baseline ratio=0.6: no group matches; there are ratio=0.25; ratio=0.5; ratio=0.75"
    )


def test_a_reference_that_some_task_lacks_is_said_to_be_another_one(two_tasks):
    for seed in range(3):
        run(two_tasks, "long", 1.0, seed, 0.02, 1)
    found = gather([two_tasks], presentation=Presentation(baseline="ratio=1"))
    assert {pair.first.label for pair in found.pairs} == {"ratio=1"}
    assert found.over_tasks[0].reference == "ratio=0.25"
    note, there = (each for each in found.notes if "baseline" in each)
    assert there == "no group on toy (pairs=100) is the baseline: nothing is compared there"
    assert "(ratio=1) is not one method that every task has" in note
    assert note.endswith("is ratio=0.25; it may be ratio=0.25; ratio=0.5; ratio=0.75")


def test_one_task_or_methods_without_a_common_task_are_not_compared_over_tasks(tmp_path):
    for seed in range(2):
        run(tmp_path, "short", 0.25, seed, 0.5, 1)
        run(tmp_path, "short", 0.5, seed, 0.6, 1)
    comparison = gather([tmp_path])
    assert comparison.over_tasks == []
    for seed in range(2):
        run(tmp_path, "long", 0.75, seed, 0.5, 1)
        run(tmp_path, "long", 0.5, seed, 0.5, 1)
    comparison = gather([tmp_path])
    assert comparison.over_tasks == []
    assert any("not two methods with runs on each of them" in note for note in comparison.notes)


def test_a_method_that_a_task_lacks_is_left_out_and_named(two_tasks):
    for seed in range(3):
        run(two_tasks, "long", 1.0, seed, 0.02, 1)
    comparison = gather([two_tasks])
    assert [method.name for method in comparison.over_tasks[0].methods] == [
        "ratio=0.25",
        "ratio=0.5",
        "ratio=0.75",
    ]
    assert any("not every task has it: ratio=1" in note for note in comparison.notes)


def test_training_losses_that_do_not_compare_are_ranked_over_no_tasks(tmp_path):
    for task, forcing, seed in itertools.product(("short", "long"), ("full", "mixed"), range(2)):
        settings = fake_runs.config(forcing=forcing, seed=seed, epochs=1)
        settings["data"] = {**settings["data"], "pairs": len(task)}
        rows = [{"epoch": 1, "train/loss": 0.1 if forcing == "full" else 0.9}]
        corpus = {**fake_runs.TOY, "fingerprint": task, "origin": f"{task} sentences"}
        fake_runs.write_run(
            tmp_path / f"{task}-{forcing}" / f"seed-{seed}", settings, rows=rows, corpus=corpus
        )
    assert gather([tmp_path]).over_tasks == []


def test_a_method_that_differs_between_tasks_is_named(tmp_path):
    """Not by what all runs of a task share, such as its number of epochs."""
    for task, ratio in (("short", 0.25), ("long", 0.75)):
        for forcing, seed in itertools.product(("full", "mixed"), range(2)):
            settings = fake_runs.config(forcing=forcing, ratio=ratio, seed=seed, epochs=len(task))
            settings["data"] = {**settings["data"], "pairs": len(task)}
            rows = [{"epoch": 1, "val/exact_match": 0.5 + 0.01 * seed}]
            corpus = {**fake_runs.TOY, "fingerprint": task, "origin": f"{task} sentences"}
            fake_runs.write_run(
                tmp_path / f"{task}-{forcing}" / f"seed-{seed}", settings, rows=rows, corpus=corpus
            )
    notes = [note for note in gather([tmp_path]).notes if note.startswith("over tasks")]
    assert notes == [
        "over tasks, forcing=mixed is not one method: forcing.ratio is 0.75 on toy (pairs=4); 0.25 on toy (pairs=5)"
    ]


def test_methods_that_are_called_alike_are_named(two_tasks, monkeypatch):
    monkeypatch.setattr("seq2seq_lab.compare.tasks.method", lambda group: group.label.split(",")[0][:7])
    comparison = gather([two_tasks])
    assert comparison.over_tasks == []
    assert any("several groups of toy (pairs=100) are called so" in note for note in comparison.notes)


def test_runs_that_diverged_on_both_sides_are_equal(two_tasks):
    for ratio in (0.25, 0.75):
        run(two_tasks, "long", ratio, 0, float("nan"), 1)
    exact = gather([two_tasks]).over_tasks[0]
    # Of nine comparisons on one task it wins six, loses two, and one is equal.
    assert exact.methods[2].better.value == pytest.approx((1 + 6.5 / 9) / 2)


def test_a_run_that_diverged_on_the_test_part_is_the_worst_too(two_tasks):
    for folder in two_tasks.glob("*/seed-*"):
        loss = 2 - 0.1 * float(folder.parent.name.partition("-")[2])
        diverged = folder.parent.name == "long-0.75" and folder.name == "seed-0"
        contents = {"measures": {"loss_forced": math.inf if diverged else loss}, "segments": "source"}
        write_evaluation(folder, "test", contents)
    comparison = gather([two_tasks])
    (loss,) = comparison.over_tasks
    assert [method.runs for method in loss.methods] == [[3, 3]] * 3
    assert loss.methods[2].better.value == pytest.approx((1 + 6 / 9) / 2)
    said = {pair.verdict for pair in comparison.pairs if pair.metric == loss.metric}
    assert "not a number for some of 3 seeds: a run diverged" in said


def test_a_run_that_diverged_is_the_worst(two_tasks):
    run(two_tasks, "long", 0.75, 0, float("nan"), 1)
    exact = gather([two_tasks]).over_tasks[0]
    # On one task it loses its three of nine comparisons, also with the worst run of the reference.
    assert exact.methods[2].better.value == pytest.approx((1 + 6 / 9) / 2)


def test_runs_whose_training_diverged_are_the_worst_and_are_counted(two_tasks):
    """Such runs have failed, and have no value: of what is left the method would be the best."""
    for seed in (1, 2):
        path = two_tasks / "long-0.75" / f"seed-{seed}" / "summary.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"status": "failed", "diverged": True}))
    comparison = gather([two_tasks])
    exact = comparison.over_tasks[0]
    assert [method.runs for method in exact.methods] == [[3, 3]] * 3
    assert exact.methods[2].better.value == pytest.approx((1 + 3 / 9) / 2)
    assert (
        "not averaged, diverged: long-0.75/seed-1 (epoch 1), long-0.75/seed-2 (epoch 1)" in comparison.notes
    )
    (said,) = (note for note in comparison.notes if note.startswith("runs diverged: 2 of 3 of "))
    assert said.endswith("; the others may show it better than it is")
