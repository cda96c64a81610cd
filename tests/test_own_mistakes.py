"""Mistakes in the user's own parts: each ends in one line that names the key, or the place in the user's module."""

import sys

import pytest

import tiny
from seq2seq_lab.commands import main as cli

NOTHING = "class Part: ...\n"


def measure(name):
    """A module with a measure of this name."""
    facts = f"Measure(name={name!r}, label='l', unit='u', better='lower', formula='f')"
    return (
        "from seq2seq_lab.evaluation.measures import Measure\n"
        f"class Part:\n    facts = {facts}\n    def __call__(self, evaluation): return 3.0\n"
    )


def split(*parts):
    """A module with a split that gives these parts, as Python code."""
    return (
        "import numpy as np\nfrom seq2seq_lab.data.splits import Parts\n"
        "class Part:\n    holds_out = True\n"
        f"    def split(self, corpus): return Parts({', '.join(parts)})\n"
    )


# Group → (a module with a class `Part`, what is said of it).
MISTAKES = {
    "target-unfinished": (
        "target",
        "from seq2seq_lab.targets.base import Target\nclass Part(Target): ...\n",
        "target: Can't instantiate abstract class Part with",
    ),
    "objective-unfinished": (
        "objective",
        "from seq2seq_lab.training.objectives.base import Objective\nclass Part(Objective): ...\n",
        "objective: Can't instantiate abstract class Part with",
    ),
    "score-unfinished": (
        "model/score",
        "from seq2seq_lab.models.attention.base import Attention\nclass Part(Attention): ...\n",
        "model: Can't instantiate abstract class Part with",
    ),
    "data": ("data", NOTHING, "data: own_part.Part has no load, which is asked of it"),
    "split-overlap": (
        "split",
        split("np.arange(30)", "np.arange(20, 40)", "np.arange(0)"),
        "split: a pair is in two parts, or twice in one",
    ),
    "split-range": (
        "split",
        split("np.arange(30)", "np.arange(30, 41)", "[]"),
        "split: validation must be rows of the corpus, whole numbers from 0 to 39",
    ),
    "split-shares": ("split", split("0.8", "0.1", "0.1"), "split: train must be rows of the corpus, whole"),
    "split": ("split", NOTHING, "split: own_part.Part has no split, which is asked of it"),
    "lr_schedule": ("lr_schedule", NOTHING, "lr_schedule: own_part.Part has no scheduler"),
    "accelerate": ("accelerate", NOTHING, "accelerate.part: own_part.Part has no refuses"),
    "measures": ("measures", NOTHING, "measures.part: own_part.Part has no facts"),
    "measure-of-ours": (
        "measures",
        measure("bleu"),
        "measures.part: its name bleu is that of a measure of the",
    ),
    "measure-path": (
        "measures",
        measure("a/b"),
        "measures.part: its name 'a/b' may have letters, digits, - and _",
    ),
    "script": (
        "forcing",
        "raise SystemExit(0)\n",
        "forcing._target_: own_part.Part cannot be imported: it ends",
    ),
}


@pytest.fixture
def train(tmp_path, monkeypatch, outputs, capsys):
    """Trains a run with an option `own` of a group, made by a module of the working folder; returns what it says."""

    def trained(group, module):
        (tmp_path / "own_part.py").write_text(module, encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        node = "{_target_: own_part.Part}"
        text = f"part: {node}" if group in ("measures", "callbacks", "accelerate") else node
        if group == "model/score":
            text = "_target_: own_part.Part\n_partial_: true"
        path = tmp_path / "conf" / group / "own.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
        choice = f"{group}=[default,own]" if group in ("measures", "callbacks") else f"{group}=own"
        settings = [each for each in tiny.SETTINGS if not each.startswith(f"{group}.")]
        settings += ["model=attention"] if group == "model/score" else []
        assert cli.main(["train", *settings, *tiny.LEAN, choice, "--config-dir", "conf"]) == 1
        return capsys.readouterr()

    yield trained
    sys.modules.pop("own_part", None)


@pytest.mark.parametrize("name", MISTAKES)
def test_it_is_named_before_anything_is_written(name, train, outputs):
    group, module, said = MISTAKES[name]
    found = train(group, module)
    assert not found.out
    assert found.err.startswith(said)
    assert len(found.err.splitlines()) == 1
    assert not tiny.folders(outputs)
