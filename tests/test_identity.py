"""A run is what its configuration says, whatever the spelling; two different runs never share a folder."""

import json
from pathlib import Path

import pytest

import tiny
from seq2seq_lab.commands import main as cli
from seq2seq_lab.config.options import option_files, read
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.identity import earlier_fingerprint
from seq2seq_lab.runs.run import Run

LITTLE = ("train", *tiny.SETTINGS, *tiny.LEAN)


def train(tmp_path, *overrides, sweep=False):
    flags = ["-m"] if sweep else []
    assert cli.main([*LITTLE, *overrides, f"output_dir={tmp_path}", *flags]) == 0
    return tiny.folders(tmp_path)


@pytest.mark.parametrize(
    "again",
    [
        ("optimizer.lr=1e-2", "loader.shuffle=True"),
        ("loader.shuffle=true", "optimizer.lr=.01"),
        ("optimizer=sgd", "optimizer.lr=0.01"),
        ("logger=none",),
        ("model.layers=1",),
        ("+trainer.max_time={hours: 1}",),
    ],
    ids=" ".join,
)
def test_the_same_run_in_another_spelling_is_not_trained_again(tmp_path, capsys, again):
    (folder,) = train(tmp_path)
    assert train(tmp_path, *again) == [folder]
    assert "already finished" in capsys.readouterr().out


@pytest.mark.parametrize(
    "two",
    [
        "model.embedding_size=8,9",
        "data.pairs=40,41",
        "monitor.metric=val/bleu,val/chrf",
    ],
)
def test_different_runs_of_a_sweep_have_their_own_folders(tmp_path, two):
    folders = train(tmp_path, two, sweep=True)
    assert len(folders) == 2
    before = {path: path.stat().st_mtime_ns for path in folders[0].rglob("*") if path.is_file()}
    assert train(tmp_path, two, sweep=True) == folders
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_two_experiment_files_without_a_name_are_two_runs(tmp_path):
    options = tmp_path / "options"
    (options / "experiment").mkdir(parents=True)
    for name, lr in (("slow", 0.01), ("fast", 0.02)):
        text = f"# @package _global_\noptimizer: {{lr: {lr}}}\n"
        (options / "experiment" / f"{name}.yaml").write_text(text)
    given = ("--config-dir", str(options), "experiment=slow,fast")
    folders = train(tmp_path / "runs", *given, sweep=True)
    assert {Run(folder).config()["optimizer"]["lr"] for folder in folders} == {0.01, 0.02}
    assert len(train(tmp_path / "runs", *given, "fresh=true", sweep=True)) == 2


def test_equal_numbers_are_the_same_run_however_they_are_written(tmp_path):
    for written in ("0.0", "0", "0e0"):
        assert len(train(tmp_path, f"model.dropout={written}")) == 1


def test_a_run_that_an_earlier_version_noted_is_found(tmp_path):
    (folder,) = train(tmp_path, "name=a", "model.dropout=0.0")
    (note,) = (tmp_path / layout.NOTES).iterdir()
    note.rename(note.with_name(earlier_fingerprint(Run(folder).config())))
    assert train(tmp_path, "model.dropout=0.0") == [folder]


