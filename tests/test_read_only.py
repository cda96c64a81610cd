"""Folders that cannot be written: one line each, and nothing is lost."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

import tiny
from seq2seq_lab.commands import main as cli
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.annotations import read_annotations

NOBODY = 65534
LITTLE = [*tiny.SETTINGS, "logger=none", "~callbacks.translations", "split.test=0.2", "accelerate=off"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The output folder of a run. What the commands import is imported: nobody need be allowed to read this package."""
    place = tmp_path_factory.mktemp("trained")
    assert cli.main(["train", *LITTLE, f"output_dir={place}"]) == 0
    assert cli.main(["translate", *map(str, tiny.folders(place)), "je suis grand ."]) == 0
    assert cli.main(["runs", str(place)]) == 0
    return place


@pytest.fixture
def run(trained):
    """The folder of a run in a folder of its own, both of which this process cannot write; root may write anything."""
    place = Path(tempfile.mkdtemp())
    shutil.copytree(trained, place, dirs_exist_ok=True)
    (folder,) = tiny.folders(place)
    paths = [place, *place.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        for path in paths:
            path.chmod(0o755)
        shutil.rmtree(place)


COMMANDS = [
    ["evaluate", "RUN"],
    ["page", "RUN", "--output", "RUN/page.html"],
    ["export", "RUN", "--output", "RUN/exported"],
    ["compare", "RUN"],
    ["compare", "RUN", "--output", "RUN/comparison"],
    ["train", *LITTLE, "trainer.max_epochs=3", "output_dir=PLACE"],
    ["train", *LITTLE, "seed=7", "output_dir=PLACE"],
    ["train", "-m", *LITTLE, "seed=0,7", "trainer.max_epochs=3", "output_dir=PLACE"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_that_cannot_write_says_so_in_a_line(run, capfd, command):
    if command[0] == "export":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxscript")
    before = {path: path.stat().st_mtime_ns for path in run.parents[1].rglob("*")}
    capfd.readouterr()
    place = str(run.parents[1])
    assert cli.main([word.replace("RUN", str(run)).replace("PLACE", place) for word in command]) == 1
    said = capfd.readouterr().err
    assert "Permission denied" in said
    assert "Traceback" not in said
    assert "Error executing job" not in said
    assert {path: path.stat().st_mtime_ns for path in run.parents[1].rglob("*")} == before


def test_what_only_reads_works(run, capsys):
    assert cli.main(["translate", str(run), "je suis fatigué ."]) == 0
    assert cli.main(["runs", str(run.parents[1])]) == 0
    assert cli.main(["train", *LITTLE, f"output_dir={run.parents[1]}"]) == 0
    assert "already finished" in capsys.readouterr().out


@pytest.fixture
def mine(run):
    """The folder of the same run that this process can write, after the other one in the order of names."""
    folder = Path(tempfile.mkdtemp(prefix="z")) / "seed-0"
    shutil.copytree(run, folder, copy_function=shutil.copyfile)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)
    yield folder
    shutil.rmtree(folder.parent, ignore_errors=True)


def test_a_run_that_cannot_be_removed_does_not_keep_the_others(run, mine, capsys):
    assert cli.main(["runs", "rm", "--yes", str(run), str(mine)]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "1 removed"
    assert "Permission denied" in err
    assert (run.exists(), mine.exists()) == (True, False)


def test_runs_that_cannot_be_noted_tagged_or_evaluated_do_not_keep_the_others(run, mine, capsys):
    runs = [str(run), str(mine)]
    refused = f"{run}: Permission denied\n"
    assert cli.main(["runs", "note", "a note", *runs]) == 1
    assert capsys.readouterr() == ("noted: 1 run\n", refused)
    assert cli.main(["runs", "tag", "a", *runs]) == 1
    assert capsys.readouterr() == ("tagged a: 1 run\n", refused)
    assert [read_annotations(Path(each)).note for each in runs] == ["", "a note"]
    shutil.rmtree(mine / layout.EVALUATION)
    assert cli.main(["evaluate", "--analyses", "none", *runs]) == 1
    out, err = capsys.readouterr()
    assert f"written to {mine}" in out
    assert "Permission denied" in err
    assert (mine / layout.EVALUATION / "test.json").is_file()
