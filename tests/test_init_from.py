"""A run that starts from a trained one."""

import json
import re
import shutil

import pytest
import torch

import tiny
from seq2seq_lab.compare import gather
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.identity import fingerprint
from seq2seq_lab.runs.run import Run

STILL = ("optimizer.lr=1e-30", "trainer.max_epochs=1")  # so small that no weight changes


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A run whose best checkpoint is not its last; not to be changed."""
    best = ("monitor={metric: val/loss_forced, mode: max}", "optimizer.lr=0.1", "trainer.max_epochs=3")
    return tiny.train(tmp_path_factory.mktemp("source"), *best, lean=False)


@pytest.mark.parametrize(("which", "name"), [("last", layout.LAST), ("best", layout.BEST)])
def test_its_first_weights_are_the_runs(run, source, which, name):
    folder = run("a", f"init_from='{source}'", f"init_from_checkpoint={which}", "forcing=mixed", *STILL)
    expected = tiny.checkpoint(source, name)["state_dict"]
    found = tiny.weights(folder)
    assert all(torch.equal(found[each], expected[each]) for each in expected)
    last, best = (tiny.checkpoint(source, each)["state_dict"] for each in (layout.LAST, layout.BEST))
    assert any(not torch.equal(last[each], best[each]) for each in last)


def test_its_summary_says_which_run_that_was(run, source):
    recorded = json.loads(
        (run("a", f"init_from='{source}'", *STILL) / layout.SUMMARY).read_text(encoding="utf-8")
    )
    expected = {"run": str(source), "checkpoint": "last", "fingerprint": fingerprint(Run(source).config())}
    assert recorded["init_from"] == expected


def test_it_is_part_of_what_a_run_is(run, source):
    one, other = run("a", *STILL, "+trainer.min_epochs=1"), run("b", *STILL, f"init_from='{source}'")
    assert not tiny.same_weights(one, other)
    assert Run(one).difference(Run(other).config()) is not None
    assert fingerprint(Run(one).config()) != fingerprint(Run(other).config())


def test_a_resumed_run_needs_the_other_one_no_more(run, source, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(source, copy)
    settings = (f"init_from='{copy}'", "forcing=mixed")
    whole = run("whole", *settings)
    stopped = tiny.stop(tmp_path / "stopped", *settings, block=3)
    before = json.loads((stopped / layout.SUMMARY).read_text(encoding="utf-8"))["init_from"]
    shutil.rmtree(copy)
    assert run("stopped", *settings) == stopped
    assert tiny.same_weights(whole, stopped)
    assert tiny.curves(whole) == tiny.curves(stopped)
    assert json.loads((stopped / layout.SUMMARY).read_text(encoding="utf-8"))["init_from"] == before


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("model.hidden_size=16",), r"another model; it differs in model\.hidden_size \(8 there, 16 here\)$"),
        (("model=attention",), r"another model; it differs in .*model\.score"),
        (("model/cell=lstm",), r"another model; it differs in model\.cell"),
        (
            ("data.pairs=60",),
            r"has another source vocabulary \(\d+ words, this run has \d+\); it must be trained on",
        ),
    ],
)
def test_other_sizes_or_words_are_refused(tmp_path, source, overrides, said):
    with pytest.raises(UserError, match=rf"^init_from: {re.escape(str(source))} .*{said}"):
        tiny.train(tmp_path / "a", f"init_from='{source}'", *overrides)
    assert not (tmp_path / "a").exists()


def test_dropout_may_be_another(run, source):
    assert run("a", f"init_from='{source}'", "model.dropout=0.5", *STILL).exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("init_from=nowhere", r"^init_from: nowhere does not exist"),
        ("init_from_checkpoint=first", r"^init_from_checkpoint: 'first' is not 'last' or 'best'"),
    ],
)
def test_what_is_no_run_is_refused(tmp_path, given, said):
    with pytest.raises(UserError, match=said):
        tiny.train(tmp_path / "a", given)
    assert not (tmp_path / "a").exists()


def test_a_run_that_was_trained_again_is_noticed_by_those_that_use_it(tmp_path, capsys):
    first = tiny.train(tmp_path / "first", *STILL)
    uses = (f"init_from='{first}'", "forcing=mixed")
    folder = tiny.train(tmp_path / "second", *uses, *STILL)
    said = f"init_from: {first} was trained again or further since this run used it"
    tiny.train(tmp_path / "second", *uses, *STILL)
    assert gather([folder]).notes == []
    assert said not in capsys.readouterr().out
    tiny.train(tmp_path / "first", "fresh=true", *STILL)  # equal, but another training
    tiny.train(tmp_path / "second", *uses, *STILL)
    assert said in capsys.readouterr().out
    assert any(said in note for note in gather([folder]).notes)
    tiny.train(tmp_path / "second", *uses, *STILL, "trainer.max_epochs=2")
    assert f"caution: {said}" in capsys.readouterr().err
    tiny.train(tmp_path / "second", *uses, *STILL, "fresh=true")
    assert gather([folder]).notes == []
    shutil.rmtree(first)  # it is needed no more
    tiny.train(tmp_path / "second", *uses, *STILL)
    assert said not in capsys.readouterr().out
