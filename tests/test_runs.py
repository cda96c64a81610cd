"""The folder of a run: writing and reading give the same values."""

import json
import subprocess
import sys

import pytest

from seq2seq_lab.data.sources.toy import ToyCorpus
from seq2seq_lab.errors import UserError
from seq2seq_lab.evaluation.measures import Measure, from_dict, to_dict
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.load import load_model
from seq2seq_lab.runs.naming import run_folder
from seq2seq_lab.runs.reference import Reference
from seq2seq_lab.runs.run import Run

CONFIG = {"model": {"size": 8}, "seed": 3, "threads": 1, "reference": None}


@pytest.fixture(scope="module")
def corpus():
    return ToyCorpus(pairs=30).load()


def test_the_files_of_a_new_run_contain_its_configuration_and_corpus(tmp_path, corpus):
    reference = Reference("theirs", "train/loss", {1: 0.5})
    measures = [Measure(name="distance", label="edit distance", unit="words", better="lower")]
    Run(tmp_path).begin(
        CONFIG,
        corpus,
        max_length=9,
        loss_floor=0.25,
        measures=to_dict(measures),
        reference=reference.to_dict(),
        command="seq2seq-lab train seed=3",
    )
    run = Run(tmp_path)
    assert (run.config(), run.seed, run.status, run.finished) == (CONFIG, 3, "running", False)
    assert run.corpus.fingerprint == corpus.fingerprint
    assert (run.corpus.pairs, run.corpus.loss_floor) == (30, 0.25)
    assert run.reference == reference
    assert from_dict(run.summary()["measures"]) == {"distance": measures[0]}
    assert run.summary()["command"] == "seq2seq-lab train seed=3"


def test_the_default_command_is_that_of_the_process(tmp_path, corpus, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/seq2seq-lab train", "name=a b"])
    Run(tmp_path).begin(CONFIG, corpus, max_length=9, loss_floor=0.0)
    assert Run(tmp_path).summary()["command"] == "seq2seq-lab train 'name=a b'"


def test_keys_that_do_not_change_the_model_are_not_a_difference(tmp_path, corpus):
    run = Run(tmp_path)
    run.begin(CONFIG, corpus, max_length=9, loss_floor=0.0)
    other = CONFIG | {"threads": 8, "reference": {"file": "a.csv"}, "accelerate": "off"}
    assert run.difference(other) is None
    assert run.difference({key: value for key, value in other.items() if key != "reference"}) is None
    assert run.difference(CONFIG | {"model": {"size": 9}}) == "model.size"


def test_keys_that_do_not_change_the_model_are_not_in_the_path():
    config = {"output_dir": "out", "name": "a", "seed": 0}
    overrides = [
        "accelerate=off",
        "reference.curve=b",
        "reference=null",
        "trainer.max_epochs=2",
        "hydra/launcher=x",
    ]
    swept = run_folder(config, overrides, named=True, swept={"trainer.max_epochs"})
    assert str(swept) == "out/a,max_epochs=2/seed-0"
    assert str(run_folder(config, overrides, named=True)) == "out/a/seed-0"


@pytest.mark.parametrize("name", [[], ["name=a"]])
@pytest.mark.parametrize(
    "key",
    ["callbacks.early.patience", "measures", "monitor.metric", "segments", "trainer.max_time", "trainer"],
)
def test_what_is_swept_over_is_in_the_path(key, name):
    config = {"output_dir": "out", "name": "a", "seed": 0}
    overrides = [*name, f"{key}=x", "threads=2", "seed=0", "hydra.sweeper.trial=1"]
    swept = {key, "threads", "seed", "hydra.sweeper.trial"}
    assert str(run_folder(config, overrides, False, swept)) == f"out/a,{key.rpartition('.')[2]}=x/seed-0"


def test_a_folder_without_vocabularies_cannot_be_loaded(tmp_path, corpus):
    run = Run(tmp_path)
    run.begin(CONFIG, corpus, max_length=9, loss_floor=0.0)
    run.last_checkpoint.parent.mkdir()
    run.last_checkpoint.write_bytes(b"")
    (tmp_path / layout.VOCABULARIES).write_text(json.dumps({"source": []}))
    with pytest.raises(UserError, match=r"vocabularies\.json: missing or damaged"):
        load_model(tmp_path)


def test_reading_runs_imports_no_slow_library():
    script = "import sys, seq2seq_lab.runs.run, seq2seq_lab.runs.find; print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "scipy", "hydra", "matplotlib"} & set(answer.stdout.split())
