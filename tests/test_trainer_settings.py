"""Lightning's own settings do what they say, or are refused by their key with what to write instead."""

import json
import time

import numpy as np
import pytest

import tiny
from seq2seq_lab.data.batches import BlockLoader
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs import layout
from seq2seq_lab.training.callbacks.interruption import Interruption, TimeOver


@pytest.mark.parametrize(
    ("given", "instead"),
    [
        ("gradient_clip_val=1", "gradient_clip="),
        ("gradient_clip_algorithm=value", "gradient_clip="),
        ("accumulate_grad_batches=4", r"loader\.batch_size="),
        ("val_check_interval=0.5", r"trainer\.check_val_every_n_epoch="),
        ("val_check_interval=10", r"trainer\.check_val_every_n_epoch="),
        ("strategy=fsdp", "trainer=ddp"),
        ("num_nodes=2", "one machine"),
        ("reload_dataloaders_every_n_epochs=1", "leave it out"),
        ("barebones=True", "callbacks=none"),
    ],
)
def test_what_a_run_does_not_follow_is_refused(tmp_path, given, instead):
    key, _, value = given.partition("=")
    with pytest.raises(UserError, match=rf"^trainer\.{key}: {value}; .*{instead}"):
        tiny.train(tmp_path / "a", f"+trainer.{given}")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("given", ["strategy=auto", "accumulate_grad_batches=1", "gradient_clip_val=null"])
def test_values_that_change_nothing_are_accepted(run, given):
    assert tiny.same_weights(run("a", f"+trainer.{given}"), run("b"))


def test_overfitting_trains_on_the_same_pairs_each_epoch(run, monkeypatch):
    orders = []
    made = BlockLoader._block

    def noted(loader, order, number):
        if loader.shuffle:
            orders.append(order[: loader.block_size].tolist())
        return made(loader, order, number)

    monkeypatch.setattr(BlockLoader, "_block", noted)
    run("a", "+trainer.overfit_batches=1", "trainer.max_epochs=3")
    assert len({tuple(order) for order in orders}) == 1
    assert len(orders) >= 3
    orders.clear()
    run("b", "trainer.max_epochs=2")
    assert len({tuple(order) for order in orders}) == 2


def test_a_frozen_order_is_that_of_the_first_epoch():
    corpus = tiny.lettered(20)

    def order(loader):
        return np.concatenate([block.indices for block in loader]).tolist()

    frozen, drawn = (
        BlockLoader(corpus, np.arange(20), batch_size=4, shuffle=True, seed=5, freeze_order=freeze)
        for freeze in (True, False)
    )
    first = order(drawn)
    assert [order(frozen), order(frozen)] == [first, first]
    assert order(drawn) != first


def test_a_run_whose_time_is_over_goes_on_from_there(run, tmp_path, monkeypatch):
    timed = ("+trainer.max_time={hours: 1}", "trainer.max_epochs=4", "logger=none")
    whole = run("whole", *timed)
    now = time.monotonic
    after = iter(range(7))  # blocks until the clock jumps
    monkeypatch.setattr(Interruption, "on_train_batch_end", _jumping(after, monkeypatch, now))
    with pytest.raises(TimeOver):
        run("a", *timed)
    monkeypatch.undo()
    (folder,) = tiny.folders(tmp_path / "a")
    summary = json.loads((folder / layout.SUMMARY).read_text(encoding="utf-8"))
    assert summary["status"] == "interrupted"
    assert summary["stopped"] == "the time that trainer.max_time gives is over"
    assert run("a", *timed) == folder
    assert tiny.curves(folder) == tiny.curves(whole)
    assert tiny.same_weights(folder, whole)


def _jumping(after, monkeypatch, now):
    """Interruption's hook at the end of a block; after some blocks, two hours have gone by."""
    hook = Interruption.on_train_batch_end

    def later(*arguments):
        if next(after, None) is None:
            monkeypatch.setattr(time, "monotonic", lambda: now() + 7200)
        hook(*arguments)

    return later


@pytest.mark.parametrize("given", ["{hours: x}", "1:2", "{weeks: 1, paris: 2}"])
def test_a_time_that_is_none_is_refused(run, given):
    with pytest.raises(UserError, match=r"trainer\.max_time"):
        run("a", f"+trainer.max_time='{given}'" if given == "1:2" else f"+trainer.max_time={given}")


@pytest.mark.parametrize(
    ("given", "epochs"),
    [
        ("fast_dev_run=true", 1),
        ("limit_val_batches=1", 2),
        ("limit_val_batches=0", 2),
        ("detect_anomaly=true", 2),
        ("limit_train_batches=0.5", 2),
        ("max_steps=6", 2),
    ],
)
def test_these_work(run, given, epochs):
    rows = tiny.rows(run("a", f"+trainer.{given}"))
    assert len(rows) == epochs
    assert all(float(row["train/loss"]) > 0 for row in rows)
    assert ("val/bleu" in rows[0]) == (given != "limit_val_batches=0")


def test_a_deterministic_run_is_the_same_run(run):
    import torch

    before = torch.are_deterministic_algorithms_enabled()
    try:
        assert tiny.same_weights(run("a", "+trainer.deterministic=true"), run("b"))
    finally:
        torch.use_deterministic_algorithms(before)


def test_a_profile_is_shown(run, caplog):
    run("a", "trainer.max_epochs=1")
    assert not caplog.text
    run("b", "+trainer.profiler=simple", "trainer.max_epochs=1")
    assert "run_training_batch" in caplog.text
