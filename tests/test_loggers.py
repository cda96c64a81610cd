"""Trackers: a run of theirs for each run, with its name and its settings; offline."""

import html
import re

import pytest
from pytorch_lightning.loggers import CSVLogger
from tensorboard.plugin_util import markdown_to_safe_html

import tiny
from seq2seq_lab.commands import main as cli
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs.run import Run
from seq2seq_lab.training.callbacks.samples import as_markdown
from seq2seq_lab.training.loggers import base
from seq2seq_lab.training.parts.trackers import hyper_parameters


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


def through_the_command(*overrides):
    settings = (*tiny.SETTINGS, *LEAN, "trainer.max_epochs=1", *overrides)
    return cli.main(["train", *settings])


def test_mlflow_has_the_options_of_nested_groups(outputs, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    nested = ("forcing=by_step", "forcing/schedule=linear", "model=attention", "model/score=general")
    assert through_the_command("logger=mlflow", *nested) == 0
    client = mlflow.tracking.MlflowClient((outputs / "mlruns").as_uri())
    (run,) = client.search_runs([client.get_experiment_by_name("seq2seq-lab").experiment_id])
    shown = {
        "model": "attention",
        "model.score": "general",
        "forcing.schedule": "linear",
        "forcing.schedule.decay": "linear",
        "forcing.feeder": "argmax",
        "model.hidden_size": "8",
    }
    assert shown.items() <= run.data.params.items()


def test_settings_within_settings_are_shown():
    nested = ("target=mixed", "target.schedule.end=0.3", "optimizer=adam", "+optimizer.betas=[0.9,0.98]")
    config = tiny.configuration(*tiny.SETTINGS, *nested, "gradient_clip=5") | {"choices": {"target": "mixed"}}
    shown = hyper_parameters(config)
    assert {
        "target": "mixed",
        "target.schedule.end": 0.3,
        "optimizer.betas[1]": 0.98,
    }.items() <= shown.items()
    assert shown["gradient_clip"] == 5
    assert not any("_target_" in name for name in shown)


def test_runs_on_other_sentences_look_different():
    settings = ("data.pairs=41", "split.test=0.2", "loader.predict_sos=true")
    config = tiny.configuration(*tiny.SETTINGS, *settings) | {"choices": {"data": "toy", "split": "source"}}
    shown = hyper_parameters(config)
    expected = {"data": "toy", "data.pairs": 41, "split": "source", "split.test": 0.2, "loader.batch_size": 1}
    assert expected.items() <= shown.items()
    assert shown["loader.predict_sos"] is True


@pytest.mark.parametrize("address", ["foo://x", "http://127.0.0.1:9"])
def test_a_server_that_does_not_answer_is_named_before_anything_is_written(
    address, outputs, monkeypatch, capsys
):
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert through_the_command("logger=mlflow") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("logger.mlflow: ")
    assert address in line
    assert line.endswith("; logger=none trains without it")
    assert not tiny.folders(outputs)


def test_what_a_tracker_refuses_while_a_run_trains_ends_in_a_line(outputs, monkeypatch, capsys):
    refused = type("Refused", (Exception,), {"__module__": "wandb.errors"})

    def refuse(*_, **__):
        raise refused("No key\nand more")

    monkeypatch.setattr(CSVLogger, "log_metrics", refuse)
    assert through_the_command("logger=csv") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "logger.wandb: No key; logger=none trains without it"
    (folder,) = tiny.folders(outputs)
    assert Run(folder).status == "failed"


def test_a_finished_run_says_what_it_does_not_get(outputs, capsys):
    assert through_the_command() == 0
    capsys.readouterr()
    assert through_the_command("logger=many", "name=mine") == 0
    told, tracker, name = capsys.readouterr().out.splitlines()
    assert "already finished" in told
    assert tracker == "  logger=many is not used: loggers are told of a run while it trains"
    assert name.startswith("  name=mine is not used: equal settings are the same run")
    assert len(tiny.folders(outputs)) == 1
    assert through_the_command() == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_lightnings_csv_lies_beside_the_runs_own(tmp_path):
    folder = tiny.train(tmp_path, "logger=csv")
    assert len(tiny.rows(folder)) == 2
    assert (folder / "csv" / "metrics.csv").exists()


def test_tensorboard_shows_texts_as_they_are():
    texts = ["3 4 | 4 5 / 3 6", "*a* _b_ `c` \\| [d](e)", "<unk> &amp; x_1"]
    row = {"source": texts[0], "references": [texts[1]], "hypothesis": texts[2]}
    shown = re.findall("<td>(.*?)</td>", markdown_to_safe_html(as_markdown([row])))
    assert [html.unescape(each) for each in shown] == texts


def test_a_tracker_that_is_not_installed_is_named_with_its_command(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "wandb", None)
    with pytest.raises(UserError, match=r"wandb is not installed: pip install 'seq2seq-lab\[wandb\]'"):
        tiny.train(tmp_path, "logger=wandb")
    assert not tiny.folders(tmp_path)
    assert str(base.missing("mlflow")).endswith("'seq2seq-lab[mlflow]'")
