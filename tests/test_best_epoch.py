"""Which epoch is the best one where several have the same score, and which epoch the test part is of."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import tiny
from seq2seq_lab.commands import main as cli
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.at_checkpoint import AtCheckpoint
from seq2seq_lab.runs.run import Run
from seq2seq_lab.training import test
from seq2seq_lab.training import train as training

# With so small a learning rate no translation is right, and BLEU is 0 in every epoch, while the loss falls.
EQUAL = ("optimizer.lr=0.00001", "trainer.max_epochs=3", "split.test=0.1")


def best_epoch(folder, metric="val/bleu"):
    """The epoch of the best checkpoint; the summary, the run and its checkpoint agree on it."""
    epoch = tiny.checkpoint(folder, layout.BEST)["epoch"] + 1
    assert Run(folder).summary()["best"][metric]["epoch"] == epoch
    assert Run(folder).best(metric, "higher")[1] == epoch
    return epoch


def train(run, *overrides):
    folder = run("a", *EQUAL, *overrides, lean=False)
    assert {float(row["val/bleu"] or 0) for row in tiny.rows(folder)} == {0.0}
    return folder


def test_of_equal_epochs_the_last_is_the_best_and_is_tested(run, capsys):
    folder = train(run)
    assert best_epoch(folder) == 3
    assert Run(folder).summary()["tested"] == {"checkpoint": "best", "epoch": 3}
    assert "test: the best checkpoint, of epoch 3" in capsys.readouterr().out.splitlines()
    assert json.loads((folder / layout.EVALUATION / "test.json").read_text())["epoch"] == 3


def test_the_test_part_is_evaluated_where_the_run_was_trained(run, monkeypatch):
    """Lightning moves the model to the CPU at the end of training; here the trainer says that it was elsewhere."""
    where = []

    def elsewhere(run, data, module, trainer, *, segments, evaluate_test=test.evaluate_test):
        class Strategy:
            root_device = torch.device("meta")

        trainer = SimpleNamespace(strategy=Strategy, loggers=[], current_epoch=1)
        return evaluate_test(run, data, module, trainer, segments=segments)

    def evaluate_part(model, part, **_):
        where.append({weight.device.type for weight in model.parameters()})
        raise UserError("enough")

    monkeypatch.setattr(training, "evaluate_test", elsewhere)
    monkeypatch.setattr(test, "evaluate_part", evaluate_part)
    with pytest.raises(UserError, match="enough"):
        run("a", *EQUAL, lean=False)
    assert where == [{"meta"}]


def test_so_it_is_in_a_run_that_goes_on(run):
    assert best_epoch(train(run, "trainer.max_epochs=1")) == 1
    folder = train(run)
    assert best_epoch(folder) == 3
    assert Run(folder).summary()["tested"]["epoch"] == 3


def test_an_evaluation_of_before_is_none_of_the_run_that_has_gone_on(run):
    folder = train(run, "trainer.max_epochs=1")
    assert cli.main(["evaluate", str(folder), "--split", "validation", "--analyses", "none"]) == 0
    assert Run(folder).evaluations.keys() == {"test", "validation"}
    train(run)
    assert Run(folder).evaluations.keys() == {"test"}
    (note,) = Run(folder).notes
    assert note.startswith(
        "evaluation/validation.json is left out: it is of epoch 1, and the best checkpoint is of"
    )
    assert cli.main(["evaluate", str(folder), "--split", "validation", "--analyses", "none"]) == 0
    assert Run(folder).evaluations.keys() == {"test", "validation"}
    assert Run(folder).notes == []


@pytest.mark.parametrize("which", [layout.BEST, layout.LAST])
def test_so_it_is_with_either_checkpoint_and_where_a_run_that_goes_on_is_interrupted(run, tmp_path, which):
    name = Path(which).stem
    folder = run("a", *EQUAL, "trainer.max_epochs=1", lean=False)
    evaluate = ["evaluate", str(folder), "--split", "validation", "--analyses", "none", "--checkpoint", name]
    assert cli.main(evaluate) == 0
    assert "validation" in Run(folder).evaluations
    tiny.stop(tmp_path / "a", *EQUAL, block=6, lean=False)
    assert Run(folder).status == "interrupted"
    assert Run(folder).summary()["checkpoints"] == {
        Path(each).stem: tiny.checkpoint(folder, each)["epoch"] + 1 for each in (layout.BEST, layout.LAST)
    }
    assert "validation" not in Run(folder).evaluations
    assert f"it is of epoch 1, and the {name} checkpoint is of epoch" in Run(folder).notes[-1]


def test_so_it_is_with_a_mean_of_kept_checkpoints(run):
    keep = ("callbacks=[default,keep_last]", *EQUAL)
    folder = run("a", *keep, "trainer.max_epochs=2", lean=False)
    evaluate = ["evaluate", str(folder), "--split", "validation", "--analyses", "none", "--average", "2"]
    assert cli.main(evaluate) == 0
    assert Run(folder).evaluations["validation"].epoch == 2
    run("a", *keep, lean=False)
    assert "validation" not in Run(folder).evaluations
    assert "it is of epoch 2, and the newest kept checkpoint is of epoch 3" in Run(folder).notes[-1]
    assert cli.main(evaluate) == 0
    assert Run(folder).evaluations["validation"].epoch == 3


def test_of_a_run_that_was_killed_after_it_had_gone_on_nothing_is_said_to_be_of_an_earlier_epoch(run):
    """What its summary said of its checkpoints was of before; which they are now is not known."""
    folder = run("a", *EQUAL, "trainer.max_epochs=1", lean=False)
    killed = tiny.corpus([("a", "b")])
    Run(folder).begin(Run(folder).config(), killed, max_length=3, loss_floor=0.0, goes_on=True)
    assert Run(folder).status == "running"
    path = folder / layout.EVALUATION / "test.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"epoch": 3}))
    assert Run(folder).evaluations["test"].epoch == 3


def test_a_last_checkpoint_of_an_earlier_epoch_is_compared_too(run):
    folder = run("a", *EQUAL, "+callbacks.last_checkpoint.every_n_epochs=2", lean=False)
    assert Run(folder).summary()["checkpoints"] == {"best": 3, "last": 2}
    assert cli.main(["evaluate", str(folder), "--checkpoint", "last", "--analyses", "none"]) == 0
    assert Run(folder).notes == []
    last = AtCheckpoint(Run(folder), "last")
    assert last.evaluations["test"].epoch == 2
    assert max(last.curves()["train/loss"]) == 2


def test_an_epoch_without_an_evaluation_is_not_equal_to_the_one_before(run):
    assert best_epoch(train(run, "trainer.check_val_every_n_epoch=2")) == 2


def test_no_such_epoch_is_kept_either(run):
    folder = train(run, "trainer.check_val_every_n_epoch=2", "callbacks=[default,keep_best]")
    assert [path.name for path in Run(folder).kept_checkpoints] == ["epoch-0001.ckpt"]  # counted from 0


def test_a_better_epoch_stays_the_best(run):
    folder = train(run, "monitor={metric: val/loss_forced, mode: max}")
    assert tiny.checkpoint(folder, layout.BEST)["epoch"] == 0
    assert Run(folder).summary()["tested"]["epoch"] == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((), []),
        (("monitor.metric=val/loss_forced", "monitor.mode=min"), []),
        (("monitor.metric=train/lr",), []),
        (
            ("monitor.metric=val/loss_forced",),
            ["monitor.mode=max, but lower values of val/loss_forced are better"],
        ),
        (
            ("lr_schedule=plateau", "lr_schedule.metric=train/loss"),
            ["lr_schedule.mode=max, but lower values of train/loss are better; write lr_schedule.mode=min"],
        ),
        (
            ("callbacks=[default,early_stopping]", "callbacks.early_stopping.mode=min"),
            ["callbacks.early_stopping.mode=min, but higher values of val/bleu are better"],
        ),
    ],
    ids=str,
)
def test_a_mode_that_selects_the_worst_epoch_is_said(run, capsys, given, said):
    run("a", "trainer.max_epochs=1", "logger=none", *given, lean=False)
    lines = [line for line in capsys.readouterr().err.splitlines() if ".mode=" in line]
    assert len(lines) == len(said)
    assert all(line.startswith(f"caution: {each}") for line, each in zip(lines, said, strict=True))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            ("~callbacks.last_checkpoint", "~callbacks.best_checkpoint"),
            "these callbacks keep no checkpoint of the best or the last epoch",
        ),
        (("~callbacks.last_checkpoint",), None),
        (("init_from_checkpoint=best",), "init_from_checkpoint changes nothing without init_from=RUN"),
        (("forcing=scheduled", "+trainer.limit_train_batches=2", "+trainer.max_steps=4"), None),
        (("trainer.check_val_every_n_epoch=3",), "nothing is validated, so that there is no best checkpoint"),
        (
            ("+trainer.max_steps=9", "forcing=scheduled"),
            "trainer.max_steps=9 ends training before its 2 epochs",
        ),
        (
            ("+trainer.max_steps=9", "lr_schedule=cosine"),
            "trainer.max_steps=9 ends training before its 2 epochs",
        ),
        (("+trainer.max_steps=9", "forcing=mixed"), None),
        (("+trainer.max_steps=999", "forcing=scheduled"), None),
        (("trainer.check_val_every_n_epoch=2",), None),
        (("callbacks=none",), None),
    ],
    ids=str,
)
def test_what_training_ends_before_and_what_is_not_kept_is_said(run, capsys, given, said):
    run("a", "trainer.max_epochs=2", "logger=none", *given, lean=False)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("caution: ")]
    assert [said in line for line in lines] == [True] * (said is not None), lines


@pytest.mark.parametrize("times", [1, 2])
def test_without_callbacks_no_checkpoint_of_an_interruption_is_taken_for_the_model(run, tmp_path, times):
    settings = (*EQUAL, "callbacks=none")
    whole = tiny.train(tmp_path / "whole", *settings)
    for block in range(2, 2 + times):
        tiny.stop(tmp_path / "a", *settings, block=block)
    folder = tiny.train(tmp_path / "a", *settings)
    assert not list(folder.rglob("*.ckpt"))
    assert Run(folder).summary()["tested"] == {"checkpoint": "last", "epoch": 3}
    assert Run(folder).evaluated == Run(whole).evaluated


@pytest.mark.parametrize(
    "given",
    [
        ("+callbacks.best_checkpoint.save_top_k=3",),
        ("callbacks=[default,keep_best]", "callbacks.kept_checkpoints.filename=x"),
    ],
    ids=["best", "kept"],
)
def test_several_best_epochs_in_one_file_are_refused(run, tmp_path, given):
    with pytest.raises(
        UserError, match=r"^callbacks\.\w+\.save_top_k: \d checkpoints would be one file, \w+\.ckpt"
    ):
        run("a", *EQUAL, *given, lean=False)
    assert not tiny.folders(tmp_path)