class TestLength:
    def test_a_finished_run_goes_on_where_more_epochs_are_given(self, tmp_path):
        whole = tiny.train(tmp_path / "whole", "trainer.max_epochs=4", "forcing=mixed")
        short = tiny.train(tmp_path / "run", "trainer.max_epochs=2", "forcing=mixed")
        assert tiny.train(tmp_path / "run", "trainer.max_epochs=4", "forcing=mixed") == short
        assert tiny.curves(short) == tiny.curves(whole)
        assert tiny.same_weights(short, whole)
        assert Run(short).config()["trainer"]["max_epochs"] == 4

    def test_a_longer_run_is_not_taken_for_a_shorter_one(self, tmp_path, capsys):
        """A sweep over seeds would have runs of two lengths in one mean."""
        (folder,) = train(tmp_path, "trainer.max_epochs=2")
        before = Run(folder).summary()
        shorter = [*LITTLE, "trainer.max_epochs=1", f"output_dir={tmp_path}"]
        assert cli.main(shorter) == 1
        said = "2 epochs of it are trained, more than trainer.max_epochs=1; give at least as many"
        assert said in capsys.readouterr().err
        assert Run(folder).summary() == before
        assert cli.main([*shorter, "--dry-run"]) == 0
        assert "1 run: 1 refused" in capsys.readouterr().out

    def test_a_shorter_run_is_found_in_its_folder_though_a_longer_one_was_trained_last(
        self, tmp_path, capsys
    ):
        (folder,) = train(tmp_path, "name=a", "trainer.max_epochs=2")
        assert len(train(tmp_path, "name=a", "trainer.max_epochs=2,3", sweep=True)) == 3
        longer = tmp_path / "a,max_epochs=3" / "seed-0"
        before = Run(longer).summary()
        short = [*LITTLE, "name=a", "trainer.max_epochs=2", f"output_dir={tmp_path}"]
        assert cli.main(short) == 0
        assert f"{folder}: already finished" in capsys.readouterr().out
        assert cli.main([*short, "fresh=true"]) == 0
        assert Run(longer).summary() == before

    def test_a_run_that_has_stopped_early_is_finished_with_any_number_of_epochs_above(self, tmp_path, capsys):
        stopping = ("callbacks=[default,early_stopping]", "callbacks.early_stopping.patience=1")
        how = (*stopping, "optimizer.lr=0.00001")
        folder = tiny.train(tmp_path, *how, "trainer.max_epochs=9", lean=False)
        assert 1 < len(tiny.rows(folder)) < 7
        assert tiny.train(tmp_path, *how, "trainer.max_epochs=7", lean=False) == folder
        assert "already finished" in capsys.readouterr().out

    @pytest.mark.parametrize("epochs", [7, 30])
    def test_one_with_a_schedule_that_has_stopped_early_is_of_its_own_length_alone(self, tmp_path, epochs):
        """Over another number of epochs each epoch has another ratio: this would be another run."""
        how = (
            "callbacks=[default,early_stopping]",
            "callbacks.early_stopping.patience=1",
            "optimizer.lr=0.00001",
        )
        folder = tiny.train(tmp_path, *how, "forcing=scheduled", "trainer.max_epochs=9", lean=False)
        assert 1 < len(tiny.rows(folder)) < 7
        with pytest.raises(
            UserError, match=f"spread over 9 epochs; give a run of {epochs} epochs another output_dir"
        ):
            tiny.train(tmp_path, *how, "forcing=scheduled", f"trainer.max_epochs={epochs}", lean=False)
        assert tiny.train(tmp_path, *how, "forcing=scheduled", "trainer.max_epochs=9", lean=False) == folder

    def test_a_policy_that_is_spread_over_the_epochs_cannot_go_on(self, tmp_path):
        tiny.train(tmp_path, "forcing=scheduled", "trainer.max_epochs=2")
        with pytest.raises(
            UserError, match="spread over 2 epochs; give a run of 3 epochs another output_dir"
        ):
            tiny.train(tmp_path, "forcing=scheduled", "trainer.max_epochs=3")

    def test_a_sweep_over_the_length_has_a_run_for_each(self, tmp_path):
        folders = train(tmp_path, "trainer.max_epochs=1,2", sweep=True)
        assert sorted(len(tiny.rows(folder)) for folder in folders) == [1, 2]


