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
    "measures-facts": (
        "measures",
        "class Part:\n    facts = 'a'\n    def __call__(self, e): ...\n",
        "measures.part: its",
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
        if group in ("model/score", "optimizer"):
            text = "_target_: own_part.Part\n_partial_: true"
        path = tmp_path / "conf" / group / "own.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
        choice = f"{group}=[default,own]" if group in ("measures", "callbacks") else f"{group}=own"
        settings = [each for each in tiny.SETTINGS if not each.startswith(f"{group}.")]
        settings += ["model=attention"] if group == "model/score" else []
        settings += ["forcing=free"] if group == "forcing/feeder" else []
        assert cli.main(["train", *settings, *tiny.LEAN, choice, "--config-dir", "conf"]) == 1
        return capsys.readouterr()

    yield trained
    sys.modules.pop("own_part", None)


def own(base, method, given):
    """A module with a part of this kind whose method gives an expression; `1 / 0` is an error of the user."""
    module, name = base.rsplit(".", 1) if base else ("builtins", "object")
    imports = f"import torch\nfrom {module} import {name}\n"
    return f"{imports}class Part({name}):\n    def {method}:\n        return {given}\n"


def objective(given):
    return own("seq2seq_lab.training.objectives.base.Objective", "__call__(self, outcome)", given)


def target(given):
    return own("seq2seq_lab.targets.base.Target", "__call__(self, fed)", given)


def words(target):
    """A target that wants words."""
    of = f"__import__('seq2seq_lab.targets.wanted').targets.wanted.Words({target}, fed.batch.target_lengths)"
    return own("seq2seq_lab.targets.base.Target", "__call__(self, fed)", of)


def feeder(given):
    return own("", "inputs(self, feeding)", given)


def policy(given):
    return f"from seq2seq_lab.forcing.plan import Plan\n{own('', 'plan(self, pairs)', given)}"


def source(given):
    read = own("seq2seq_lab.data.sources.base.PairSource", "read(self)", given)
    return f"from seq2seq_lab.data.sources.raw import RawPairs as Raw\n{read}"


def schedule(given):
    return f"{own('', 'scheduler(self, optimizer)', given)}    over, metric = 'epochs', None\n"


LOSS = "objective: it must give the loss of each pair, a tensor of shape"
INPUTS = "forcing.feeder: it must give the decoder's inputs, a tensor of shape"
PLAN = "forcing: plan(pairs) must give a Plan whose gold is a bool tensor of shape"
# Group → (a module whose part gives something that cannot be used, what is said of it).
GIVEN = {
    "objective-none": (
        "objective",
        objective("None"),
        LOSS,
    ),
    "objective-mean": (
        "objective",
        objective("outcome.losses.mean()"),
        LOSS,
    ),
    "objective-detached": (
        "objective",
        objective("outcome.losses.detach()"),
        "objective: what own_part.Part gives",
    ),
    "objective-measures": (
        "objective",
        objective("(outcome.losses, {'mine': outcome.losses})"),
        "objective: it measures ['mine'], and its attribute measures has []",
    ),
    "objective-name": (
        "objective",
        objective("(outcome.losses, {'lr': outcome.losses})") + "    measures = ('lr',)\n",
        "objective: it measures lr, which is the name of another value of training; give it another one",
    ),
    "objective-letters": (
        "objective",
        objective("(outcome.losses, {'a/b': outcome.losses})") + "    measures = ('a/b',)\n",
        "objective: it measures 'a/b', which may have letters, digits, - and _ only",
    ),
    "objective-error": (
        "objective",
        objective("1 / 0"),
        "objective: own_part.py, line 5, in __call__: Zero",
    ),
    "target-tensor": (
        "target",
        target("fed.batch.target"),
        "target: it must give one of seq2seq_lab.targets.wanted",
    ),
    "target-measures": (
        "target",
        words("fed.batch.target") + "    measures = ('mine',)\n",
        "target: it measures [], and its attribute measures has ['mine']",
    ),
    "target-name": (
        "target",
        words("fed.batch.target") + "    prepared = ('loss',)\n",
        "target: it measures loss, which is the name of another value of training; give it another one",
    ),
    "target-beyond": (
        "target",
        words("fed.batch.target + 10**6"),
        "target: what own_part.Part gives cannot be used",
    ),
    "target-list": (
        "target",
        words("fed.batch.target.tolist()"),
        "target: what own_part.Part gives cannot be used",
    ),
    "feeder-none": ("forcing/feeder", feeder("None"), INPUTS),
    "feeder-shape": (
        "forcing/feeder",
        feeder("torch.zeros(2, 3)"),
        INPUTS,
    ),
    "feeder-error": (
        "forcing/feeder",
        feeder("1 / 0"),
        "forcing.feeder: own_part.py, line 5, in inputs: ZeroDivision",
    ),
    "forcing-none": (
        "forcing",
        policy("None"),
        PLAN,
    ),
    "forcing-shape": (
        "forcing",
        policy("Plan(pairs.gold(0.5)[:, :1])"),
        PLAN,
    ),
    "forcing-ratio": (
        "forcing",
        policy("Plan(pairs.gold(0.5), ratio=0.5)"),
        "forcing: the ratio of a plan must be a",
    ),
    "forcing-error": (
        "forcing",
        policy("pairs.nothing"),
        "forcing: own_part.py, line 6, in plan: AttributeError",
    ),
    "forcing-file": (
        "forcing",
        policy("open('/nowhere/x')"),
        "forcing: own_part.py, line 6, in plan: FileNot",
    ),
    "data-list": ("data", source("[('a', 'b')]"), "data: read() must give RawPairs, not list"),
    "data-numbers": (
        "data",
        source("Raw(sources=[1], targets=[1])"),
        "data: the source of pair 1 must be a text",
    ),
    "data-load": ("data", own("", "load(self)", "None"), "data: load() must give a Corpus, not NoneType"),
    "lr_schedule-none": (
        "lr_schedule",
        schedule("None"),
        "lr_schedule: scheduler(optimizer) must give a scheduler of",
    ),
    "optimizer": (
        "optimizer",
        own("", "__init__(self, *a, **k)", "None"),
        "optimizer: Part is not an optimizer of",
    ),
    "accelerate-reason": (
        "accelerate",
        own("", "refuses(self, job)", "3") + "    updates = None\n",
        "accelerate.part: refuses(job) must give None or a reason, not 3",
    ),
    "accelerate-updates": (
        "accelerate",
        own("", "refuses(self, job)", "None") + "    def updates(self, job): ...\n",
        "accelerate.part: updates(job) must give what makes them, not None",
    ),
    "score": (
        "model/score",
        own("seq2seq_lab.models.attention.base.Attention", "score(self, states, outputs)", "states"),
        "model: what own_part.Part gives cannot be used",
    ),
}


@pytest.mark.parametrize(
    ("group", "module", "said"), [*MISTAKES.values(), *GIVEN.values()], ids=[*MISTAKES, *GIVEN]
)
def test_it_is_said_before_anything_is_written(group, module, said, train, outputs):
    found = train(group, module)
    assert not found.out
    assert found.err.startswith(said)
    assert len(found.err.splitlines()) == (
        2 if ", line " in said else 1
    )  # the second one is that of the file
    assert not tiny.folders(outputs)


HALF = "Plan(pairs.gold(0.5))"
LATER = {
    "forcing": (
        "forcing",
        policy(f"{HALF} if pairs.epoch == 0 else 1 / 0"),
        "own_part.py, line 6, in plan",
    ),
    "plan": (
        "forcing",
        policy(f"{HALF} if pairs.epoch == 0 else None"),
        PLAN,
    ),
    "measures": (
        "measures",
        measure("mine").replace("3.0", "'a'"),
        "measures.part: it must give a number, not 'a'",
    ),
    "callbacks": (
        "callbacks",
        own(
            "pytorch_lightning.Callback", "on_train_epoch_start(self, trainer, module)", "open('/nowhere/x')"
        ),
        "own_part.py, line 5, in on_train_epoch_start: FileNotFoundError: [Errno 2] No such file or directory",
    ),
}


@pytest.mark.parametrize("name", LATER)
def test_an_error_in_the_middle_of_a_run_names_the_place(name, train):
    group, module, said = LATER[name]
    found = train(group, module)
    assert said in found.err
    assert "Traceback" not in found.err + found.out
    assert "output_dir" not in found.err


def test_the_whole_traceback_is_there_where_hydra_shows_it_too(train, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    found = train(*GIVEN["forcing-error"][:2])
    assert "Traceback" in found.err
    assert "in check_plan" in found.err
    assert found.err.splitlines()[-2].startswith("forcing: own_part.py, line 6, in plan: AttributeError")


def test_an_error_of_this_package_stays_a_traceback(train, monkeypatch):
    """It is not blamed on a part of the user's that has nothing to do with it."""
    from seq2seq_lab.training.module import TranslationModule

    def broken(self):
        raise RuntimeError("a bug")

    monkeypatch.setattr(TranslationModule, "on_train_epoch_end", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        train("forcing", policy(HALF))
