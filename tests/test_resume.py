"""An interrupted run is resumed exactly where it was stopped; a finished run is not changed."""

import json
import os
import shutil
import signal
import time

import pytest
import torch
from pytorch_lightning.strategies import SingleDeviceStrategy
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import tiny
from seq2seq_lab.commands import main as cli
from seq2seq_lab.errors import UserError
from seq2seq_lab.evaluation.measures import tensorboard_tag
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.run import Run
from seq2seq_lab.training import train as training
from seq2seq_lab.training.callbacks import interruption
from seq2seq_lab.training.callbacks.checkpoint import AtomicCheckpointIO
from seq2seq_lab.training.callbacks.interruption import Interruption
from seq2seq_lab.training.module import TranslationModule

# Everything that has a state: coins, dropout, a shuffled order, the moments of an optimizer.
STATEFUL = ("model=attention", "forcing=mixed", "model.dropout=0.3", "model.layers=2")
BATCHED = (
    "loader.batch_size=8",
    "loader.updates_per_block=1",
    "optimizer=adam",
    "gradient_clip=1.0",
    "trainer.check_val_every_n_epoch=2",
)
INTERRUPTED = 130  # the exit status of a command that was stopped by Ctrl-C
BLOCKS = 5  # per epoch


def summary(folder):
    return json.loads((folder / layout.SUMMARY).read_text(encoding="utf-8"))


