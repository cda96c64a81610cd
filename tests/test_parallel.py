"""Several devices for one run give what one gives, up to rounding: here processes on the CPU, in double precision."""

import os
import signal
import subprocess

import pytest

import tiny
from seq2seq_lab.config.options import options
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.run import Run
from seq2seq_lab.training.parallel import ParallelUpdates

# Blocks of four updates on three pairs, so that the shares are unequal; of 37 pairs, one is left for the last update.
BATCHES = (
    "loader.batch_size=3",
    "loader.updates_per_block=4",
    "+trainer.precision=64-true",
    "accelerate=off",
)
DDP = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.max_epochs=2")


def losses(folder):
    return [float(row["train/loss"]) for row in tiny.rows(folder) if row["train/loss"]]


def close(one, other):
    weights, others = tiny.weights(one), tiny.weights(other)
    return losses(one) == pytest.approx(losses(other), rel=1e-9) and all(
        weights[name].numpy() == pytest.approx(others[name].numpy(), abs=1e-8) for name in weights
    )


@pytest.mark.parametrize("policy", options("forcing"))
def test_two_processes_equal_one_under_each_policy(tmp_path, policy):
    settings = (*BATCHES, f"forcing={policy}", "model=attention", "model.dropout=0.2", "gradient_clip=1")
    one, two = tiny.train(tmp_path / "1", *settings), tiny.train(tmp_path / "2", *settings, *DDP)
    assert close(one, two)
    assert Run(two).summary()["accelerate"]["updates"] == "ddp"
    assert {each.name for each in one.iterdir()} == {each.name for each in two.iterdir()}


@pytest.mark.parametrize(
    "setting",
    ["optimizer=adamw", "objective=minimum_risk", "schedule=inverse_sqrt", "model.layers=2", "data.pairs=38"],
)
def test_they_do_with_other_settings(tmp_path, setting):
    one, two = (tiny.train(tmp_path / n, *BATCHES, setting, *more) for n, more in (("1", ()), ("2", DDP)))
    assert close(one, two)


@pytest.mark.parametrize(
    "settings",
    [
        "target=optimal_completion forcing=mixed forcing/feeder=sample",
        "target=reward_sampled target.distance=edit target.samples=2",
        "target=mixed objective=r_drop model.dropout=0.2",
        "objective=self_critical",
    ],
)
def test_they_do_with_what_is_learnt(tmp_path, settings):
    """What a target and an objective measure is that of all pairs, too."""
    one, two = (
        tiny.train(tmp_path / n, *BATCHES, *settings.split(), *more) for n, more in (("1", ()), ("2", DDP))
    )
    assert close(one, two)
    for row, other in zip(tiny.curves(one), tiny.curves(two), strict=True):
        names = [each for each in row if each.startswith("train/")]
        assert {each: float(row[each]) for each in names} == pytest.approx(
            {each: float(other[each]) for each in names}, rel=1e-6
        )


def test_three_processes_for_updates_of_one_pair_at_the_end(tmp_path):
    one = tiny.train(tmp_path / "1", *BATCHES)
    assert close(one, tiny.train(tmp_path / "3", *BATCHES, *DDP, "trainer.devices=3"))


def test_an_interrupted_run_goes_on_as_if_it_were_not(tmp_path):
    settings = (*BATCHES, *DDP, "forcing=mixed", "optimizer=adam")
    tiny.stop(tmp_path / "a", *settings, block=5)
    resumed, whole = tiny.train(tmp_path / "a", *settings), tiny.train(tmp_path / "b", *settings)
    assert tiny.same_weights(resumed, whole)
    assert losses(resumed) == losses(whole)


def test_a_process_that_is_killed_ends_the_run_with_a_line(tmp_path, monkeypatch):
    blocks, call = [], ParallelUpdates.__call__

    def kill_later(updates, *block):
        if blocks:
            updates.workers[0].kill()
            updates.workers[0].wait()
        blocks.append(block)
        return call(updates, *block)

    monkeypatch.setattr(ParallelUpdates, "__call__", kill_later)
    with pytest.raises(UserError, match=r"trainer=ddp: the process of device cpu ended: killed by signal 9"):
        tiny.train(tmp_path, *BATCHES, *DDP)
    (summary,) = tmp_path.glob(f"**/{layout.SUMMARY}")
    assert '"failed"' in summary.read_text()


def test_a_model_that_another_process_cannot_have_is_a_line(tmp_path, monkeypatch):
    call = ParallelUpdates.__call__

    def unknown(updates, *block):
        updates.share.model.own = lambda: None
        return call(updates, *block)

    monkeypatch.setattr(ParallelUpdates, "__call__", unknown)
    with pytest.raises(UserError, match=r"trainer=ddp: .*lambda.*must be classes"):
        tiny.train(tmp_path, *BATCHES, *DDP)


def test_a_process_that_does_not_start_is_a_line(tmp_path, monkeypatch):
    monkeypatch.setattr("seq2seq_lab.training.parallel._WORKER", "print('no room')")
    with pytest.raises(UserError, match=r"trainer=ddp: the process of device cpu ended: "):
        tiny.train(tmp_path, *BATCHES, *DDP)


def test_no_process_is_left(tmp_path, monkeypatch):
    started = []

    class Noted(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            started.extend([self] if "work()" in str(args) else [])

    monkeypatch.setattr(subprocess, "Popen", Noted)
    tiny.train(tmp_path, *BATCHES, *DDP)
    assert [each.returncode for each in started] == [0]


def test_a_worker_does_not_hear_the_signals_of_the_run(tmp_path, monkeypatch):
    call = ParallelUpdates.__call__

    def signalled(updates, *block):
        for worker in updates.workers:
            os.kill(worker.pid, signal.SIGTERM)
            os.kill(worker.pid, signal.SIGINT)
        return call(updates, *block)

    monkeypatch.setattr(ParallelUpdates, "__call__", signalled)
    assert Run(tiny.train(tmp_path, *BATCHES, *DDP)).summary()["status"] == "finished"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            ("loader.batch_size=1",),
            r"trainer\.devices: 2, but loader\.batch_size=1: an update is divided by its pairs",
        ),
        (("trainer.devices=auto",), r"trainer\.devices: auto on cpu"),
        (("trainer.devices=0",), r"trainer\.devices: 0 on cpu"),
        (("trainer.devices=[0,0]",), r"names a device twice"),
    ],
)
def test_what_cannot_be_divided_is_refused(tmp_path, given, message):
    with pytest.raises(UserError, match=message):
        tiny.train(tmp_path / "a", *BATCHES, *DDP, *given)
    assert not (tmp_path / "a").exists()
