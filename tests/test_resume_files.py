"""What else a run that goes on has in its folder: checkpoints of earlier epochs, and what trackers know."""

import csv
from functools import cache
from unittest import mock

import pytest
from pytorch_lightning.callbacks import ModelCheckpoint
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import kills
import tiny
from seq2seq_lab.files import replacing
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.checkpoint import read_weights
from seq2seq_lab.training.callbacks.checkpoint import AtomicCheckpointIO, Checkpoint
from seq2seq_lab.training.loggers.weights_and_biases import WeightsAndBiases

EPOCHS = "trainer.max_epochs=4"


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill."""


@pytest.fixture
def kill(monkeypatch):
    """Train a run that dies before it writes its last checkpoint of an epoch, when all else is written."""

    def kill(outputs, *overrides, epoch=3):
        written = []

        def save(self, checkpoint, path, storage_options=None):
            written.append(path)
            if sum(str(each).endswith(layout.LAST) for each in written) == epoch:
                raise Killed
            return whole(self, checkpoint, path, storage_options)

        whole = AtomicCheckpointIO.save_checkpoint
        with monkeypatch.context() as patch:
            patch.setattr(AtomicCheckpointIO, "save_checkpoint", save)
            with pytest.raises(Killed):
                tiny.train(outputs, *overrides, lean=False)

    return kill


def checkpoints(folder):
    below = folder / layout.CHECKPOINTS
    return {path.relative_to(below).as_posix(): read_weights(path) for path in below.rglob("*.ckpt")}


BY_LOSS = ("monitor.metric=val/loss_forced", "monitor.mode=min")
NAMES = [
    ("callbacks=[default,keep_last]", "callbacks.kept_checkpoints.save_top_k=2"),
    ("callbacks=[default,keep_best]", *BY_LOSS),
    (*BY_LOSS, "callbacks.best_checkpoint.filename='best-{val/loss_forced:.4f}'"),
    ("callbacks=[default,keep_last]", "callbacks.kept_checkpoints.filename='{epoch}'"),
    ("callbacks=[default,keep_last]", "+trainer.max_steps=1000"),
]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The checkpoints of a run that was not killed, trained once for the same overrides."""
    return cache(
        lambda *overrides: checkpoints(
            tiny.train(tmp_path_factory.mktemp("undisturbed"), EPOCHS, *overrides, lean=False)
        )
    )


@pytest.mark.parametrize("overrides", NAMES)
def test_a_killed_run_that_goes_on_has_the_checkpoints_of_an_undisturbed_one(
    tmp_path, kill, undisturbed, overrides
):
    wanted = undisturbed(*overrides)
    kill(tmp_path / "b", EPOCHS, *overrides)
    found = checkpoints(tiny.train(tmp_path / "b", EPOCHS, *overrides, lean=False))
    assert sorted(found) == sorted(wanted)
    for name, weights in wanted.items():
        assert all(weights[key].equal(found[name][key]) for key in weights), name


@pytest.mark.parametrize("overrides", NAMES)
def test_a_longer_run_has_the_checkpoints_of_one_of_that_length(tmp_path, undisturbed, overrides):
    tiny.train(tmp_path / "b", "trainer.max_epochs=2", *overrides, lean=False)
    found = checkpoints(tiny.train(tmp_path / "b", EPOCHS, *overrides, lean=False))
    assert sorted({*found} - {layout.PREVIOUS}) == sorted({*undisturbed(*overrides)} - {layout.PREVIOUS})


def test_the_best_score_is_found_in_a_checkpoint_without_file_names_in_its_keys(tmp_path):
    first_is_best = (BY_LOSS[0], "monitor.mode=max")
    with mock.patch.object(Checkpoint, "state_key", ModelCheckpoint.state_key):
        folder = tiny.train(tmp_path, "trainer.max_epochs=2", *first_is_best, lean=False)
    before = read_weights(folder / layout.CHECKPOINTS / layout.BEST)
    tiny.train(tmp_path, EPOCHS, *first_is_best, lean=False)
    after = read_weights(folder / layout.CHECKPOINTS / layout.BEST)
    assert all(before[key].equal(after[key]) for key in before)


def test_fresh_removes_checkpoints_in_folders_too(tmp_path):
    overrides = (EPOCHS, "callbacks.best_checkpoint.filename='best-{val/bleu:.4f}'")
    folder = tiny.train(tmp_path, *overrides, lean=False)
    stale = folder / layout.CHECKPOINTS / "best-val" / "bleu=9.0000.ckpt"
    with replacing(stale) as temporary:
        temporary.write_bytes(b"")
    tiny.train(tmp_path, *overrides, "fresh=true", lean=False)
    assert not stale.exists()


