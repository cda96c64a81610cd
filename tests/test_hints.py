"""Keys that do not exist: what the message suggests can be written as it stands."""

import re
import shlex

import pytest

from seq2seq_lab.commands import main as cli
from seq2seq_lab.config.check import check
from seq2seq_lab.config.compose import composed
from seq2seq_lab.errors import UserError

# A command line whose last override has an unknown key → the overrides that the message says to write.
HINTS = {
    "lr=0.1": "optimizer.lr=0.1",
    "+lr=0.1": "optimizer.lr=0.1",
    "epochs=3": "trainer.max_epochs=3",
    "batch_size=2": "loader.batch_size=2",
    "ratio=0.5": "forcing=mixed forcing.ratio=0.5",
    "data.max_words=5": "+data.max_words=5",
    "max_time=00:01:00:00": "+trainer.max_time=00:01:00:00",
    "sede=1": "seed=1",
    "modle=attention": "model=attention",
    "optimiser.lr=0.1": "optimizer.lr=0.1",
    "forcing.ration=0.5": "forcing=mixed forcing.ratio=0.5",
    "forcing.ratio=0.5": "forcing=mixed forcing.ratio=0.5",
    "forcing=mixed forcing.ration=0.5": "forcing.ratio=0.5",
    "forcing=mixed forcing.feeder.temprature=2": "forcing/feeder=sample forcing.feeder.temperature=2",
    "forcing.feeder.temperature=2": "forcing=by_step forcing/feeder=sample forcing.feeder.temperature=2",
    "model.scoer=dot": "model=attention model/score=dot",
    "model=attention model.scoer=dot": "model/score=dot",
    "trainer.precision=64-true": "+trainer.precision=64-true",
    "+trainer.precison=64-true": "+trainer.precision=64-true",
    "+model.hiden_size=8": "model.hidden_size=8",
    "+monitor.mod=max": "monitor.mode=max",
    "callbacks.early_stopping.patience=3": "callbacks=early_stopping callbacks.early_stopping.patience=3",
    "callbacks.mine=5": "+callbacks.mine._target_=pytorch_lightning.callbacks.Timer",
}


def message(overrides):
    with pytest.raises(UserError) as refused:
        check(composed(["data=toy", *overrides]))
    return str(refused.value)


def hinted(said, key, value):
    """The overrides that a message says to write."""
    if found := re.search(r"did you mean (\S+?)(?:, of (.+))?\?$", said):
        return f"{found[2] or ''} {found[1]}={value}".strip()
    if found := re.search(r"it is added with \+: (\S+)=…$", said):
        return f"{found[1]}={value}"
    if found := re.search(r"is added with (\S+)=MODULE.CLASS$", said):
        return f"{found[1]}=pytorch_lightning.callbacks.Timer"
    found = re.fullmatch(rf"{re.escape(key)}: (.+) has this key, the option that was chosen has not", said)
    return f"{found[1]} {key}={value}" if found else said


@pytest.mark.parametrize("given", HINTS)
def test_a_suggestion_can_be_written_as_it_stands(given):
    *chosen, wrong = given.split()
    key, _, value = wrong.partition("=")
    said = message([*chosen, wrong])
    assert said.startswith(f"{key.lstrip('+')}: ")
    assert hinted(said, key, value) == HINTS[given]
    check(composed(["data=toy", *chosen, *HINTS[given].split()]))


@pytest.mark.parametrize(
    "given",
    [
        ["sede=0,1"],
        ["seed=0", "--sweep", "sede=0", "--sweep", "sede=1"],
        ["threads=1,2", "--sweep", "sede=1"],
    ],
)
def test_a_sweep_suggests_what_a_run_does(outputs, capsys, given):
    assert cli.main(["train", "-m", "data=toy", *given]) == 1
    assert capsys.readouterr().err == "sede: no such key; did you mean seed?\n"


@pytest.mark.parametrize(
    "given", ["nonsense=1", "optimizer.params=1", "name.x=1", "loader.num_workers=2", "logger.csv.save_dir=x"]
)
def test_nothing_is_suggested_where_nothing_is_meant(given):
    options = ["logger=csv"] if "csv" in given else []
    assert message([*options, given]).endswith(": no such key")


@pytest.mark.parametrize(
    ("given", "right"),
    [
        (
            "-m experiment=demo/seq2seq_full, demo/attention_mixed",
            "experiment=demo/seq2seq_full,demo/attention_mixed",
        ),
        ("-m seed=0 ,1", "seed=0,1"),
        ("-m seed=0 , 1", "seed=0,1"),
        ("-m seed=0, 1, 2 model=attention", "seed=0,1,2"),
        ("-m seed=0,", "seed=0"),
        ("callbacks=[default, early_stopping]", "'callbacks=[default,early_stopping]'"),
    ],
)
def test_spaces_between_several_values_are_explained(given, right, capsys, outputs):
    assert cli.main(["train", "data=toy", *given.split()]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f": {right}")
    assert len(shlex.split(right)) == 1
    assert not outputs.exists()