def assert_same_state(one, other):
    """All tensors and numbers are equal, in nested containers."""
    assert type(one) is type(other)
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same_state(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for ours, theirs in zip(one, other, strict=True):
            assert_same_state(ours, theirs)
    else:
        assert one == other


def assert_same_run(one, other):
    assert tiny.curves(one) == tiny.curves(other)
    ours, theirs = tiny.checkpoint(one), tiny.checkpoint(other)
    for part in ("state_dict", "optimizer_states", "tally", "epoch", "global_step"):
        assert_same_state(ours[part], theirs[part])
    assert_same_state(ours["callbacks"]["RandomState"], theirs["callbacks"]["RandomState"])


@pytest.fixture
def stop(tmp_path):
    """Like `run`, but interrupted in a block."""
    return lambda name, *overrides, **how: tiny.stop(tmp_path / name, *overrides, **how)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Uninterrupted runs by their settings, for comparison."""
    made = {}

    def get(*settings):
        if settings not in made:
            made[settings] = tiny.train(tmp_path_factory.mktemp("uninterrupted"), *settings)
        return made[settings]

    return get


@pytest.mark.parametrize(
    ("settings", "blocks"),
    [
        ((), [3]),
        ((), [BLOCKS]),
        (BATCHED, [2, BLOCKS - 2, 1]),  # each counted from the point where the run is resumed
        (("+trainer.precision=64-true",), [3]),
        (("+trainer.limit_train_batches=9",), [9]),
        (("+trainer.limit_train_batches=0.25",), [4]),
        (("+trainer.overfit_batches=5",), [5]),
    ],
    ids=[
        "mid-epoch",
        "epoch's end",
        "batches, three times",
        "double precision",
        "the end of a limited epoch",
        "in a limited epoch",
        "overfitting",
    ],
)
def test_a_resumed_run_is_equal_to_an_uninterrupted_run(run, stop, uninterrupted, settings, blocks):
    settings = (*STATEFUL, *settings)
    for number in blocks:
        folder = stop("stopped", *settings, block=number)
        assert summary(folder)["status"] == "interrupted"
    assert run("stopped", *settings) == folder
    assert summary(folder)["status"] == "finished"
    assert_same_run(folder, uninterrupted(*settings))


@pytest.mark.parametrize("steps", [1000, 90])  # never reached, and in the middle of an epoch
def test_a_longer_run_with_max_steps_is_equal_to_one_of_that_length(run, uninterrupted, steps):
    settings = (*STATEFUL, f"+trainer.max_steps={steps}")
    run("longer", *settings, "trainer.max_epochs=1")
    assert_same_run(
        run("longer", *settings, "trainer.max_epochs=4"), uninterrupted(*settings, "trainer.max_epochs=4")
    )


def test_a_finished_run_goes_on_without_a_limit_of_epochs(run, uninterrupted):
    settings = (*STATEFUL, "+trainer.max_steps=90")
    run("endless", *settings, "trainer.max_epochs=1")
    endless = run("endless", *settings, "trainer.max_epochs=-1")
    assert_same_run(endless, uninterrupted(*settings, "trainer.max_epochs=-1"))
    assert run("endless", *settings, "trainer.max_epochs=-1") == endless


def test_a_run_interrupted_in_its_last_block_is_finished(run, tmp_path, uninterrupted):
    with tiny.interrupted_in_block(2 * BLOCKS), pytest.raises(KeyboardInterrupt):  # which also stops a sweep
        run("stopped", *STATEFUL)
    (folder,) = tiny.folders(tmp_path / "stopped")
    assert summary(folder)["status"] == "finished"
    assert_same_run(folder, uninterrupted(*STATEFUL))


def test_a_run_without_checkpoint_callback_that_was_interrupted_at_the_end_of_an_epoch_is_resumed(
    run, stop, uninterrupted
):
    without = (*STATEFUL, "~callbacks.last_checkpoint")
    folder = stop("stopped", *without, block=BLOCKS)
    assert [path.name for path in folder.rglob("*.ckpt")] == [layout.LAST]
    run("stopped", *without)
    assert tiny.curves(folder) == tiny.curves(uninterrupted(*STATEFUL))
    assert not [*folder.rglob("*.ckpt")], "that of the interruption would be taken for the trained model"


def test_fewer_epochs_than_are_trained_are_refused_and_nothing_changes(stop, run):
    folder = stop("r", "trainer.max_epochs=4", block=2 * BLOCKS + 1)
    before = {
        path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.stat().st_size
    }
    with pytest.raises(UserError, match=r"2 epochs of it are trained, more than trainer\.max_epochs=1; give"):
        run("r", "trainer.max_epochs=1")
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name in before} == before


def test_the_time_of_an_interrupted_epoch_is_the_sum_of_its_parts(run, stop):
    folder = stop("stopped", block=3)
    run("stopped")
    assert all(0 < float(row["perf/epoch_seconds"]) < 60 for row in tiny.rows(folder))


def test_checkpoints_are_in_the_runs_folder_for_every_logger(run, stop):
    log = ("+logger.csv._target_=pytorch_lightning.loggers.CSVLogger", "+logger.csv._partial_=true")
    folder = stop("stopped", *log, block=BLOCKS + 2)
    assert (folder / layout.CHECKPOINTS / layout.LAST).exists()
    run("stopped", *log)
    assert not [path for path in folder.rglob("*.ckpt") if path.parent.name != layout.CHECKPOINTS]


def test_the_best_checkpoint_is_found_after_the_folder_was_moved(stop, tmp_path):
    best = ("monitor.metric=val/loss_forced", "monitor.mode=max", "trainer.max_epochs=3", "callbacks=default")
    first = stop("stopped", *best, block=BLOCKS + 2, lean=False)
    assert (
        tiny.checkpoint(first, layout.BEST)["epoch"] == 0
    )  # the loss decreases, so the first value is the highest
    moved = tmp_path / "moved"
    (tmp_path / "stopped").rename(moved)
    folder = tiny.train(moved, *best, lean=False)
    assert tiny.checkpoint(folder, layout.BEST)["epoch"] == 0
    assert summary(folder)["best"]["val/loss_forced"]["epoch"] != 1


def test_a_checkpoint_is_written_atomically(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"n": 1}, path)

    def torn(checkpoint, file):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", torn)
    with pytest.raises(OSError, match="disk full"):
        AtomicCheckpointIO().save_checkpoint({"n": 2}, path)
    assert torch.load(path) == {"n": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_that_another_process_has_just_finished_is_not_changed(
    run, uninterrupted, monkeypatch, tmp_path
):
    folder = tmp_path / "outputs" / uninterrupted(*STATEFUL).relative_to(uninterrupted(*STATEFUL).parents[1])
    make_data = training.make_data

    def slowly(config):
        shutil.copytree(uninterrupted(*STATEFUL), folder, dirs_exist_ok=True)
        return make_data(config)

    monkeypatch.setattr(training, "make_data", slowly)
    with pytest.raises(UserError, match="was just trained by another process"):
        run("outputs", *STATEFUL)
    assert summary(folder) == summary(uninterrupted(*STATEFUL))


def test_a_failed_run_is_resumed_from_its_last_epoch(run, tmp_path, uninterrupted, monkeypatch):
    step, steps = TranslationModule.training_step, []

    def breaks_down(*arguments):
        steps.append(1)
        if len(steps) == BLOCKS + 3:
            raise MemoryError
        return step(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(TranslationModule, "training_step", breaks_down)
        with pytest.raises(MemoryError):
            run("broken", *STATEFUL)
    (folder,) = tiny.folders(tmp_path / "broken")
    assert summary(folder)["status"] == "failed"
    assert summary(folder)["epochs"] == 1
    run("broken", *STATEFUL)
    assert_same_run(folder, uninterrupted(*STATEFUL))


def test_a_second_ctrl_c_stops_at_once_and_the_run_is_resumed_from_its_last_epoch(
    run, tmp_path, uninterrupted, monkeypatch
):
    step, steps = TranslationModule.training_step, []

    def impatient(*arguments):
        steps.append(1)
        if len(steps) == BLOCKS + 3:
            tiny.press(signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)  # the handler of the signal interrupts the sleep
        return step(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(TranslationModule, "training_step", impatient)
        patched.setattr(interruption, "SAME_SIGNAL", -1)
        with pytest.raises(KeyboardInterrupt):
            run("stopped", *STATEFUL)
    (folder,) = tiny.folders(tmp_path / "stopped")
    assert len(steps) == BLOCKS + 3
    assert summary(folder)["status"] == "interrupted"
    run("stopped", *STATEFUL)
    assert_same_run(folder, uninterrupted(*STATEFUL))


class TestFirstMoments:
    """Ctrl-C before the first update: the run is interrupted, whatever is half made, and keeps what it has reached."""

    @staticmethod
    def raises(error):
        def raised(*given, **more):
            raise error

        return raised

    @pytest.mark.parametrize("place", ["remember", "show_cautions", "_fit", "evaluate_test"])
    def test_the_run_is_interrupted(self, tmp_path, monkeypatch, place):
        monkeypatch.setattr(training, place, self.raises(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            tiny.train(tmp_path)
        (folder,) = tiny.folders(tmp_path)
        assert Run(folder).status == "interrupted"

    def test_also_where_what_is_half_made_cannot_be_taken_down(self, tmp_path, monkeypatch):
        monkeypatch.setattr(TranslationModule, "configure_optimizers", self.raises(KeyboardInterrupt()))
        monkeypatch.setattr(SingleDeviceStrategy, "teardown", self.raises(AttributeError("half made")))
        with pytest.raises(KeyboardInterrupt):
            tiny.train(tmp_path)
        (folder,) = tiny.folders(tmp_path)
        assert (Run(folder).status, Run(folder).summary()["stopped"]) == ("interrupted", None)

    def test_an_error_alone_is_a_failure(self, tmp_path, monkeypatch):
        monkeypatch.setattr(TranslationModule, "configure_optimizers", self.raises(ValueError("no")))
        with pytest.raises(ValueError, match="no"):
            tiny.train(tmp_path)
        (folder,) = tiny.folders(tmp_path)
        assert Run(folder).status == "failed"

    def test_a_run_that_goes_on_keeps_what_it_has_reached(self, tmp_path, monkeypatch):
        folder = tiny.stop(tmp_path, block=BLOCKS + 1)
        before = Run(folder).summary()
        monkeypatch.setattr(training, "_fit", self.raises(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            tiny.train(tmp_path)
        after = Run(folder).summary()
        assert before["epochs"] == 1
        for key in ("epochs", "last", "best"):
            assert after[key] == before[key]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_handlers_are_restored_after_a_run(stop, number, monkeypatch):
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr(tiny, "CTRL_C", number)
    folder = stop("stopped", block=3)
    assert summary(folder)["status"] == "interrupted"
    assert {number: signal.getsignal(number) for number in before} == before
    tiny.train(folder.parents[1], lean=True)
    assert {number: signal.getsignal(number) for number in before} == before


def test_the_summary_is_updated_during_training(run, tmp_path, monkeypatch):
    seen = []

    def look(*_):
        (folder,) = tiny.folders(tmp_path / "a")
        seen.append(summary(folder))

    monkeypatch.setattr(Interruption, "on_train_epoch_start", look)
    run("a")
    assert [entry["status"] for entry in seen] == ["running", "running"]
    assert [entry["epochs"] for entry in seen] == [0, 1]
    assert seen[1]["seconds"] > 0
    assert seen[0]["corpus"]["pairs"] == 40


def test_the_time_of_a_resumed_run_is_the_sum_of_its_parts(run, stop):
    folder = stop("stopped", block=3)
    (folder / layout.SUMMARY).write_text(json.dumps(summary(folder) | {"seconds": 1000.0}), encoding="utf-8")
    run("stopped")
    assert 1000 < summary(folder)["seconds"] < 1100


def test_every_epoch_is_logged_once(run, stop):
    for block in (3, 5):
        folder = stop("stopped", *STATEFUL, block=block, lean=False)
    run("stopped", *STATEFUL, lean=False)
    assert [row["epoch"] for row in tiny.rows(folder)] == ["1", "2"]
    steps: dict[str, list[int]] = {}
    for path in folder.glob("events.out.tfevents.*"):
        events = EventAccumulator(str(path), size_guidance={"scalars": 0}).Reload()
        for tag in events.Tags()["scalars"]:
            steps.setdefault(tag, []).extend(event.step for event in events.Scalars(tag))
    for name in tiny.rows(folder)[0]:
        if name != "epoch":
            assert sorted(steps[tensorboard_tag(name)]) == [1, 2], name


def test_a_finished_run_is_not_trained_again(run, uninterrupted, capsys, tmp_path):
    folder = tmp_path / "outputs" / uninterrupted(*STATEFUL).relative_to(uninterrupted(*STATEFUL).parents[1])
    shutil.copytree(uninterrupted(*STATEFUL), folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert run("outputs", *STATEFUL) == folder
    assert "already finished" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_fresh_trains_again_and_removes_the_files_of_the_old_run(run, capsys):
    folder = run("a", "trainer.max_epochs=1", lean=False)
    old = (folder / layout.CHECKPOINTS / layout.BEST).stat().st_mtime_ns
    capsys.readouterr()
    (folder / "notes.txt").write_text("the user's own")
    assert run("a", "trainer.max_epochs=1", "fresh=true", lean=False) == folder
    assert "already finished" not in capsys.readouterr().out
    assert (folder / layout.CHECKPOINTS / layout.BEST).stat().st_mtime_ns != old
    assert len(list(folder.glob("events.out.tfevents.*"))) == 1
    assert len(tiny.rows(folder)) == 1
    assert (folder / "notes.txt").exists()


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ("trainer=default", "trainer.accelerator"),
        ("monitor={metric: val/chrf, mode: max}", "monitor.metric"),
    ],
)
def test_another_run_with_the_same_name_is_refused_and_the_message_names_the_key(plain_run, change, key):
    before = {path: path.stat().st_mtime_ns for path in plain_run.rglob("*")}
    with pytest.raises(UserError, match=rf"contains another run \(it differs in {key}\).*fresh=true"):
        tiny.train(plain_run.parents[1], "trainer.max_epochs=1", change, lean=False)
    assert {path: path.stat().st_mtime_ns for path in plain_run.rglob("*")} == before


def test_the_same_command_resumes_and_other_pairs_are_refused(tmp_path, monkeypatch, capsys):
    archive = tmp_path / "pairs.txt"
    settings = [setting for setting in tiny.SETTINGS if not setting.startswith("data")]
    command = ["train", *settings, *tiny.LEAN, "split.validation=0.3"]
    monkeypatch.setenv("ENG_FRA_ARCHIVE", str(archive))
    lines = [f"I'm {word}.\tje suis {word}." for word in "abcdefghijklmnopqrstuvwxyz"]
    archive.write_text("\n".join(lines), encoding="utf-8")
    with tiny.interrupted_in_block(1):
        assert cli.main(command) == INTERRUPTED
    assert "run the same command to resume" in capsys.readouterr().err
    archive.write_text("\n".join(lines[1:]), encoding="utf-8")
    assert cli.main(command) == 1
    assert "started on different pairs" in capsys.readouterr().err
    archive.write_text("\n".join(lines), encoding="utf-8")
    assert cli.main(command) == 0
    assert cli.main(command) == 0
    assert "already finished" in capsys.readouterr().out


def damage(path):
    path.write_bytes(path.read_bytes()[:-100])


def test_a_run_whose_last_checkpoint_is_damaged_goes_on_from_the_one_before_it(
    tmp_path, capsys, uninterrupted
):
    folder = tiny.stop(tmp_path, *STATEFUL, block=7)
    damage(folder / layout.CHECKPOINTS / layout.LAST)
    assert tiny.train(tmp_path, *STATEFUL) == folder
    assert "last.ckpt: damaged" in capsys.readouterr().out
    assert_same_run(folder, uninterrupted(*STATEFUL))


def test_weights_alone_are_not_called_damaged(run):
    folder = run("a", "+callbacks.last_checkpoint.save_weights_only=true")
    before = (folder / layout.SUMMARY).read_bytes()
    with pytest.raises(
        UserError, match=r"previous\.ckpt: it has the weights alone, and no run goes on from these"
    ):
        run("a", "+callbacks.last_checkpoint.save_weights_only=true", "trainer.max_epochs=3")
    assert (folder / layout.SUMMARY).read_bytes() == before


def test_damaged_checkpoints_are_an_error_and_no_file_is_removed(tmp_path):
    folder = tiny.stop(tmp_path, block=7)
    for name in (layout.LAST, layout.PREVIOUS):
        damage(folder / layout.CHECKPOINTS / name)
    before = summary(folder)
    with pytest.raises(UserError, match=r"previous\.ckpt: damaged; .* fresh=true"):
        tiny.train(tmp_path)
    assert summary(folder) == before


def test_two_processes_cannot_train_one_run(tmp_path):
    folder = tiny.train(tmp_path, "trainer.max_epochs=1")
    before = tiny.curves(folder)
    with Run(folder).lock(), pytest.raises(UserError, match="is being trained by another process"):
        tiny.train(tmp_path, "trainer.max_epochs=1", "fresh=true")
    assert tiny.curves(folder) == before


@pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")
def test_a_run_that_diverges_has_status_failed_and_a_clear_message(tmp_path):
    with pytest.raises(
        UserError, match=r"seed-0: training diverged, train/loss is nan in epoch 1; try a smaller"
    ):
        tiny.train(tmp_path, "optimizer.lr=1e38")
    (folder,) = tmp_path.rglob("seed-0")
    assert (summary(folder)["status"], summary(folder)["diverged"]) == ("failed", True)