def test_what_a_callback_logs_at_steps_is_in_tensorboard_as_of_an_undisturbed_run(tmp_path, kill):
    rate = "+callbacks.rate._target_=pytorch_lightning.callbacks.LearningRateMonitor"
    overrides = (EPOCHS, rate, "lr_schedule=cosine")
    undisturbed = tiny.train(tmp_path / "a", *overrides, lean=False)
    kill(tmp_path / "b", *overrides, epoch=3)
    tiny.stop(tmp_path / "b", *overrides, block=3, lean=False)
    assert curves(tiny.train(tmp_path / "b", *overrides, lean=False)) == curves(undisturbed)


def curves(folder):
    """What TensorBoard has, but for speed: tag → (step, value) of each record, of all files."""
    events = EventAccumulator(str(folder), {"scalars": 0})
    events.Reload()
    tags = [tag for tag in events.Tags()["scalars"] if not tag.startswith("~perf/")]
    return {tag: [(each.step, each.value) for each in events.Scalars(tag)] for tag in tags}


def test_tensorboard_is_told_the_epochs_that_were_trained_without_it(tmp_path):
    whole = kills.events(tiny.train(tmp_path / "whole", EPOCHS, lean=False))
    folder = tiny.train(tmp_path, "trainer.max_epochs=1", "logger=none", lean=False)
    for settings in (["trainer.max_epochs=2"], ["trainer.max_epochs=3", "logger=none"], [EPOCHS]):
        tiny.train(tmp_path, *settings, lean=False, folder=folder)
    found = kills.events(folder)
    scalars = [tag for tag in whole if tag.startswith(("train/", "val/"))]
    assert [found[tag] for tag in scalars] == [whole[tag] for tag in scalars]


def test_lightnings_csv_of_a_run_that_goes_on_has_each_epoch_once(tmp_path, kill):
    undisturbed = tiny.train(tmp_path / "a", EPOCHS, "logger=csv", lean=False)
    kill(tmp_path / "b", EPOCHS, "logger=csv")
    folder = tiny.train(tmp_path / "b", EPOCHS, "logger=csv", lean=False)
    assert logged(folder) == logged(undisturbed)
    assert [row["step"] for row in logged(folder)] == ["1", "2", "3", "4"]


def logged(folder):
    with (folder / "csv" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{key: row[key] for key in row if not key.startswith("perf/")} for row in rows]


def test_mlflow_goes_on_in_the_same_run_and_has_each_epoch_once(tmp_path, kill, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    kill(tmp_path, EPOCHS, "logger=mlflow")
    folder = tiny.train(tmp_path, EPOCHS, "logger=mlflow", lean=False)
    client = mlflow.tracking.MlflowClient((tmp_path / "mlruns").as_uri())
    experiment = client.get_experiment_by_name("seq2seq-lab").experiment_id
    (run,) = client.search_runs([experiment])
    assert run.info.status == "FINISHED"
    for metric in ("train/loss", "val/bleu"):
        history = client.get_metric_history(run.info.run_id, metric)
        assert [point.step for point in history] == [1, 2, 3, 4]
        assert [point.value for point in history] == [float(row[metric]) for row in tiny.rows(folder)]
    tiny.train(tmp_path, EPOCHS, "logger=mlflow", "fresh=true", lean=False)
    assert len(client.search_runs([experiment])) == 2, "trained again: a run of its own"


def test_wandb_has_one_id_for_a_run_that_goes_on_and_is_told_each_epoch(tmp_path, kill, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_MODE", "offline")
    kill(tmp_path, EPOCHS, "logger=wandb")
    told = []

    def log(self, metrics, step):
        told.extend([step] if "train/loss" in metrics else [])
        whole(self, metrics, step)

    whole = WeightsAndBiases.log_metrics
    monkeypatch.setattr(WeightsAndBiases, "log_metrics", log)
    folder = tiny.train(tmp_path, EPOCHS, "logger=wandb", lean=False)
    names = [path.name for path in (folder / "wandb").glob("offline-run-*")]
    assert len(names) == 2
    # offline-run-TIME-ID, and -1 after it where both began in the same second
    assert len({name.split("-")[3] for name in names}) == 1
    assert told == [1, 2, 3, 4]
