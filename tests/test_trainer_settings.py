"""Lightning's own settings do what they say, or are refused by their key with what to write instead."""

import json
import re
import time
from typing import ClassVar

import numpy as np
import pytest
import pytorch_lightning as pl

import tiny
from seq2seq_lab.config.check import check
from seq2seq_lab.config.trainer import REFUSED, is_endless
from seq2seq_lab.data.batches import BlockLoader
from seq2seq_lab.errors import UserError
from seq2seq_lab.forcing.scheduled import ScheduledForcing
from seq2seq_lab.runs import layout
from seq2seq_lab.training import update
from seq2seq_lab.training.callbacks.interruption import Interruption, TimeOver

# What a run does not follow, and what the message says instead.
NOT_FOLLOWED = {
    "accumulate_grad_batches=4": r"loader\.batch_size=",
    "barebones=True": "callbacks=none",
    "callbacks=[]": "callbacks=",
    "default_root_dir=there": "output_dir=",
    "enable_checkpointing=False": "callbacks=none",
    "enable_progress_bar=False": "leave it out",
    "gradient_clip_algorithm=value": "gradient_clip=",
    "gradient_clip_val=1": "gradient_clip=",
    "limit_predict_batches=1": "leave it out",
    "limit_test_batches=1": r"split\.test=",
    "limit_val_batches=1": r"split\.validation=",
    "limit_val_batches=0.5": r"split\.validation=",
    "log_every_n_steps=10": "leave it out",
    "logger=False": "logger=",
    "model_registry=a": "leave it out",
    "num_nodes=2": "one machine",
    "plugins=[]": "leave it out",
    "reload_dataloaders_every_n_epochs=1": "leave it out",
    "strategy=fsdp": "trainer=ddp",
    "sync_batchnorm=True": "leave it out",
    "val_check_interval=0.5": r"trainer\.check_val_every_n_epoch=",
    "val_check_interval=1": r"trainer\.check_val_every_n_epoch=",
    "val_check_interval=10": r"trainer\.check_val_every_n_epoch=",
}
# What a run follows: a value of each, and the epochs of a run of two epochs of 36 updates.
FOLLOWED = {
    "accelerator=cpu": 2,
    "benchmark=true": 2,
    "check_val_every_n_epoch=2": 2,
    "detect_anomaly=true": 2,
    "deterministic=false": 2,
    "devices=1": 2,
    "enable_autolog_hparams=false": 2,
    "enable_model_summary=true": 2,
    "inference_mode=false": 2,
    "limit_train_batches=0.5": 2,
    "max_epochs=1": 1,
    "max_steps=40": 2,
    "max_time={hours: 1}": 2,
    "min_epochs=2": 2,
    "min_steps=40": 2,
    "num_sanity_val_steps=1": 2,
    "overfit_batches=3": 2,
    "precision=32-true": 2,
    "profiler=simple": 2,
    "use_distributed_sampler=true": 2,
}
ELSEWHERE = {"fast_dev_run"}  # it leaves no run


def test_each_setting_of_lightnings_is_followed_or_refused():
    import inspect

    import pytorch_lightning as pl

    known = {each.partition("=")[0] for each in (*NOT_FOLLOWED, *FOLLOWED)} | ELSEWHERE
    assert known == set(inspect.signature(pl.Trainer).parameters)
    assert {each.partition("=")[0] for each in NOT_FOLLOWED} == set(REFUSED)


@pytest.mark.parametrize(("given", "instead"), NOT_FOLLOWED.items(), ids=list(NOT_FOLLOWED))
def test_what_a_run_does_not_follow_is_refused(given, instead):
    key, _, value = given.partition("=")
    with pytest.raises(UserError, match=rf"^trainer\.{key}: {re.escape(value)}; .*{instead}") as error:
        check(tiny.configuration(*tiny.SETTINGS, f"+trainer.{given}"))
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(("given", "epochs"), FOLLOWED.items(), ids=list(FOLLOWED))
def test_what_a_run_follows_gives_as_many_epochs(run, given, epochs):
    rows = tiny.rows(run("a", f"++trainer.{given}", "compare=false"))
    assert len(rows) == epochs
    assert all(float(row["train/loss"]) > 0 for row in rows)
    assert bool(rows[0].get("val/bleu")) == (given not in ("check_val_every_n_epoch=2",))


@pytest.mark.parametrize(
    "given",
    ["strategy=auto", "accumulate_grad_batches=1", "gradient_clip_val=null", "num_sanity_val_steps=-1"],
)
def test_values_that_change_nothing_are_accepted(run, given):
    assert tiny.same_weights(run("a", f"++trainer.{given}"), run("b"))


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ("lr_schedule=plateau", "lr_schedule.metric"),
        ("callbacks=[default,early_stopping]", "callbacks.early_stopping.metric"),
    ],
)
def test_what_follows_an_evaluation_that_never_comes_is_refused(run, tmp_path, given, key):
    never = "+trainer.limit_val_batches=0"
    with pytest.raises(
        UserError, match=rf"^{key}: val/bleu is never measured with trainer.limit_val_batches=0$"
    ):
        run("a", given, never, lean=False)
    assert not tiny.folders(tmp_path)
    assert len(tiny.rows(run("a", given, never, f"{key}=train/loss", lean=False))) == 2


def test_a_check_before_training_is_no_result(run):
    folder = run("a", "trainer.num_sanity_val_steps=1", "trainer.check_val_every_n_epoch=2")
    assert not tiny.rows(folder)[0]["val/bleu"]