class TestConfigFile:
    """`train --config RUN/config.yaml` trains the run again."""

    def test_in_its_own_folder_the_run_goes_on(self, tmp_path, capsys):
        whole = tiny.train(tmp_path / "whole")
        folder = tiny.stop(tmp_path / "run", block=3)
        assert cli.main(["train", "--config", str(folder / "config.yaml")]) == 0
        assert tiny.curves(folder) == tiny.curves(whole)
        assert cli.main(["train", "--config", str(folder)]) == 0
        assert "already finished" in capsys.readouterr().out

    def test_from_elsewhere_the_same_run_is_trained(self, tmp_path):
        folder = tiny.train(tmp_path / "run")
        copy = tmp_path / "copy.yaml"
        copy.write_text((folder / "config.yaml").read_text())
        assert cli.main(["train", "--config", str(copy), f"output_dir={tmp_path / 'again'}"]) == 0
        (again,) = tiny.folders(tmp_path / "again")
        assert tiny.same_weights(folder, again)

    def test_an_override_makes_another_run(self, tmp_path):
        folder = tiny.train(tmp_path)
        assert cli.main(["train", "--config", str(folder), "seed=1"]) == 0
        assert cli.main(["train", "--config", str(folder), "optimizer.lr=0.02"]) == 0
        found = [(Run(each).seed, Run(each).config()["optimizer"]["lr"]) for each in tiny.folders(tmp_path)]
        assert sorted(found) == [(0, 0.01), (0, 0.02), (1, 0.01)]

    def test_what_an_option_takes_from_a_key_goes_with_it(self, tmp_path):
        """As where the options are chosen: a cosine over the new number of epochs, checkpoints by the new metric."""
        folder = tiny.train(tmp_path / "a", "lr_schedule=cosine", "trainer.max_epochs=2", lean=False)
        changes = ("trainer.max_epochs=4", "monitor.metric=val/loss_forced", "monitor.mode=min")
        whole = tiny.train(tmp_path / "whole", "lr_schedule=cosine", *changes, lean=False)
        assert cli.main(["train", "--config", str(folder), *changes, f"output_dir={tmp_path / 'b'}"]) == 0
        (other,) = tiny.folders(tmp_path / "b")
        assert Run(other).difference(Run(whole).config()) is None
        assert [float(row["train/lr"]) for row in tiny.rows(other)] == [
            float(row["train/lr"]) for row in tiny.rows(whole)
        ]
        own = ("callbacks.best_checkpoint.monitor=val/chrf", *changes, f"output_dir={tmp_path / 'c'}")
        assert cli.main(["train", "--config", str(folder), *own, "callbacks.best_checkpoint.mode=max"]) == 0
        (third,) = tiny.folders(tmp_path / "c")
        assert Run(third).config()["callbacks"]["best_checkpoint"]["monitor"] == "val/chrf"

    @pytest.mark.parametrize(
        ("key", "more"), [("init_from", ()), ("target.run", ("target=teacher", "accelerate=off"))]
    )
    def test_a_run_of_another_seed_is_not_taken_in_silence(self, tmp_path, capsys, key, more):
        first = tiny.train(tmp_path / "first")
        folder = tiny.train(tmp_path / "next", *more, f"{key}='{first}'")
        assert cli.main(["train", "--config", str(folder), "seed=1"]) == 1
        assert f"is the run of seed 0; with another seed, give {key}=… too" in capsys.readouterr().err
        assert cli.main(["train", "--config", str(folder), "seed=1", f"{key}={first}"]) == 0

    def test_what_a_run_notes_itself_is_not_changed(self, tmp_path, capsys):
        folder = tiny.train(tmp_path)
        assert cli.main(["train", "--config", str(folder), "choices.model=transformer"]) == 1
        assert "choices.model=transformer: a run notes choices itself" in capsys.readouterr().err

    def test_a_name_is_any_text_or_made_of_what_is_trained(self, tmp_path):
        folder = tiny.train(tmp_path)
        of_run = ["train", "--config", str(folder), f"output_dir={tmp_path}"]
        assert cli.main([*of_run, "seed=1", "name=run #2"]) == 0
        assert Run(tmp_path / "run #2" / "seed-1").finished
        assert cli.main([*of_run, "seed=2", "name=null"]) == 0
        assert Run(tmp_path / "seq2seq-full" / "seed-2").finished

    @pytest.mark.parametrize(
        ("override", "said"),
        [
            ("model=attention", "has keys of its own"),
            ("modell.x=1", "KEY=VALUE"),
            ("seed=x", "seed: 'x' is not"),
        ],
    )
    def test_a_wrong_override_is_named(self, tmp_path, capsys, override, said):
        folder = tiny.train(tmp_path)
        assert cli.main(["train", "--config", str(folder), override]) == 1
        assert said in capsys.readouterr().err


KEYS = json.loads((Path(__file__).parent / "data" / "keys.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("option", KEYS)
def test_a_new_key_of_an_option_is_one_that_earlier_runs_have_too(option):
    """A key that an option did not have makes every run of before another run, and a comparison splits them.

    So `runs/earlier.py` has to add it, with the value that means what was before; then it belongs into keys.json.
    """
    group, _, name = option.rpartition("/")
    now = sorted(key for key in read(option_files(group)[name]) if key != "defaults")
    assert sorted(set(now) - set(KEYS[option])) == []


def test_a_run_inside_of_another_one_is_refused(tmp_path, monkeypatch, capsys):
    """It would not be found, and be removed with the other one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEQ2SEQ_LAB_OUTPUTS", raising=False)
    for place in (
        Path("config.yaml"),
        Path("outputs/a/seed-0/config.yaml"),
    ):  # only the second one is a run's
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("seed: 0\n")
    assert cli.main(["train", *tiny.SETTINGS, "name=b", "--dry-run"]) == 0
    assert cli.main(["train", *tiny.SETTINGS, "name=a/seed-0", "seed=3"]) == 1
    assert "outputs/a/seed-0 is a run, and a run inside of it is not found" in capsys.readouterr().err
    assert not Path("outputs/a/seed-0/seed-3").exists()
