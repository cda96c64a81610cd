"""What a process is started with: its working folder, its streams and its environment variables."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tiny
from seq2seq_lab.commands import main as cli
from seq2seq_lab.data.sources.toy import ToyCorpus
from seq2seq_lab.launch.startup import environment

LITTLE = ("train", *tiny.SETTINGS, *tiny.LEAN, "trainer.max_epochs=1")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps a folder that a process works in")
@pytest.mark.parametrize("command", [["runs"], ["train", "data=toy"]])
def test_a_working_folder_that_is_gone_is_said(tmp_path, monkeypatch, capsys, command):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert cli.main(command) == 1
    assert capsys.readouterr().err == "the working folder has been removed; change to another one\n"


def test_a_file_where_a_folder_should_be_is_said(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert (
        cli.main(["data", "data=toy", "data.pairs=40", "--parts", str(tmp_path / "file" / "parts.tsv")]) == 1
    )
    assert capsys.readouterr().err == f"{tmp_path / 'file'}: Not a directory\n"


def test_a_full_memory_is_said(monkeypatch, capsys):
    def read(self):
        raise MemoryError

    monkeypatch.setattr(ToyCorpus, "read", read)
    assert cli.main(["data", "data=toy"]) == 1
    assert capsys.readouterr().err.startswith("the machine's memory is full: ")


@pytest.mark.parametrize("flags", [[], ["-m"]])
def test_no_folder_is_made_that_is_called_as_the_home_folder(tmp_path, monkeypatch, capsys, flags):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEQ2SEQ_LAB_OUTPUTS", "~/runs")
    assert cli.main(["train", "data=toy", "seed=0", *flags]) == 1
    assert "output_dir: ~/runs: ~ is not replaced here" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_empty_variable_is_one_that_is_not_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("SEQ2SEQ_LAB_OUTPUTS", "SEQ2SEQ_LAB_NOTIFY"):
        monkeypatch.setenv(name, "")
    assert cli.main(LITTLE) == 0
    assert len(tiny.folders(Path("outputs"))) == 1
    assert os.environ["SEQ2SEQ_LAB_OUTPUTS"] == ""


def test_variables_are_as_before_after_the_block(monkeypatch):
    monkeypatch.setenv("ONE", "1")
    monkeypatch.delenv("TWO", raising=False)
    with environment({"ONE": None, "TWO": "2"}):
        assert ("ONE" in os.environ, os.environ["TWO"]) == (False, "2")
        del os.environ["TWO"]
    assert (os.environ["ONE"], "TWO" in os.environ) == ("1", False)


@pytest.mark.whole
@pytest.mark.skipif(sys.platform == "win32", reason="its shell closes no stream")
def test_streams_that_are_closed_are_read_and_written_as_empty(tmp_path):
    outputs = tmp_path / "outputs"
    run = f"'{sys.executable}' -m seq2seq_lab"
    for line, status, said in (
        (f"{run} {' '.join(LITTLE)} name=a 'output_dir={outputs}' >&- 2>&- <&-", 0, ""),
        (f"{run} translate '{outputs / 'a' / 'seed-0'}' <&-", 1, "no sentence to translate"),
        (f"{run} runs '{outputs}' 2>&-", 0, ""),
    ):
        answer = subprocess.run(
            ["bash", "-c", line], capture_output=True, text=True, cwd=tmp_path, check=False
        )
        assert (answer.returncode, answer.stderr.partition(";")[0]) == (status, said), line
    assert "a/seed-0" in answer.stdout
