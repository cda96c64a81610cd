"""The study of exposure bias: its tables are those of its runs, and its runs are those of its plan."""

import dataclasses
import json
import shutil
from itertools import product, zip_longest
from pathlib import Path

import pytest
import sacrebleu

from literal import statistics as literal
from seq2seq_lab.config.check import check
from seq2seq_lab.config.compose import composed


def test_a_measure_that_orders_runs_as_the_exact_one_correlates_with_it():
    """Within a cell and over all of them; a shift between cells is seen over all runs alone."""
    from experiments.exposure_bias import measures

    rows = []
    for (cell, longest), number in product(enumerate((10, 20, 40)), range(6)):
        exact = number + 10 * cell
        values = dict.fromkeys(measures.MEASURES, 1.0) | {
            "exposure_gap": exact,
            "accuracy_gap": -exact,
            "eb_m": number - 100 * cell,
        }
        row = {"longest": longest, "pairs": 500, "units": 32, "eb_c": exact, "outside": exact, **values}
        rows.append({name: str(value) for name, value in row.items()})
    found = {row["measure"]: row for row in measures.table(rows, rows[:1]) if row["exact"] == "eb_c"}
    assert (
        found["exposure_gap"]["within cells"] == found["exposure_gap"]["over all runs"] == "1.00 [1.00, 1.00]"
    )
    assert found["accuracy_gap"]["over all runs"] == "-1.00 [-1.00, -1.00]"
    assert found["eb_m"]["within cells"] == "1.00 [1.00, 1.00]"
    assert found["eb_m"]["over all runs"].startswith("-0.")
    assert found["repetition_4"]["within cells"] == ""
    few = [row for row in rows if row["longest"] != "10" or row["exposure_gap"] in ("0", "1")]
    few[0]["accuracy_gap"] = "-9"  # two runs of a cell have no order of their own
    found = {row["measure"]: row for row in measures.table(few, rows[:1]) if row["exact"] == "eb_c"}
    assert found["accuracy_gap"]["within cells"] == "-1.00 [-1.00, -1.00]"


def test_the_tables_of_measures_are_those_of_the_runs_beside_them():
    from experiments.exposure_bias import measures
    from experiments.tables import read_csv

    rows, perfect = (read_csv(name, measures.STUDY) for name in ("runs", "perfect"))
    assert measures.table(rows, perfect) == read_csv("measures", measures.STUDY)
    assert measures.by_cell(rows) == read_csv("cells", measures.STUDY)
    assert measures.against_full(rows) == read_csv("against_full", measures.STUDY)


def test_the_tables_of_methods_are_those_of_the_runs_beside_them():
    from experiments.exposure_bias import lengths, over_tasks, plan, planned, quality, shift
    from experiments.tables import read_csv

    written = {path.stem for path in quality.STUDY.glob("*.csv")}
    tasks = {name: plan.TASKS[name] for name in plan.TASKS if name in written}
    for name, task in tasks.items():
        rows = read_csv(f"{name}_runs", quality.STUDY)
        assert quality.table(rows, task) == read_csv(name, quality.STUDY)
        assert quality.changes(rows, task) == read_csv(f"{name}-changes", quality.STUDY)
        if f"{name}_wrong" in written:
            shares = quality.by_method(rows, task.quality.removeprefix("test/"))
            for method, its in planned.read_wrong(name).items():
                assert {seed: bits.mean() for seed, bits in its.items()} == pytest.approx(
                    shares[method], rel=1e-5
                )
    shifts = {name: task for name, task in shift.tasks().items() if f"{name}-shift" in written}
    assert "corrected" in shifts
    for name, task in shifts.items():
        rows = read_csv(f"{name}-shift_runs", shift.STUDY)
        assert shift.table(rows, task) == read_csv(f"{name}-shift", shift.STUDY)
    grouped = [name for name in tasks if f"{name}-lengths" in written]
    assert "sentences" in grouped
    for name in grouped:
        rows = read_csv(f"{name}-lengths_runs", lengths.STUDY)
        assert lengths.table(rows, plan.TASKS[name]) == read_csv(f"{name}-lengths", lengths.STUDY)
    of_tasks = over_tasks.rows_of_tasks()
    assert quality.settings_of_methods() == read_csv("methods", quality.STUDY)
    assert over_tasks.over_methods(of_tasks) == read_csv("over_methods", quality.STUDY)
    plans = {name: its for name, its in planned.tables().items() if f"{name}-planned" in written}
    assert "sounds" in plans
    for name, its in plans.items():
        assert its == read_csv(f"{name}-planned", quality.STUDY)
    for name, its in over_tasks.tables(of_tasks).items():
        assert its == read_csv(name, over_tasks.STUDY)


