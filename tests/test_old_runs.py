"""Run folders of earlier versions can be read: `data/run-0.1.0` was written by version 0.1.0."""

import copy
import hashlib
import json
import shutil
from pathlib import Path

import pytest
import yaml

import tiny
from seq2seq_lab.commands import main as cli
from seq2seq_lab.compare import gather
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.earlier import as_of_now
from seq2seq_lab.runs.load import load_model
from seq2seq_lab.runs.run import Run

WRITTEN = Path(__file__).parent / "data" / "run-0.1.0"


@pytest.fixture
def old(tmp_path):
    """A copy of the run, so that commands may write next to it."""
    return Path(shutil.copytree(WRITTEN, tmp_path / "outputs" / "attention-mixed-0.5" / "seed-0"))


def test_an_old_run_gives_the_same_translations(old, capsys):
    samples = json.loads((old / layout.TRANSLATIONS).read_text(encoding="utf-8"))
    assert cli.main(["translate", str(old), *(sample["source"] for sample in samples)]) == 0
    assert capsys.readouterr().out.splitlines() == [sample["hypothesis"] for sample in samples]


def test_the_weights_of_an_old_run_are_loaded_into_the_current_layers(old):
    _, model, vocabularies = load_model(old)
    stored = tiny.weights(old)
    layer = stored["model.decoder.gru.weight_hh_l1"]
    assert layer.equal(model.decoder.rnn.layers[1].weight_hh_l0)
    assert len(stored) == len(model.state_dict())
    assert len(vocabularies.source) == model.encoder.embedding.num_embeddings


def test_an_old_run_can_be_compared(old, capsys):
    assert cli.main(["compare", str(old.parents[1]), "--metric", "val/*"]) == 0
    assert "2.472" in capsys.readouterr().out


def as_version_0_2(folder):
    """Leave out of a run's configuration what version 0.2 did not write."""
    config = yaml.safe_load((folder / layout.CONFIG).read_text())
    del config["segments"]
    schedule = config.pop("lr_schedule")
    config["schedule"] = schedule | {"_target_": schedule["_target_"].replace("lr_schedules", "schedules")}
    config["choices"]["schedule"] = config["choices"].pop("lr_schedule")
    for name in [each for each in config["measures"] if "_per_" in each or each.endswith("_to_own_end")]:
        del config["measures"][name]
    text = yaml.safe_dump(config, sort_keys=False)
    (folder / layout.CONFIG).write_text(text)
    Run(folder).write_summary(config_sha256=hashlib.sha256(text.encode()).hexdigest(), version="0.2.0")


def test_a_run_of_version_0_2_goes_on_as_it_was_counted_and_not_otherwise(run):
    folder = run("a", "segments=pair")
    as_version_0_2(folder)
    assert Run(folder).config()["segments"] == "pair"
    assert Run(folder).config()["lr_schedule"]["_target_"] == "seq2seq_lab.training.lr_schedules.Constant"
    with pytest.raises(UserError, match="it differs in segments"):
        run("a")
    assert run("a", "segments=pair", "trainer.max_epochs=3") == folder
    assert [row["epoch"] for row in tiny.rows(folder)] == ["1", "2", "3"]
    assert len(gather([folder, run("b", "segments=pair", "seed=1", "trainer.max_epochs=3")]).groups) == 1


def test_what_fed_zeros_was_named_unk():
    config = tiny.configuration("data=toy", "forcing=word_dropout")
    config["choices"] = {"forcing": "word_dropout", "forcing/feeder": "zero", "target": "gold"}
    old = copy.deepcopy(config)
    old["forcing"]["feeder"]["_target_"] = "seq2seq_lab.forcing.feeders.unk.Unk"
    old["choices"]["forcing/feeder"] = "unk"
    assert as_of_now(old) == config
