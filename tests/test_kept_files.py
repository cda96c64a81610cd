"""What a user has written or trained is not replaced or removed by a command that was meant for something else."""

import io

import pytest

import tiny
from fake_runs import config, write_run, write_sweep
from seq2seq_lab.commands import main as cli
from seq2seq_lab.compare import compare, gather
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs import find
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


def test_a_run_that_was_interrupted_beyond_the_epochs_that_are_asked_for_is_not_finished(tmp_path):
    """Its weights are those of a part of the next epoch."""
    folder = tiny.stop(tmp_path, "trainer.max_epochs=5", block=12)
    before = (folder / "checkpoints" / "last.ckpt").read_bytes()
    with pytest.raises(UserError, match=r"interrupted in epoch 3, beyond trainer.max_epochs=2"):
        tiny.train(tmp_path, "trainer.max_epochs=2")
    assert (folder / "checkpoints" / "last.ckpt").read_bytes() == before
    assert tiny.train(tmp_path, "trainer.max_epochs=3") == folder


def test_a_finished_run_without_its_last_checkpoint_is_not_begun_anew_by_more_epochs(tmp_path, capsys):
    given = [*LITTLE, f"output_dir={tmp_path}", "name=a"]
    assert cli.main(given) == 0
    folder = tmp_path / "a" / "seed-0"
    for name in ("last", "previous"):
        (folder / "checkpoints" / f"{name}.ckpt").unlink(missing_ok=True)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert cli.main([*given, "trainer.max_epochs=3", "--dry-run"]) == 0
    assert "refused" in capsys.readouterr().out
    assert cli.main([*given, "trainer.max_epochs=3"]) == 1
    assert "no last checkpoint to go on from" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before


def test_a_longer_run_leaves_those_of_a_sweep_over_lengths(tmp_path, capsys):
    given = [*LITTLE[:-1], f"output_dir={tmp_path}"]
    assert cli.main([*given[:1], "-m", *given[1:], "trainer.max_epochs=1,2"]) == 0
    swept = {folder: (folder / "summary.json").read_bytes() for folder in tiny.folders(tmp_path)}
    assert len(swept) == 2
    assert cli.main([*given, "trainer.max_epochs=2"]) == 0
    assert "already finished" in capsys.readouterr().out
    assert cli.main([*given, "trainer.max_epochs=3"]) == 0
    assert {folder: (folder / "summary.json").read_bytes() for folder in swept} == swept
    assert len(tiny.folders(tmp_path)) == 3


def test_no_run_is_inside_of_another_whatever_the_output_folder(tmp_path, capsys):
    assert cli.main([*LITTLE, f"output_dir={tmp_path}", "name=a"]) == 0
    inside = tmp_path / "a" / "seed-0" / "more"
    assert cli.main([*LITTLE, f"output_dir={inside}", "name=b", "seed=1"]) == 1
    assert "a run inside of it is not found" in capsys.readouterr().err
    assert tiny.folders(tmp_path) == [tmp_path / "a" / "seed-0"]
    assert cli.main([*LITTLE, f"output_dir={tmp_path}", "name=b/seed-0/c", "seed=2"]) == 0
    assert cli.main([*LITTLE, f"output_dir={tmp_path}", "name=b", "seed=0", "optimizer.lr=0.02"]) == 1
    assert "would not be found inside of this one" in capsys.readouterr().err
    (tmp_path / "config.yaml").write_text("of: something else\n")
    assert cli.main([*LITTLE, f"output_dir={tmp_path / 'other'}"]) == 0


def test_a_comparison_replaces_no_tables_and_plots_of_others(tmp_path, capsys):
    runs = write_sweep(tmp_path / "runs", models=["seq2seq"])
    paper = tmp_path / "paper"
    paper.mkdir()
    mine = {paper / f"sweep-ratio-paper.{kind}": kind.encode() for kind in ("svg", "png", "pdf")}
    for path, text in mine.items():
        path.write_bytes(text)
    compare([runs], output=paper, stream=io.StringIO())
    assert {path: path.read_bytes() for path in mine} == mine
    for name in ("results.csv", "summary.csv", "pairs.csv"):
        own = tmp_path / name.partition(".")[0] / name
        own.parent.mkdir()
        own.write_text("sentence,score\n")
        with pytest.raises(UserError, match=r"it is of no comparison"):
            compare([runs], output=own.parent, stream=io.StringIO())
        assert own.read_text() == "sentence,score\n"
    compare([runs], output=paper, stream=io.StringIO())  # its own tables are replaced


def test_what_is_above_two_output_folders_is_neither_looked_through_nor_written_to(tmp_path, monkeypatch):
    first, second = (write_sweep(tmp_path / name / "outputs", models=["seq2seq"]) for name in "ab")
    for each in (first, second):
        (each / ".hydra" / "runs").mkdir(parents=True)
    looked = []
    found = find.find
    monkeypatch.setattr(find, "find", lambda paths: looked.extend(paths) or found(paths))
    comparison = compare([first, second], stream=io.StringIO())
    assert comparison.output.parent == first
    assert tmp_path not in looked


def test_one_folder_of_copied_runs_is_compared_in_it_however_deep_they_are(tmp_path):
    """Without the notes of an output folder, which a copy may lack."""
    write_sweep(tmp_path / "copy" / "study" / "task" / "method", models=["seq2seq"])
    assert gather([tmp_path / "copy"]).output == tmp_path / "copy" / "comparison"