@pytest.mark.parametrize(
    ("given", "updates"),
    [
        ((), [36, 36]),
        (("+trainer.limit_train_batches=10",), [10, 10]),
        (("+trainer.limit_train_batches=0.25",), [9, 9]),
        (("+trainer.limit_train_batches=1.0",), [36, 36]),
        (("+trainer.limit_train_batches=1",), [1, 1]),
        (("+trainer.limit_train_batches=3", "loader.batch_size=4"), [3, 3]),
        (("+trainer.max_steps=40",), [36, 4]),
        (("+trainer.max_steps=5", "loader.batch_size=4"), [5]),
        (("+trainer.overfit_batches=7",), [7, 7]),
    ],
    ids=str,
)
def test_a_batch_and_a_step_are_an_update(run, monkeypatch, given, updates):
    made = []
    plain = update.update

    def counted(*arguments, **named):
        made.append(1)
        return plain(*arguments, **named)

    monkeypatch.setattr(update, "update", counted)
    rows = tiny.rows(run("a", "accelerate=off", *given))
    assert len(rows) == len(updates)
    assert len(made) == sum(updates)


@pytest.mark.parametrize(
    ("given", "each"),
    [("limit_train_batches=10", 10), ("limit_train_batches=0.25", 9), ("limit_train_batches=99", 36)],
)
def test_a_schedule_counts_the_updates_that_are_made(run, monkeypatch, given, each):
    """So that a curriculum goes on where the last epoch ended, and has its end at that of training."""
    seen = []
    plain = ScheduledForcing.plan

    def noted(policy, pairs):
        seen.append((pairs.update.unique().tolist(), pairs.updates))
        return plain(policy, pairs)

    monkeypatch.setattr(ScheduledForcing, "plan", noted)
    run("a", "forcing=scheduled", f"+trainer.{given}", "trainer.max_epochs=3")
    made = {update for updates, of_training in seen for update in updates if of_training == 3 * each}
    assert made == {*range(3 * each)}


@pytest.mark.parametrize(
    "given", ["log_every_n_steps=1", "default_root_dir=null", "enable_progress_bar=null", "callbacks=null"]
)
def test_a_setting_that_the_run_gives_itself_may_be_written_where_it_changes_nothing(run, given):
    assert len(tiny.rows(run("a", f"+trainer.{given}", "trainer.max_epochs=1"))) == 1


def test_a_callback_that_counts_steps_counts_updates(run):
    folder = run(
        "a",
        "+callbacks.often._target_=pytorch_lightning.callbacks.ModelCheckpoint",
        "+callbacks.often.every_n_train_steps=30",
        "+callbacks.often.save_top_k=-1",
        "+callbacks.often.filename='{step}'",
    )
    assert {path.name for path in folder.rglob("step*.ckpt")} == {"step=30.ckpt", "step=60.ckpt"}


@pytest.mark.parametrize("given", [True, 3])
def test_a_trial_leaves_no_run(run, tmp_path, capsys, given):
    folder = run("a", f"+trainer.fast_dev_run={given}")
    assert not folder.exists()
    assert not tiny.folders(tmp_path)
    assert "no run is left" in capsys.readouterr().out
    assert run("a", f"+trainer.fast_dev_run={given}") == folder
    assert "already finished" not in capsys.readouterr().out


def test_overfitting_trains_on_the_same_pairs_each_epoch(run, monkeypatch):
    orders = []
    made = BlockLoader._block

    def noted(loader, batches, first_update):
        if loader.shuffle and not first_update:
            orders.append(np.concatenate(batches).tolist())
        return made(loader, batches, first_update)

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


@pytest.mark.parametrize(
    ("given", "endless"),
    [
        ([], False),
        (["trainer.max_epochs=-1"], True),
        (["trainer.max_epochs=-1", "+trainer.max_steps=-1"], True),
        (["trainer.max_epochs=-1", "+trainer.max_steps=9"], False),
        (["trainer.max_epochs=-1", "+trainer.max_time=00:00:01:00"], False),
        (["trainer.max_epochs=-1", "callbacks=[default,early_stopping]"], False),
    ],
)
def test_what_ends_a_run(given, endless):
    assert is_endless(tiny.configuration(*given)) == endless


def test_a_number_of_epochs_that_only_lightning_knows_is_refused(run):
    with pytest.raises(UserError, match=r"^trainer\.max_epochs: null would be the 1,000 epochs"):
        run("a", "trainer.max_epochs=null")
    assert len(tiny.rows(run("a", "trainer.max_epochs=null", "+trainer.max_steps=1", "logger=none"))) == 1


@pytest.mark.parametrize("key", ["limit_train_batches", "overfit_batches"])
def test_a_share_of_less_than_an_update_is_refused_before_anything_is_written(run, tmp_path, key):
    with pytest.raises(UserError, match=rf"^trainer\.{key}: 0\.01 of 36 updates is none"):
        run("a", f"+trainer.{key}=0.01")
    assert not tiny.folders(tmp_path)


class StillEncoder(pl.Callback):
    """Trains with an encoder in the mode of evaluation, and notes the modes."""

    modes: ClassVar[list[tuple[bool, bool]]] = []

    def on_train_start(self, trainer, pl_module):
        pl_module.model.encoder.eval()

    def on_train_epoch_end(self, trainer, pl_module):
        self.modes.append((pl_module.model.encoder.training, pl_module.model.decoder.training))


@pytest.mark.parametrize("objective", ["nll", "self_critical", "minimum_risk"])
def test_what_translates_while_a_run_trains_leaves_each_module_its_mode(run, objective):
    """The samples and rewards are of the model in evaluation."""
    StillEncoder.modes.clear()
    settings = (f"objective={objective}", "model.dropout=0.2")
    own = f"+callbacks.still._target_={__name__}.StillEncoder"
    run("still", *settings, own, "trainer.max_epochs=3", "data.pairs=12", lean=False)
    assert set(StillEncoder.modes) == {(False, True)}
