"""What a callback of the user logs by Lightning's means stands with the run's own values, at the same epochs."""

import csv
import json

import pytest
import pytorch_lightning as pl
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import tiny
from seq2seq_lab import load_run
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.run import Run


class Logs(pl.Callback):
    """Logs a value in each of the places where Lightning allows it."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.log("mine/mean_of_blocks", float(batch_idx), on_step=False, on_epoch=True, batch_size=1)
        self.log("mine/unlogged", 1.0, logger=False, on_step=False, on_epoch=True, batch_size=1)

    def on_validation_epoch_end(self, trainer, pl_module):
        pl_module.log("mine/validated", trainer.current_epoch + 10.0)

    def on_train_epoch_end(self, trainer, pl_module):
        self.log("mine/trained", trainer.current_epoch + 20.0)
        self.log_dict({"mine/one": 1.0, "mine/two": 2.0})


OWN = (
    f"+callbacks.own._target_={__name__}.Logs",
    "trainer.max_epochs=4",
    "trainer.check_val_every_n_epoch=2",
    "trainer.num_sanity_val_steps=1",
    "~callbacks.translations",
)
EXPECTED = {
    "mine/mean_of_blocks": dict.fromkeys((1, 2, 3, 4), 2.0),  # of the blocks 0 to 4
    "mine/validated": {2: 11.0, 4: 13.0},
    "mine/trained": {1: 20.0, 2: 21.0, 3: 22.0, 4: 23.0},
    "mine/one": dict.fromkeys((1, 2, 3, 4), 1.0),
    "mine/two": dict.fromkeys((1, 2, 3, 4), 2.0),
}


def of_tensorboard(folder):
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {tag: {each.step: each.value for each in events.Scalars(tag)} for tag in events.Tags()["scalars"]}


def own(curves):
    return {name: dict(curve) for name, curve in curves.items() if name.startswith("mine")}


def test_it_is_in_every_place_at_the_epochs_of_the_run(tmp_path):
    tiny.stop(
        tmp_path, *OWN, block=10, lean=False
    )  # at the end of an epoch: Lightning saves no means of parts of one
    folder = tiny.train(tmp_path, *OWN, lean=False)
    run = Run(folder)
    assert own(run.curves()) == EXPECTED
    assert own(of_tensorboard(folder)) == EXPECTED
    last = {name: curve[max(curve)] for name, curve in EXPECTED.items()}
    assert {name: run.summary()["last"].get(name) for name in last} == last
    row = tiny.checkpoint(folder)["callbacks"]["EpochScalars"]["rows"][-1]
    assert {name: row[name] for name in last} == last


def test_loggers_get_it_with_the_values_of_the_epoch(tmp_path):
    folder = tiny.train(tmp_path, *OWN, "logger=csv", lean=False)
    with (folder / "csv" / "metrics.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [row["mine/trained"] for row in rows] == ["20.0", "21.0", "22.0", "23.0"]


def test_an_average_of_the_weights_counts_updates(run):
    average = "+callbacks.average._target_=pytorch_lightning.callbacks.EMAWeightAveraging"
    one, many = (
        run(f"{size}", average, "+callbacks.average.decay=0.9", f"loader.updates_per_block={size}")
        for size in (1, 128)
    )
    assert tiny.same_weights(one, many)
    assert not tiny.same_weights(one, run("plain"))


def test_samples_are_of_the_averaged_weights_that_are_saved(run):
    average = "+callbacks.average._target_=pytorch_lightning.callbacks.EMAWeightAveraging"
    folder = run("a", average, "optimizer.lr=0.3", "trainer.max_epochs=3", lean=False)
    samples = json.loads((folder / layout.TRANSLATIONS).read_text(encoding="utf-8"))
    trained = load_run(folder, checkpoint="last")
    assert [each["hypothesis"] for each in samples] == trained.translate([each["source"] for each in samples])
    often = run("often", average, "callbacks.translations.every_n_epochs=1", lean=False)
    assert tiny.same_weights(often, run("never", average)), "samples change what is trained"


@pytest.mark.parametrize(
    ("given", "instead"),
    [
        (("BackboneFinetuning",), "BaseFinetuning"),
        (("BatchSizeFinder",), "loader.batch_size="),
        (("GradientAccumulationScheduler", "+callbacks.other.scheduling={0: 4}"), "loader.batch_size="),
        (("LearningRateFinder",), "optimizer.lr="),
        (("ModelPruning", "+callbacks.other.pruning_fn=l1_unstructured"), "masks"),
        (("OnExceptionCheckpoint", "+callbacks.other.dirpath=shared"), "its own folder"),
        (("TQDMProgressBar",), "leave it out"),
        (("spike.SpikeDetection",), "gradient_clip="),
        (("StochasticWeightAveraging", "+callbacks.other.swa_lrs=0.1"), "--average"),
    ],
    ids=lambda given: given[0],
)
def test_a_callback_that_a_run_does_not_follow_is_refused(run, tmp_path, given, instead):
    kind, *more = given
    name = kind.rpartition(".")[2]
    with pytest.raises(UserError, match=rf"^callbacks\.other: a run does not follow {name}; .*{instead}"):
        run("a", f"+callbacks.other._target_=pytorch_lightning.callbacks.{kind}", *more)
    assert not tiny.folders(tmp_path)


def test_a_run_that_is_ended_before_its_first_epoch_has_not_finished(run, tmp_path):
    timer = (
        "+callbacks.other._target_=pytorch_lightning.callbacks.Timer",
        "+callbacks.other.duration={seconds: 0}",
    )
    with pytest.raises(UserError, match="a callback ended training before its first epoch"):
        run("a", *timer)
    (folder,) = tiny.folders(tmp_path)
    assert Run(folder).summary()["status"] == "failed"


class Freezes(pl.Callback):
    """Freezes the encoder after the first epoch."""

    def on_train_epoch_start(self, trainer, pl_module):
        pl_module.model.encoder.requires_grad_(trainer.current_epoch == 0)


class Decays(pl.Callback):
    """Begins weight decay in the second epoch."""

    def on_train_epoch_start(self, trainer, pl_module):
        trainer.optimizers[0].param_groups[0]["weight_decay"] = 0.1 * trainer.current_epoch


@pytest.mark.parametrize("change", [Freezes, Decays])
def test_what_it_changes_takes_effect_with_every_accelerator(run, change):
    settings = (f"+callbacks.own._target_={__name__}.{change.__name__}", "optimizer.lr=0.1")
    folders = [run(name, *settings, f"accelerate={name}") for name in ("auto", "off")]
    auto, off = (tiny.checkpoint(folder)["state_dict"] for folder in folders)
    torch.testing.assert_close(auto, off, rtol=1e-4, atol=1e-6)
    assert Run(folders[0]).summary()["accelerate"]["updates"] != "compiled_sentence"
