"""Early stopping: when it stops, what it says, and what a resume makes of it."""

import json

import pytest
import pytorch_lightning as pl

import tiny
from seq2seq_lab.commands import main as cli
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.run import Run

# The loss falls, so that training stops when the first evaluation is not improved on.
STOPPING = (
    "callbacks=[default,early_stopping]",
    "monitor={metric: val/loss_forced, mode: max}",
    "callbacks.early_stopping.patience=2",
    "trainer.max_epochs=9",
)


def summary(folder):
    return json.loads((folder / layout.SUMMARY).read_text(encoding="utf-8"))


@pytest.mark.parametrize(("every", "epochs"), [(1, 3), (2, 6)])
def test_it_stops_after_as_many_evaluations_without_improvement(run, capsys, every, epochs):
    folder = run("a", *STOPPING, f"trainer.check_val_every_n_epoch={every}")
    said = "stopped early: val/loss_forced did not improve for 2 evaluations"
    assert len(tiny.rows(folder)) == epochs
    assert summary(folder)["status"] == "finished"
    assert summary(folder)["stopped"] == said
    assert f"{folder}: {said}" in capsys.readouterr().out.splitlines()


def test_a_run_that_improves_goes_on_to_its_last_epoch(run, capsys):
    folder = run("a", *STOPPING, "monitor.mode=min", "trainer.max_epochs=4")
    assert len(tiny.rows(folder)) == 4
    assert summary(folder)["stopped"] is None
    assert "stopped early" not in capsys.readouterr().out


def test_a_run_that_did_not_begin_to_learn_is_said(run):
    never = ("monitor={metric: val/exact_match, mode: max}", "optimizer.lr=1e-9")
    said = summary(run("a", *STOPPING, *never))["stopped"]
    assert said.startswith("stopped early: val/exact_match did not improve for 2 evaluations; it was 0,")


def test_an_improvement_that_is_too_small_is_none(run):
    folder = run("a", *STOPPING, "monitor.mode=min", "callbacks.early_stopping.min_delta=100")
    assert len(tiny.rows(folder)) == 3


def test_it_can_watch_the_training_loss_where_evaluations_are_rare(run):
    watched = ("callbacks.early_stopping.metric=train/loss", "trainer.check_val_every_n_epoch=5")
    folder = run("a", *STOPPING, *watched)
    assert len(tiny.rows(folder)) == 3
    assert summary(folder)["stopped"] == "stopped early: train/loss did not improve for 2 evaluations"


@pytest.mark.parametrize("block", [7, 10], ids=["mid-epoch", "epoch's end"])
def test_a_resumed_run_stops_where_it_would_have(run, tmp_path, block):
    whole = run("whole", *STOPPING)
    tiny.stop(tmp_path / "stopped", *STOPPING, block=block)
    resumed = run("stopped", *STOPPING)
    assert tiny.curves(whole) == tiny.curves(resumed)
    assert summary(whole)["stopped"] == summary(resumed)["stopped"]


def test_a_run_that_was_killed_after_it_had_stopped_does_not_go_on(run):
    folder = run("a", *STOPPING)
    before = tiny.curves(folder)
    Run(folder).write_summary(status="running", stopped=None)
    run("a", *STOPPING)
    assert tiny.curves(folder) == before
    assert summary(folder)["status"] == "finished"
    assert summary(folder)["stopped"].startswith("stopped early: ")


def test_on_the_command_line(outputs):
    assert cli.main(["train", *tiny.SETTINGS, "logger=none", *STOPPING]) == 0
    (folder,) = tiny.folders(outputs)
    assert len(tiny.rows(folder)) == 3


ENDED = [
    ("callbacks.early_stopping.patience=2",),  # ours
    (
        "~callbacks.early_stopping",
        "+callbacks.theirs._target_=pytorch_lightning.callbacks.EarlyStopping",
        "+callbacks.theirs.monitor=val/loss_forced",
        "+callbacks.theirs.mode=max",
        "+callbacks.theirs.patience=2",
    ),
    ("~callbacks.early_stopping", "+callbacks.own._target_=test_early_stopping.AfterThree"),
]


class AfterThree(pl.Callback):
    """A callback of a user that ends training."""

    def on_validation_end(self, trainer, pl_module):
        """Stop in the third epoch."""
        trainer.should_stop = trainer.current_epoch == 2


@pytest.mark.parametrize("given", ENDED, ids=["ours", "Lightning's", "own"])
def test_whoever_ends_training_the_samples_are_of_the_last_model(run, capsys, given):
    few = ("callbacks.translations.every_n_epochs=50", "split.test=0.2", "logger=none")
    stopped = run("stopped", *STOPPING, *few, *given, lean=False)
    assert len(tiny.rows(stopped)) == 3
    assert summary(stopped)["stopped"].startswith("stopped early: ")
    assert summary(stopped)["stopped"] in capsys.readouterr().out
    whole = run(
        "whole", "monitor={metric: val/loss_forced, mode: max}", *few, "trainer.max_epochs=3", lean=False
    )
    samples = [json.loads((folder / layout.TRANSLATIONS).read_text()) for folder in (stopped, whole)]
    assert samples[0] == samples[1]
    assert tiny.same_weights(stopped, whole)
    assert (stopped / layout.EVALUATION / "test.json").exists()
    longer = ("trainer.max_epochs=20",)
    assert run("stopped", *STOPPING, *few, *given, *longer, lean=False) == stopped
    assert "already finished" in capsys.readouterr().out