def test_every_method_and_every_task_of_the_study_composes(monkeypatch):
    """Without label smoothing but in its control; at a constant learning rate until validation stops improving, but for
    the whole corpus."""
    from experiments.exposure_bias import plan

    monkeypatch.setenv("G2P_FOLDER", "words")
    methods = plan.TASKS["sentences-continued"].methods
    assert set(methods) - set(plan.METHODS) == {"self-critical", "constant-reward"}
    for name in plan.TASKS:
        for method in methods if name == "sentences-continued" else ["full"]:
            given = plan.TASKS[name].settings() | methods[method]
            config = composed([key if value is None else f"{key}={value}" for key, value in given.items()])
            check(config)
            fixed = name == "corpus"  # its training ends after some epochs, not by validation
            schedule = "Cosine" if fixed else "Constant"
            assert config["lr_schedule"]["_target_"].endswith(schedule), (name, method)
            assert config["objective"].get("label_smoothing", 0) == 0.1 * (method == "smoothing"), (
                name,
                method,
            )
            assert "best_checkpoint" in config["callbacks"], (name, method)
            assert ("early_stopping" in config["callbacks"]) == (not fixed), (name, method)


STUDIED = {
    "data": "toy",
    "data.pairs": 300,
    "data.subword_size": 150,
    "model.hidden_size": 4,
    "model.embedding_size": 4,
    "loader.batch_size": 256,
    "trainer.max_epochs": 2,
}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The part on quality, with a folder for its files, two rates to search, two splits and four seeds."""
    from experiments.exposure_bias import lengths, plan, quality, shift

    for page in quality.STUDY.glob("*.md"):
        shutil.copy(page, tmp_path)
    for module in (quality, shift, lengths):
        monkeypatch.setattr(module, "STUDY", tmp_path)
    monkeypatch.setattr(quality, "JOBS", 1)
    names = ("sentences", "sentences-continued")
    for name in names:
        small = {"rates": (0.001, 0.002), "seeds": range(4), "splits": 2, "shifts": {"more": {"pairs": 1500}}}
        small |= {"search": {"gradient_clip": 4.0}}
        monkeypatch.setitem(plan.TASKS, name, dataclasses.replace(plan.TASKS[name], **small))
    return quality


@pytest.mark.whole
def test_the_search_chooses_rates_and_the_seeds_have_them(study, tmp_path, monkeypatch):
    """Some methods on a tiny task, from random and from trained weights, then on other pairs.

    What is finished is not trained again, and the search is in no result.
    """
    from experiments.exposure_bias import lengths, shift
    from experiments.tables import read_csv
    from seq2seq_lab.runs.run import Run

    monkeypatch.chdir(tmp_path)
    outputs = Path("outputs")
    methods = ["full", "teacher"]

    def trained():
        return {path: path.stat().st_mtime_ns for path in outputs.rglob("metrics.csv")}

    study.train("sentences", outputs, ["teacher"], **STUDIED)
    first = trained()
    study.train("sentences-continued", outputs, ["full", "self-critical"], **STUDIED)  # full forcing first
    both = trained()
    assert {path: both[path] for path in first} == first

    full = study.chosen("sentences", outputs)["full"]
    assert {seed: each.config()["split"]["seed"] for seed, each in full.items()} == {
        100: 0,
        0: 0,
        1: 1,
        2: 0,
        3: 1,
    }
    for seed, each in study.chosen("sentences", outputs)["teacher"].items():
        teacher = full[{100: 0, 0: 2, 1: 3, 2: 0, 3: 1}[seed]]
        assert each.config()["target"]["run"] == str(teacher.folder.relative_to(tmp_path))
        assert each.config()["split"]["seed"] == teacher.config()["split"]["seed"]
    for runs in study.chosen("sentences-continued", outputs).values():
        assert set(runs) == {*range(4), study.SEARCH_SEED}
        for seed, each in runs.items():
            assert each.config()["init_from"] == str(full[seed].folder.relative_to(tmp_path))
            assert each.config()["init_from_checkpoint"] == "best"
            assert each.config()["split"]["seed"] == full[seed].config()["split"]["seed"]
    order = [Run(path.parent) for path in sorted(both, key=both.__getitem__)]
    for each in order:
        assert (each.config()["gradient_clip"] == 4.0) == (each.seed == study.SEARCH_SEED)
    for name, several in (("sentences", methods), ("sentences-continued", ["full", "self-critical"])):
        for method in several:
            seeds = [each.seed for each in order if each.config()["name"].endswith(f"/{name}/{method}")]
            tried = len(seeds) - 4
            assert 2 <= tried <= 4
            assert seeds == [study.SEARCH_SEED] * tried + [*range(4)]
        study.report(name, outputs)
        rates, rows = read_csv(f"{name}_rates", tmp_path), read_csv(name, tmp_path)
        assert [row["method"] for row in rows] == several
        for row in rows:
            tried = {
                each["lr"]: float(each["validation"]) for each in rates if each["method"] == row["method"]
            }
            assert tried[row["lr"]] == max(tried.values())
            assert study.beyond({float(lr): value for lr, value in tried.items()}, study.TASKS[name]) == []
            assert row["seeds"] == "4"
            assert row["seeds of both"] == ("" if row["method"] == "full" else "4")
        measured = read_csv(f"{name}_runs", tmp_path)
        assert rows == study.table(measured, study.TASKS[name])
        assert [row["method"] for row in read_csv(f"{name}-changes", tmp_path)] == several[1:]
        for row, bits in zip(measured, study.wrong(study.evaluated(name, outputs)), strict=True):
            assert (row["method"], row["seed"]) == (bits["method"], bits["seed"])
            assert 1 - bits["wrong"].count("1") / len(bits["wrong"]) == pytest.approx(
                float(row["exact_match"]), abs=1e-5
            )
            assert 1 <= int(row["best_epoch"]) <= int(row["epochs"]) == 2

    shift.main(["sentences", str(outputs)])
    rows = read_csv("sentences-shift", tmp_path)
    assert [(row["pairs"], row["method"]) for row in rows] == list(product(("test", "more"), methods))
    assert rows == shift.table(read_csv("sentences-shift_runs", tmp_path), study.TASKS["sentences"])

    monkeypatch.setattr(lengths, "FEWEST", 1)
    lengths.main(["sentences", str(outputs)])
    rows = read_csv("sentences-lengths_runs", tmp_path)
    assert {(row["method"], row["seed"]) for row in rows} == set(product(methods, "0123"))
    path = full[0].evaluations["test"].path.with_suffix(".jsonl")
    told = {each["source"]: each for each in map(json.loads, path.read_text().splitlines())}
    for row in (row for row in rows if (row["method"], row["seed"]) == ("full", "0")):
        low, high = map(int, row["words"].split("–"))
        own = [
            each
            for each in told.values()
            if low <= min(len(text.split()) for text in each["references"]) <= high
        ]
        assert len(own) == int(row["n"])
        bleu = sacrebleu.corpus_bleu(
            [each["hypothesis"] for each in own],
            [*zip_longest(*(each["references"] for each in own))],
            tokenize="none",
            force=True,
        )
        assert float(row["bleu"]) == pytest.approx(bleu.score, rel=1e-5)
    assert [row["method"] for row in read_csv("sentences-lengths", tmp_path)] == ["n", *methods]


def test_runs_that_are_not_here_keep_their_rows_and_full_forcing_is_among_them(tmp_path, monkeypatch):
    from experiments.exposure_bias import quality
    from experiments.tables import read_csv
    from seq2seq_lab.errors import UserError

    def row(method, seed, bleu):
        return {"method": method, "seed": seed, "bleu": bleu}

    monkeypatch.setattr(quality, "STUDY", tmp_path)
    with pytest.raises(UserError, match="full forcing"):
        quality.add([row("free", "0", "3")], "x_runs")
    assert not any(tmp_path.iterdir())
    quality.add([row("full", "0", "4"), row("free", "0", "3")], "x_runs")
    quality.add([row("free", "0", "5"), row("mixed", "0", "6")], "x_runs")
    assert read_csv("x_runs", tmp_path) == [
        row("full", "0", "4"),
        row("free", "0", "5"),
        row("mixed", "0", "6"),
    ]


def test_methods_that_are_named_are_the_only_ones_but_for_those_that_they_learn_from():
    from experiments.exposure_bias import plan

    task = plan.TASKS["sentences"]
    assert task.in_order(["mixed", "two-pass"]) == [["mixed", "two-pass"]]
    assert task.in_order(["teacher"]) == [["full"], ["teacher"]]
    assert task.in_order(["smoothing", "full"]) == [["full"], ["smoothing"]]
    assert task.in_order([]) == [["full"], [each for each in task.methods if each != "full"]]


@pytest.mark.parametrize(
    ("tried", "more"),
    [
        ({0.0005: 1, 0.001: 3, 0.002: 2}, []),
        ({0.0005: 1, 0.001: 2, 0.002: 3}, [0.004]),
        ({0.0005: 3, 0.001: 2, 0.002: 1}, [0.00025]),
        ({0.0005: 1, 0.001: 2, 0.002: 3, 0.004: 2}, []),
        ({0.0005: 1, 0.001: 2, 0.002: 3, 0.004: 4, 0.008: 5}, []),
        ({0.0005: float("-inf"), 0.001: 2, 0.002: float("-inf")}, []),
    ],
)
def test_a_search_goes_on_beyond_a_best_rate_at_its_end(tried, more):
    from experiments.exposure_bias import plan, quality

    assert quality.beyond(tried, plan.TASKS["sounds"]) == more


def test_a_method_is_compared_with_full_forcing_over_the_seeds_that_both_have():
    from experiments.exposure_bias import plan, quality

    task = plan.TASKS["sentences"]
    values = {"full": {0: 30.0, 1: 31.0, 2: 33.0, 3: 90.0}, "free": {0: 29.0, 1: 30.5, 2: 31.0}}
    rows = [
        {"method": method, "seed": str(seed), "lr": "0.001"}
        | dict.fromkeys((key.removeprefix("test/") for key in task.measures), str(value))
        for method, its in values.items()
        for seed, value in its.items()
    ]
    full, free = quality.table(rows, task)
    assert (full["seeds"], full["difference from full"], full["seeds of both"]) == ("4", "", "")
    mean, (low, high), _ = literal.paired(values["full"], values["free"])
    assert free["difference from full"] == f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]"
    assert (free["seeds"], free["seeds of both"]) == ("3", "3")


def test_what_a_method_changes_beside_quality_is_paired_by_seed_and_corrected_over_methods():
    from experiments.exposure_bias import plan, quality

    gaps = {"full": (2.0, 2.2, 1.9), "free": (0.5, 0.4, 0.6), "mixed": (2.1, 1.0, 1.9)}
    rows = [
        {"method": method, "seed": str(seed), "exposure_gap": str(gap)}
        | dict.fromkeys(("recovery_second_best", "chrf", "exact_match"), "0.5")
        for method, its in gaps.items()
        for seed, gap in enumerate(its)
    ]
    free, mixed = quality.changes(rows, plan.TASKS["sentences"])
    assert [*free] == ["method", "chrf", "exact_match", "exposure_gap", "recovery_second_best"]
    for row, method, star in ((free, "free", " *"), (mixed, "mixed", "")):
        mean, (low, high), _ = literal.paired(dict(enumerate(gaps["full"])), dict(enumerate(gaps[method])))
        assert row["exposure_gap"] == f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]{star}"
        assert row["recovery_second_best"] == "+0.000 –"


def test_methods_are_compared_over_tasks_by_scores_that_are_normalised_within_each(monkeypatch):
    from experiments.exposure_bias import over_tasks, plan

    one_split = dataclasses.replace(plan.TASKS["transformer"], splits=1)
    monkeypatch.setitem(plan.TASKS, "transformer", one_split)
    values = {
        "transformer": {"full": (30.0, 34.0, 32.0), "free": (20.0, 30.0, 25.0), "mixed": (25.0,)},
        "sounds": {"full": (0.1, 0.1, 0.1), "free": (0.2, 0.1, 0.15), "mixed": (0.2, 0.2, 0.2)},  # errors
    }
    quality = {"transformer": "bleu", "sounds": "sequence_error_rate"}
    rows = {
        task: [
            {"method": method, "seed": str(seed), quality[task]: str(value)}
            for method, its in methods.items()
            for seed, value in enumerate(its)
        ]
        for task, methods in values.items()
    }
    full, free = over_tasks.table(rows)
    normal = {
        "full": (10 / 14, 1.0, 12 / 14, 1.0, 1.0, 1.0),
        "free": (0.0, 10 / 14, 5 / 14, 0.0, 1.0, 0.5),
    }
    for row, of_method in ((full, "full"), (free, "free")):
        middle = sorted(normal[of_method])[1:5]
        assert float(row["IQM"].split()[0]) == pytest.approx(sum(middle) / 4, abs=0.005)
        assert row["runs"] == "3, 3"
    assert free["P(better than full)"].startswith("0.11 [")  # (½ of 9 pairs, and 3 halves of 9) / 2
    assert full["P(better than full)"] == ""


def test_over_tasks_the_splits_of_one_have_the_same_mean_over_methods():
    """Of the seeds that all methods have; differences between methods with one seed stay as they are."""
    from experiments.exposure_bias import over_tasks, plan

    values = {
        "full": {0: 40.0, 1: 50.0, 3: 44.0, 4: 51.0, 5: 9.0},
        "free": {0: 39.0, 1: 46.0, 3: 41.0, 4: 50.0},
    }
    task = plan.TASKS["sentences"]
    assert [task.split(seed) for seed in (0, 1, 3, 4)] == [0, 1, 0, 1]
    found = over_tasks.centred(values, task)
    assert found["full"] == pytest.approx([44.125, 45.875, 48.125, 46.875])
    assert found["free"] == pytest.approx([43.125, 41.875, 45.125, 45.875])


def test_the_loss_on_other_sentences_is_that_to_the_test_part_of_the_same_seed():
    from experiments.exposure_bias import plan, shift

    task = dataclasses.replace(plan.TASKS["sentences"], shifts={"longer": {}})
    values = {
        ("test", "full"): (40.0, 42.0, 44.0),
        ("test", "free"): (38.0, 40.1, 42.0),
        ("longer", "full"): (20.0, 24.0, 22.0),
        ("longer", "free"): (30.0, 32.0, 34.0),
    }
    rows = [
        {"pairs": kind, "method": method, "seed": str(seed), "n": "9", "bleu": str(value)}
        | {"other n": "4", "other bleu": str(value - 1)}
        for (kind, method), its in values.items()
        for seed, value in enumerate(its)
    ]
    found = {(row["pairs"], row["method"]): row for row in shift.table(rows, task)}
    assert {row["loss"] for (kind, _), row in found.items() if kind == "test"} == {"0.00 ± 0.00"}
    assert found["longer", "full"]["loss"] == "20.00 ± 2.00"
    lost = ((20.0, 18.0, 22.0), (8.0, 8.1, 8.0))
    mean, (low, high), _ = literal.paired(*(dict(enumerate(each)) for each in lost))
    assert found["longer", "free"]["loss − full"] == f"{mean:+.2f} [{low:+.2f}, {high:+.2f}] *"
    assert found["longer", "free"]["other bleu"] == "31.00 ± 2.00"
    least, most = sorted(
        literal.paired(*(dict(enumerate(values[kind, method])) for method in ("full", "free")))[2]
        for kind in ("test", "longer")
    )
    by_p = {f"{2 * least:.3f}", f"{max(2 * least, most):.3f}"}
    assert {found[kind, "free"]["p, all kinds"] for kind in ("test", "longer")} == by_p
    assert found["longer", "free"]["seeds"] == "3"
