"""Options of the user, and settings of files and sweeps, that cannot be: each ends in a line or two."""

import json
import os

import pytest

import tiny
from seq2seq_lab.commands import main as cli

HEAD = "# @package _global_\n"
TOY = "_target_: seq2seq_lab.data.sources.toy.ToyCorpus\npairs: 40\n"
HEADER = "experiment: the file of the experiment must begin with the line `# @package _global_`, without a byte-order"
CYCLE = "its defaults list leads back to itself"


@pytest.fixture
def own(tmp_path, monkeypatch, capsys):
    """Writes options, name → text or bytes, and gives what a command says of them; it must fail in a line or two."""
    monkeypatch.chdir(tmp_path)

    def said(files, *arguments):
        for name, text in files.items():
            path = tmp_path / "conf" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        capsys.readouterr()
        assert cli.main([*arguments, "--config-dir", "conf"]) == 1
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        assert 1 <= len(err.splitlines()) <= 2, err
        return err

    return said


@pytest.mark.parametrize("command", ["data", "train"])
@pytest.mark.parametrize(
    ("files", "chosen", "expected"),
    [
        ({"experiment/mine.yaml": "data: {pairs: 10}\n"}, "experiment=mine", HEADER),
        ({"experiment/mine.yaml": f"\ufeff{HEAD}data: {{pairs: 10}}\n"}, "experiment=mine", HEADER),
        (
            {"experiment/mine.yaml": f"{HEAD}defaults: [override model: attention, _self_]\n"},
            "experiment=mine",
            "model: in the defaults list of an experiment a group has a slash: `override /model: OPTION`",
        ),
        ({"model/a.yaml": "defaults: [a, _self_]\n"}, "data=toy", CYCLE),
        ({"model/a.yaml": "defaults: [b]\n", "model/b.yaml": "defaults: [a]\n"}, "data=toy", CYCLE),
        (
            {"data/mine.yaml": f"# caf\xe9\n{TOY}".encode("latin-1")},
            "data=mine",
            "mine.yaml: it is not in UTF-8",
        ),
        ({"data/mine.yaml": f"defaults: toy\n{TOY}"}, "data=mine", "Invalid defaults list in 'data/mine'"),
        ({"data/mine.yaml": f"defaults: [5]\n{TOY}"}, "data=mine", "an entry is the name of an option"),
        ({"data/mine.yaml": f"{TOY}1: 3\n"}, "data=mine", "data.1: "),
        ({}, "+dta.pairs=10", "dta: no such key"),
    ],
)
def test_an_option_that_cannot_be_is_said(own, command, files, chosen, expected):
    data = [] if chosen.startswith("data=") else ["data=toy"]
    assert expected in own({"data/other.yaml": TOY} | files, command, *data, chosen)


def test_files_of_other_programs_are_no_options(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("model/._mine.yaml", "model/.ipynb_checkpoints/mine-checkpoint.yaml", "data/mine.yaml"):
        path = tmp_path / "conf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\x00\xff" if name.startswith("model") else TOY.encode())
    (tmp_path / "conf/model/.#mine.yaml").symlink_to("somebody@host.1")  # Emacs
    (tmp_path / "conf/model/gone.yaml").symlink_to("nowhere.yaml")
    assert cli.main(["data", "--config-dir", "conf", "data=mine"]) == 0
    assert cli.main(["data", "--config-dir", "conf", "data=my"]) == 1
    assert "checkpoint" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["data=parallel", "data.train=[a.fr,null]"], "data.train: "),
        (["data=parallel", "data.train='~nobody-here/x.tsv'"], "data.train=~nobody-here/x.tsv: "),
        (["data=eng_fra", "data.archive='~nobody-here/x.zip'"], "data.archive=~nobody-here/x.zip: "),
        (
            ["data=toy", "+data.units=subwords", "+data.subword_size=3000000000"],
            "data.subword_size=3000000000: ",
        ),
        (["data=toy", "data.seed=-1"], "data.seed=-1: it is less than 0"),
        (["data=scan", "data.seed=-1"], "data.seed=-1: it is less than 0"),
    ],
)
def test_settings_of_data_that_cannot_be_are_said(given, said, capsys):
    assert cli.main(["data", *given]) == 1
    err = capsys.readouterr().err
    assert err.startswith(said)
    assert len(err.splitlines()) <= 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["model.output_dropout=nan"], "model.output_dropout must lie in [0, 1), got nan"),
        (
            ["target=optimal_completion", "forcing=free", "target.max_ratio=1e30"],
            "target.max_ratio must be at least 1",
        ),
        (["-m", "seed=range(0,3,0)"], "seed=range(0,3,0): "),
        (["-m", 'hydra.sweeper.sweeps=["forcing=mixed","forcing=free"]'], "hydra.sweeper.sweeps="),
        (["-m", "seed=0,1", "hydra.sweeper.zip=5"], "hydra.sweeper.zip=5: it must be a list of lists"),
        (["-m", "seed=0,1", "hydra.sweeper.zip=[[]]"], "hydra.sweeper.zip=[[]]: it must be a list of lists"),
        (["-m", "seed=0,1", "hydra.sweeper.zip=[seed,[fresh]]"], "hydra.sweeper.zip="),
        (
            ["-m", "seed=0,1", "hydra.sweeper.max_batch_size=0"],
            "hydra.sweeper.max_batch_size: 0 is less than 1",
        ),
        (["-m", "hydra/sweeper=optuna", "hydra.sweeper.pruner=null"], "hydra.sweeper.pruner=None: "),
        (["-m", "hydra/sweeper=optuna", "hydra.sweeper.sampler=null"], "hydra.sweeper.sampler=None: "),
        (["-m", "hydra/sweeper=optuna", "hydra.sweeper.sampler.seed=x"], "hydra.sweeper.sampler.seed=x: "),
    ],
)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["train", "dry-run"])
def test_settings_of_runs_and_sweeps_that_cannot_be_are_said(given, said, dry, outputs, capsys):
    searched = ["optimizer.lr=interval(0.01,0.1)"] if "hydra/sweeper=optuna" in given else []
    if searched:
        pytest.importorskip("optuna")
    at_once = dry and given[0].startswith("-m")
    if dry and not at_once:
        pytest.skip("found where the model is built")
    assert cli.main(["train", *tiny.SETTINGS, *tiny.LEAN, *given, *searched, *dry]) == 1
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err
    assert len(err.splitlines()) <= 2
    assert not [*outputs.rglob("*.optuna")]


def test_a_pipe_is_not_replaced(tmp_path, capsys):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert cli.main(["data", "data=toy", "--parts", str(pipe)]) == 1
    assert "a pipe or a device" in capsys.readouterr().err
    assert pipe.is_fifo()


def test_equal_pairs_of_given_parts_for_tests_stay(tmp_path, capsys):
    """A published test set is that of all, whatever is trained on."""
    lines = [f"je suis {word} .\ti am {word} .\n" for word in "abcdefghij"]
    for name, its in (
        ("train", [*lines, lines[0]]),
        ("dev", lines[:3]),
        ("test", [lines[1], lines[1], lines[2]]),
    ):
        (tmp_path / f"{name}.tsv").write_text("".join(its))
    files = {"train": "train", "validation": "dev", "test": "test"}
    given = [f"data.{part}={tmp_path / name}.tsv" for part, name in files.items()]
    assert cli.main(["data", "data=parallel", "data.drop_duplicates=true", *given, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["given"] == {"train": 10, "validation": 3, "test": 3}
