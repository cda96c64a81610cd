"""The scripts that write the studies from their runs, on a copy of the studies."""

import csv
import importlib
import json
import os
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
import torch

import fake_evaluations
import fake_runs
import tiny
from literal import statistics as literal
from seq2seq_lab import load_run
from seq2seq_lab.config.check import check
from seq2seq_lab.config.compose import composed
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs.run import Run

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
EPOCH = 20


@pytest.fixture
def script(tmp_path):
    """Runs a script of a copy of the studies; returns the rows of a table that it wrote."""
    copies = tmp_path / "experiments"
    shutil.copytree(
        EXPERIMENTS, copies, ignore=shutil.ignore_patterns("*.png", "*.svg", "*.csv", "__pycache__")
    )
    shutil.copy(EXPERIMENTS / "seminar" / "published.csv", copies / "seminar")

    def run(name, *arguments, table, study="seminar"):
        copy = copies / study
        command = [sys.executable, "-m", f"experiments.{study}.{name}", *arguments]
        # The copy is found before the checkout's, also where Python does not look in the working folder.
        path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = os.environ | {"PYTHONPATH": path}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        with (copy / f"{table}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        readme = (copy / "README.md").read_text(encoding="utf-8")
        between = readme.partition(f"<!-- {table} -->\n")[2].partition("\n<!-- end -->")[0]
        assert between.splitlines()[2:] == ["| " + " | ".join(row.values()) + " |" for row in rows]
        return rows

    return run


def fake_run(outputs, model, *, seed, loss, unmasked=None, predict_sos=True, epochs=40):
    """A run of the study whose loss is the same in every epoch."""
    settings = fake_runs.config(model=model, seed=seed, epochs=epochs)
    settings["name"] = f"seminar/{model}_mixed"
    settings["loader"]["predict_sos"] = predict_sos
    if model == "attention":
        settings["model"]["unmasked_positions"] = unmasked
    row = {"train/loss": loss, "train/loss_forced": 1.0, "train/exact_match": 0.5, "perf/epoch_seconds": 9}
    rows = [{"epoch": epoch, **row} for epoch in range(1, epochs + 1)]
    folder = outputs / f"{unmasked},{predict_sos}" / settings["name"] / f"seed-{seed}"
    return fake_runs.write_run(folder, settings, rows=rows, corpus=fake_runs.ENG_FRA)


def test_losses_are_shown_with_the_published_losses(script, tmp_path):
    for seed, loss in enumerate((0.03, 0.05)):
        fake_run(tmp_path / "outputs", "attention", seed=seed, loss=loss, unmasked=8)
    rows = script("report", tmp_path / "outputs", table="losses")
    assert [row["epoch"] for row in rows] == [str(epoch) for epoch in range(5, 45, 5)]
    assert rows[-1]["published"] == "0.0444"
    assert rows[-1]["train/loss"] == "0.0400 ± 0.0141"
    assert rows[-1]["published, in sd"] == "+0.3"
    assert (rows[0]["as one of ours"], rows[-1]["as one of ours"]) == ("no", "yes")


def test_quirks_are_compared_within_seeds(script, tmp_path):
    outputs = tmp_path / "outputs"
    for seed, a, b in product(range(3), (8, None), (True, False)):
        loss = 0.05 + 0.01 * seed - (0.004 + 0.0001 * seed) * (a is None) - (0.001 * seed - 0.001) * (not b)
        epochs = 40 if a and b else EPOCH
        fake_run(outputs, "attention", seed=seed, loss=loss, unmasked=a, predict_sos=b, epochs=epochs)
    for seed, b in product(range(2), (True, False)):
        fake_run(outputs, "seq2seq", seed=seed, loss=0.04 + 0.01 * seed * b, predict_sos=b, epochs=EPOCH)
    rows = {(row["from"], row["to"]): row for row in script("quirks", outputs, table="differences")}
    without_a = rows["attention, A + B", "attention, B"]
    assert without_a[f"difference of train/loss, epoch {EPOCH}"] == "-0.0041 [-0.0043, -0.0039]"
    assert (without_a[""], without_a["test"], without_a["seeds"]) == ("lower", "paired by seed", "3")
    assert rows["attention, A + B", "attention, A"][""] == "not distinguishable"
    models = rows["seq2seq, B", "attention, A + B"]
    difference, low, high = welch([0.04, 0.05], [0.05, 0.06, 0.07])
    assert (
        models[f"difference of train/loss, epoch {EPOCH}"] == f"{difference:+.4f} [{low:+.4f}, {high:+.4f}]"
    )
    assert (models["test"], models["seeds"]) == ("Welch", "2 + 3")
    assert rows["seq2seq, none − B", "attention, none − (A + B)"]["test"] == "Welch"


def welch(first, second):
    difference, limits, _ = literal.welch(first, second)
    return difference, *limits


def test_a_run_with_other_settings_is_refused(script, tmp_path):
    fake_run(tmp_path / "study", "seq2seq", seed=0, loss=0.04)
    fake_run(tmp_path / "other", "seq2seq", seed=0, loss=0.9)
    with pytest.raises(AssertionError, match="both are seq2seq, B with seed 0"):
        script("quirks", tmp_path, table="differences")


def test_the_loss_during_and_after_an_epoch(script, tmp_path):
    runs = [tiny.train(tmp_path, "model=attention", "forcing=mixed", f"seed={seed}") for seed in range(2)]
    (row,) = script("passing", *runs, table="passing")
    assert row["n"] == "2"
    assert 0 < float(row["all pairs"].split(" ± ")[0]) < 5
    (row,) = script("recency", *runs, table="recency")
    assert list(row)[-2:] == ["tenth 10", "n"]


def policy_run(outputs, *, forcing, seed, bleu):
    """A run of the study of policies, evaluated on its test part."""
    settings = fake_runs.config(model="attention", forcing=forcing, seed=seed)
    settings["name"] = "forcing_ratio/attention"
    folder = fake_runs.write_run(outputs / forcing / f"seed-{seed}", settings)
    measures = {"bleu": bleu, "chrf": 40.0, "exact_match": 0.2, "loss_forced": 2.0, "loss_free": 3.0}
    measures |= {"exposure_gap": 1.0 - 0.01 * bleu}
    fake_evaluations.write_evaluation(folder, "test", {"measures": measures, "analyses": {}})


def test_policies_are_compared_with_full_forcing_within_seeds(script, tmp_path):
    for seed in range(4):
        policy_run(tmp_path / "outputs", forcing="full", seed=seed, bleu=30 + seed)
        policy_run(tmp_path / "outputs", forcing="mixed", seed=seed, bleu=31.5 + seed + 0.01 * seed)
        policy_run(tmp_path / "outputs", forcing="free", seed=seed, bleu=30 - seed)
    rows = script("report", tmp_path / "outputs", table="differences", study="forcing_ratio")
    found = {row["policy"]: row["bleu"] for row in rows}
    assert found["mixed 0.5 by sentence"].startswith("+1.5") or found["mixed 0.5 by sentence"].startswith(
        "+1.51"
    )
    assert found["mixed 0.5 by sentence"].endswith(" *")
    assert found["free"].startswith("-3.00 [")
    assert not found["free"].endswith("*")
    assert {row["test"] for row in rows} == {"paired by seed"}
    assert {row["chrf"] for row in rows} == {
        "+0.00 –"
    }  # no variation: no interval, and nothing is significant
    with (tmp_path / "experiments" / "forcing_ratio" / "detectable.csv").open(newline="") as file:
        (detectable,) = csv.DictReader(file)
    assert (detectable["comparisons"], detectable["chrf"]) == ("2", "–")
    differences = [[1.5 + 0.01 * seed for seed in range(4)], [-2 * seed for seed in range(4)]]
    assert float(detectable["bleu"]) == pytest.approx(literal.detectable(differences), rel=5e-3)


PRESETS = [("g2p", ["results"]), ("path_star", ["results"]), ("scan", ["results", "lengths"])]


@pytest.mark.parametrize(("study", "tables"), PRESETS)
def test_the_tables_of_presets_are_those_of_the_runs_beside_them(study, tables):
    from experiments.tables import read_csv

    report = importlib.import_module(f"experiments.{study}.report")
    runs = read_csv("runs", report.STUDY)
    for name in tables:
        assert getattr(report, name)(runs) == read_csv(name, report.STUDY)


def test_runs_are_added_to_a_table_and_replace_their_own_rows(tmp_path):
    from experiments.tables import add_to_csv, read_csv

    rows = [{"preset": "a", "seed": str(seed), "wrong": str(10 + seed)} for seed in range(2)]
    add_to_csv(rows, "runs", tmp_path, "preset", "seed")
    others = [{"preset": "a", "seed": "0", "wrong": "9", "later": "1"}, {"preset": "b", "seed": "0"}]
    add_to_csv(others, "runs", tmp_path, "preset", "seed")
    assert [tuple(row.values()) for row in read_csv("runs", tmp_path)] == [
        ("a", "0", "9", "1"),
        ("a", "1", "11", ""),
        ("b", "0", "", ""),
    ]


def test_two_runs_with_the_same_keys_are_refused_and_the_table_stays(tmp_path):
    from experiments.tables import add_to_csv

    rows = [{"preset": "a", "seed": "0", "wrong": str(number)} for number in range(2)]
    add_to_csv(rows[:1], "runs", tmp_path, "preset", "seed")
    before = (tmp_path / "runs.csv").read_bytes()
    with pytest.raises(UserError, match=r"preset a, seed 0: 2 runs are called so"):
        add_to_csv(rows, "runs", tmp_path, "preset", "seed")
    assert (tmp_path / "runs.csv").read_bytes() == before


def test_variants_with_the_name_of_an_experiment_are_not_taken_for_it(tmp_path):
    from experiments.seminar import report
    from seq2seq_lab.compare import gather

    for unmasked in (8, None):
        fake_run(tmp_path, "attention", seed=0, loss=1.0, unmasked=unmasked)
    with pytest.raises(UserError, match=r"attention_mixed stands for two settings: .*unmasked_positions"):
        report.rows(gather([tmp_path]), [])


def test_policies_are_compared_on_the_split_that_most_of_them_have(tmp_path):
    """Full forcing is trained on several splits, the other policies on the first one."""
    from experiments.forcing_ratio.report import full_length
    from seq2seq_lab.compare import gather

    scores = {("full", 0): 47.5, ("full", 1): 43.5, ("full", 2): 44.0, ("free", 0): 41.5}
    for (forcing, split), score in scores.items():
        for seed in range(3):
            settings = fake_runs.config(model="attention", forcing=forcing, seed=seed)
            settings |= {"name": "baseline/attention", "split": {"seed": split}}
            settings["choices"] |= {"forcing": forcing}
            corpus = fake_runs.TOY | {"fingerprint": str(split) * 64}
            folder = tmp_path / f"{forcing}-{split}" / f"seed-{seed}"
            fake_runs.write_run(folder, settings, corpus=corpus)
            contents = fake_evaluations.small(0.5, seed)
            contents["measures"]["bleu"] = score + 0.1 * seed
            fake_evaluations.write_evaluation(folder, "test", contents)
    rows = {row["policy"]: row for row in full_length(gather([tmp_path]).groups)}
    assert rows.keys() == {"full", "free"}
    assert rows["free"]["difference in bleu"].startswith("-6.00")


def test_a_table_of_beams_has_those_that_all_runs_of_a_preset_have(tmp_path):
    from experiments.baselines.report import beam_rows, presets
    from seq2seq_lab.compare import gather

    for seed, beams in ((0, 5), (1, 2)):
        settings = fake_runs.config(seed=seed) | {"name": "baseline/attention", "split": {"seed": 0}}
        settings["choices"]["forcing"] = "full"
        found = fake_evaluations.evaluation(0.5, seed)
        columns = found["analyses"]["beams"]
        columns |= {name: values[:beams] for name, values in columns.items()}
        fake_evaluations.write_evaluation(
            fake_runs.write_run(tmp_path / "a" / f"seed-{seed}", settings), "test", found
        )
    for row in beam_rows(presets(gather([tmp_path]).groups)):
        assert [name for name in row if name.startswith("beam")] == ["beam 1", "beam 2"]


@pytest.mark.parametrize(
    "text", ["Nothing here.\n", "<!-- runs -->\nNo end.\n", "<!-- other -->\n<!-- end -->\n"]
)
def test_pages_without_a_place_for_a_table_is_refused_and_stays(text, tmp_path):
    from experiments.tables import write

    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    with pytest.raises(
        UserError, match=r"no page has a place for the table: `<!-- runs -->`, then `<!-- end -->`"
    ):
        write([{"a": "1"}], "runs", tmp_path)
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == text
    assert not (tmp_path / "runs.csv").exists()


@pytest.mark.parametrize("name", ["passing", "quirks", "recency"])
def test_without_a_run_a_table_stays(name, tmp_path, monkeypatch):
    module = importlib.import_module(f"experiments.seminar.{name}")
    before = (EXPERIMENTS / "seminar" / f"{name}.csv").read_bytes()
    (tmp_path / f"{name}.csv").write_bytes(before)
    monkeypatch.setattr(module, "STUDY", tmp_path)
    for folders in ([], [str(tmp_path)])[: 2 if name == "quirks" else 1]:
        with pytest.raises(UserError):
            module.main(folders)
    assert (tmp_path / f"{name}.csv").read_bytes() == before


@pytest.mark.parametrize("text", ["", "preset,beam\n"])
def test_a_table_without_rows_is_named(text, tmp_path, monkeypatch):
    module = importlib.import_module("experiments.g2p.report")
    (tmp_path / "runs.csv").write_text(text)
    monkeypatch.setattr(module, "STUDY", tmp_path)
    with pytest.raises(UserError, match=r"runs\.csv: it has no rows"):
        module.main([])


class TestTheSearchOfSettings:
    def test_its_table_is_that_of_the_runs_beside_it(self):
        from experiments.g2p import search
        from experiments.tables import read_csv

        rows = read_csv("search_runs", search.STUDY)
        assert search.results(rows) == read_csv("search", search.STUDY)
        assert {row["setting"] for row in rows} <= search.SETTINGS.keys()

    def test_each_setting_composes(self):
        from experiments.g2p import search

        for settings in search.SETTINGS.values():
            given = {**settings, **dict.fromkeys(search.WORDS, "words.tsv")}
            check(composed([f"{key}={value}" for key, value in given.items()]))

    def test_of_each_preset_the_setting_with_the_most_validation_words_right_is_the_first_one(self):
        from experiments.g2p import search

        values = {"a": (0.90, 0.91), "b": (0.95, 0.92), "c": (0.91, 0.90), "d": (0.99, 0.99)}
        losses = {"a": 0.2, "b": 0.3, "c": 0.1, "d": 0.1}
        rows = [
            {
                "preset": "transformer" if name == "d" else "attention",
                "setting": name,
                "seed": str(seed),
                "exact match": str(value),
                "lowest loss": str(losses[name]),
                "epochs": "2",
            }
            for name, of_seeds in values.items()
            for seed, value in enumerate(of_seeds)
        ]
        found = search.results(rows)
        assert [row["setting"] for row in found] == ["b", "c", "a", "d"]
        assert found[0]["exact match, validation"] == "0.9350 ± 0.0212"

    def test_what_a_run_has_is_its_best_on_the_validation_words(self, tmp_path, monkeypatch):
        from experiments.g2p import search
        from experiments.tables import read_csv

        words, study = tmp_path / "words", tmp_path / "study"
        words.mkdir()
        study.mkdir()
        (study / "README.md").write_text("<!-- search -->\n<!-- end -->\n")
        lines = [f"{'ab' * (number % 7 + 1)}{'c' * (number % 5)}\tx" for number in range(35)]
        for file in search.WORDS.values():
            (words / file).write_text("".join(f"{line}\n" for line in sorted(set(lines))))
        small = {
            "model.hidden_size": 4,
            "model.embedding_size": 4,
            "trainer.max_epochs": 4,
            "optimizer.lr": 0.1,
        }
        monkeypatch.setattr(
            search, "SETTINGS", {name: {**each, **small} for name, each in search.SETTINGS.items()}
        )
        monkeypatch.setitem(search.SEEDS, "g2p/attention", (100, 101))
        monkeypatch.setattr(search, "JOBS", 1)
        monkeypatch.setattr(search, "STUDY", study)
        monkeypatch.setenv("G2P_FOLDER", str(words))
        outputs = str(tmp_path / "outputs")
        search.main(["train", outputs, "start", "dropout 0.4"])
        search.main(["report", outputs])
        rows = read_csv("search_runs", study)
        assert [(row["setting"], row["seed"]) for row in rows] == [
            ("start", "100"),
            ("start", "101"),
            ("dropout 0.4", "100"),
            ("dropout 0.4", "101"),
        ]
        for row in rows:
            (folder,) = (tmp_path / "outputs").glob(f"g2p_search/{row['setting']}*/seed-{row['seed']}")
            assert Run(folder).config()["model"]["dropout"] == (0.5 if row["setting"] == "start" else 0.4)
            with (folder / "metrics.csv").open(newline="") as file:
                epochs = [each for each in csv.DictReader(file) if each["val/exact_match"]]
            exact = max(float(each["val/exact_match"]) for each in epochs)
            loss = min(float(each["val/loss_forced"]) for each in epochs)
            assert float(row["exact match"]) == pytest.approx(exact, rel=1e-5)
            assert float(row["lowest loss"]) == pytest.approx(loss, rel=1e-5)
        assert {float(row["exact match"]) for row in rows} != {0.0}
        monkeypatch.setattr(search, "SETTINGS", {"start": {"experiment": "g2p/attention"}})
        search.main(["report", outputs])
        assert {row["setting"] for row in read_csv("search_runs", study)} == {"start"}, "others are of before"
        with pytest.raises(UserError, match="other: no such setting"):
            search.main(["train", outputs, "other"])


class TestSeveralModelsAsOne:
    @pytest.fixture(scope="class")
    def runs(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp("ensemble")
        return [
            Run(tiny.train(folder, "model=attention", "split.test=0.2", f"seed={seed}")) for seed in range(2)
        ]

    def test_its_scores_are_the_logarithm_of_the_mean_probability(self, runs):
        from experiments.g2p.ensemble import Ensemble

        models = [load_run(each.folder).model for each in runs]
        random = torch.Generator().manual_seed(1)
        source, target = (torch.randint(3, 9, (4, 5), generator=random) for _ in range(2))
        mean = sum(model(source, target).logits.double().softmax(2) for model in models) / 2
        together = Ensemble(models).eval()
        assert torch.allclose(together(source, target).logits.double(), mean.log(), atol=1e-5)
        inputs, memory = together.embed(target), together.encode(source)
        state, steps = together.first_state(memory), []
        for t in range(5):
            decoded, state = together.decode(inputs[:, t : t + 1], memory, state, first=t)
            steps.append(decoded.logits)
        whole, _ = together.decode(inputs, memory, together.first_state(memory))
        assert torch.allclose(torch.cat(steps, dim=1), whole.logits, atol=1e-5)

    def test_one_model_with_itself_translates_as_it_does_alone(self, runs):
        from experiments.g2p.ensemble import LoadedEnsemble

        alone, sources = load_run(runs[0].folder), ["je suis triste .", "tu es content .", "il est ici ."]
        for beam in (1, 3):
            expected = alone.translate(sources, beam=beam)
            assert LoadedEnsemble([runs[0]]).translate(sources, beam=beam) == expected
            assert LoadedEnsemble([runs[0]] * 2).translate(sources, beam=beam) == expected

    def test_its_row_is_beside_those_of_its_runs(self, runs):
        from experiments.g2p import ensemble, report

        rows = [*report.rows_together(runs)]
        assert [(row["beam"], row["seed"]) for row in rows] == [("1", "0+1"), ("5", "0+1")]
        pairs = {}
        for line in runs[0].evaluations["test"].path.with_suffix(".jsonl").read_text().splitlines():
            pairs[json.loads(line)["source"]] = json.loads(line)["references"]
        said = ensemble.LoadedEnsemble(runs).translate([*pairs])
        wrong = [text not in wanted for text, wanted in zip(said, pairs.values(), strict=True)]
        assert float(rows[0]["WER %"]) == pytest.approx(100 * sum(wrong) / len(wrong), rel=1e-5)
        single = [rows[0] | {"seed": seed} for seed in "01"]
        found = report.results([*single, *rows])
        assert [(row["preset"].rpartition(", ")[2], row["beam"], row["seeds"]) for row in found[1:]] == [
            ("ensemble of 2", "1", "2"),
            ("ensemble of 2", "5", "2"),
        ]

    def test_runs_with_other_words_are_no_ensemble(self, runs, tmp_path):
        from experiments.g2p.ensemble import LoadedEnsemble

        other = Run(tiny.train(tmp_path, "model=attention", "data.pairs=30", "seed=2"))
        with pytest.raises(UserError, match="it has other words than"):
            LoadedEnsemble([runs[0], other])
