"""Run folders of version 0.1.0 can be read: `data/run-0.1.0` was written by it."""

import json
import shutil
from pathlib import Path

import pytest

import tiny
from seq2seq_lab.commands import main as cli
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.load import load_model

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
