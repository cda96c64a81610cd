"""What a user has written or trained is not replaced or removed by a command that was meant for something else."""

import io

import pytest

import tiny
from fake_runs import config, write_run
from seq2seq_lab.commands import main as cli
from seq2seq_lab.compare import compare
from seq2seq_lab.runs.annotations import read_annotations

MINE = "je suis grand .\ti am tall .\n" * 8
LITTLE = ("train", "data=toy", *tiny.SETTINGS, *tiny.LEAN, "trainer.max_epochs=1")


@pytest.fixture
def pairs(tmp_path, monkeypatch):
    """A file of pairs, in the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "pairs.tsv"
    path.write_text(MINE)
    return path


@pytest.mark.parametrize(
    "data",
    [["data=parallel", "data.train='~/pairs.tsv'"], ["data.prefixes=null"], ["data=toy"]],
    ids=["home", "variable", "any other file"],
)
def test_a_table_of_parts_replaces_only_tables_of_parts(pairs, monkeypatch, capsys, data):
    monkeypatch.setenv("ENG_FRA_ARCHIVE", str(pairs))
    assert cli.main(["data", *data, "split=none", "--parts", str(pairs)]) == 1
    assert capsys.readouterr().err.startswith(f"--parts {pairs}: ")
    assert pairs.read_text() == MINE
    parts = pairs.with_name("parts.tsv")
    for given in (["data.pairs=20"], ["data.pairs=30"]):
        assert cli.main(["data", "data=toy", *given, "split=none", "--parts", str(parts)]) == 0
    assert len(parts.read_text(encoding="utf-8").splitlines()) == 31


def test_a_run_that_is_trained_anew_under_another_name_leaves_the_first(tmp_path, capsys):
    for name in ("first", "second"):
        given = ["fresh=true"] if name == "second" else []
        assert cli.main([*LITTLE, f"name={name}", f"output_dir={tmp_path}", *given]) == 0
        if name == "first":
            before = (tmp_path / "first" / "seed-0" / "summary.json").read_bytes()
    assert (tmp_path / "first" / "seed-0" / "summary.json").read_bytes() == before
    assert tiny.same_weights(tmp_path / "first" / "seed-0", tmp_path / "second" / "seed-0")
    assert cli.main([*LITTLE, "name=third", f"output_dir={tmp_path}"]) == 0
    assert "already finished" in capsys.readouterr().out
    assert not (tmp_path / "third").exists()


def test_a_damaged_note_is_not_replaced_by_a_tag(tmp_path, capsys):
    folder = write_run(tmp_path / "a" / "seed-0", config())
    assert cli.main(["runs", "note", "important", str(folder)]) == 0
    path = folder / "annotations.json"
    path.write_text(path.read_text().replace('"tags": []', '"tags": [],'))
    damaged = path.read_bytes()
    assert cli.main(["runs", "tag", "paper", str(folder)]) == 1
    assert f"{path}: damaged, and kept as it is; correct or remove it" in capsys.readouterr().err
    assert path.read_bytes() == damaged
    assert read_annotations(folder).note == ""  # who only reads goes on
    path.write_text(damaged.decode().replace('"tags": [],', '"tags": []'))
    assert cli.main(["runs", "tag", "paper", str(folder)]) == 0
    assert (read_annotations(folder).note, read_annotations(folder).tags) == ("important", ("paper",))


@pytest.mark.usefixtures("undrawn")
def test_a_comparison_removes_only_files_of_a_comparison(tmp_path):
    write_run(tmp_path / "a" / "seed-0", config())
    paper = tmp_path / "paper"
    paper.mkdir()
    (paper / "tasks.csv").write_text("mine")
    compare([tmp_path / "a"], output=paper, stream=io.StringIO())
    assert (paper / "tasks.csv").read_text() == "mine"
