"""Trackers: a run of theirs for each run, with its name and its settings; offline."""

import pytest

import tiny
from seq2seq_lab.errors import UserError
from seq2seq_lab.training.loggers import base


def sweep(tmp_path, *overrides):
    return [
        tiny.train(
            tmp_path, *overrides, "forcing=mixed", f"forcing.ratio={ratio}", f"seed={seed}", "split.test=0.2"
        )
        for ratio in (0, 1)
        for seed in (0, 1)
    ]


LEAN = ("~callbacks.translations", "~callbacks.best_checkpoint")


@pytest.fixture(autouse=True)
def lean(monkeypatch):
    monkeypatch.setattr(tiny, "LEAN", LEAN)


def test_mlflow_has_a_run_for_each_run(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folders = sweep(tmp_path, "logger=mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    client = mlflow.tracking.MlflowClient((tmp_path / "mlruns").as_uri())
    (experiment,) = [each for each in client.search_experiments() if each.name == "seq2seq-lab"]
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 4
    assert {run.info.status for run in runs} == {"FINISHED"}
    by_name = {run.info.run_name: run for run in runs}
    for folder in folders:
        run = by_name[f"{folder.parent.name}/{folder.name}"]
        assert run.data.metrics["train/loss"] == pytest.approx(float(tiny.rows(folder)[-1]["train/loss"]))
        assert run.data.params["forcing"] == "mixed"
        assert "test/bleu" in run.data.metrics


def test_wandb_has_a_run_for_each_run(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_MODE", "offline")
    folders = sweep(tmp_path, "logger=wandb")
    for folder in folders:
        assert len(list((folder / "wandb").glob("offline-run-*"))) == 1
    assert wandb.run is None, "the last one is closed"


def test_lightnings_csv_lies_beside_the_runs_own(tmp_path):
    folder = tiny.train(tmp_path, "logger=csv")
    assert len(tiny.rows(folder)) == 2
    assert (folder / "csv" / "metrics.csv").exists()


def test_a_tracker_that_is_not_installed_is_named_with_its_command(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "wandb", None)
    with pytest.raises(UserError, match=r"wandb is not installed: pip install 'seq2seq-lab\[wandb\]'"):
        tiny.train(tmp_path, "logger=wandb")
    assert not tiny.folders(tmp_path)
    assert str(base.missing("mlflow")).endswith("'seq2seq-lab[mlflow]'")
