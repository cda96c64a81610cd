"""Reading runs: the complete parts of a folder are read, and notes describe the rest."""

import errno
import io
import json
import math
import os

import pytest
import yaml

import fake_runs
from fake_evaluations import evaluation, write_evaluation
from fake_runs import config, curves, write_run, write_sweep
from seq2seq_lab.commands import main as cli
from seq2seq_lab.compare import compare, gather
from seq2seq_lab.compare.report import translations
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs.evaluations import write_evaluation as write_run_evaluation
from seq2seq_lab.runs.read import read_metrics
from seq2seq_lab.runs.run import Run


def note_about(comparison, name):
    """The notes that name a run, as one text."""
    return "\n".join(note for note in comparison.notes if name in note)


def test_every_value_of_a_complete_file_is_read(tmp_path):
    settings = config()
    rows = curves(settings, 5)
    folder = write_run(tmp_path / "run", settings, rows=rows)
    read, notes = read_metrics(folder / "metrics.csv")
    assert notes == []
    assert read == {m: {row["epoch"]: row[m] for row in rows} for m in fake_runs.METRICS}


def test_translations_with_any_signs_are_read(tmp_path):
    texts = ["a\u2028b", "a\x85b", "a\x1cb", 'a"b']
    write_run_evaluation(
        tmp_path, "test", {}, sources=texts, references=[[text] for text in texts], hypotheses=texts
    )
    found = translations.read(tmp_path / "evaluation" / "test.jsonl")
    assert [(each.source, each.hypothesis, each.exact) for each in found] == [
        (text, text, True) for text in texts
    ]


HUGE = 10**400


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("summary.json", {"corpus": fake_runs.TOY | {"loss_floor": HUGE}}),
        ("summary.json", {"corpus": fake_runs.TOY | {"loss_floor": math.nan}}),
        ("summary.json", {"reference": {"name": "a", "metric": "train/loss", "values": {"1": HUGE}}}),
        ("summary.json", {"reference": {"name": "a", "metric": "train/loss", "values": {HUGE: 1}}}),
        ("summary.json", {"seconds": HUGE}),
        ("evaluation/test.json", {"measures": {"bleu": HUGE, "chrf": 1.7e308}}),
        ("config.yaml", {"optimizer": {"lr": HUGE}}),
    ],
)
def test_a_number_that_is_too_large_ends_no_command_in_a_traceback(tmp_path, capsys, name, changes):
    folders = [write_run(tmp_path / f"seed-{seed}", config(seed=seed)) for seed in (0, 1)]
    write_evaluation(folders[0], "test", evaluation(0.5, 0))
    path = folders[0] / name
    path.write_text(json.dumps(yaml.safe_load(path.read_text()) | changes))  # JSON is YAML
    for command in (["compare"], ["runs"], ["runs", "--json"], ["runs", "--sort", "lr"]):
        assert cli.main([*command, str(tmp_path)]) == 0
    assert str(HUGE) not in capsys.readouterr().out


def test_a_value_that_is_too_large_is_infinite(tmp_path):
    rows = [{"epoch": 1, "val/loss_free": 1.7e308}, {"epoch": 2, "val/loss_free": -1.7e308}]
    folder = write_run(tmp_path / "run", config(), rows=rows)
    assert read_metrics(folder / "metrics.csv")[0] == {"val/loss_free": {1: math.inf, 2: -math.inf}}
    assert compare([tmp_path], stream=io.StringIO()).groups[0].last("val/loss_free").mean == -math.inf


@pytest.mark.parametrize("kept", [1, 10, 30])
def test_an_incomplete_last_line_is_skipped(tmp_path, kept):
    settings = config()
    path = write_run(tmp_path / "run", settings) / "metrics.csv"
    whole, _ = read_metrics(path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]) + lines[-1][:kept])
    torn, notes = read_metrics(path)
    assert torn == {m: {e: v for e, v in curve.items() if e < 8} for m, curve in whole.items()}
    assert len(notes) == 1
    assert "line 9" in notes[0]


def test_a_number_that_may_be_truncated_is_skipped(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,train/loss\n1,0.5\n2,0.12")  # perhaps 0.1234
    assert read_metrics(path)[0] == {"train/loss": {1: 0.5}}


def test_an_empty_cell_is_a_missing_value_and_nan_is_a_value(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,train/loss,val/bleu\n1,0.5,\n2,nan,7\n")
    read, notes = read_metrics(path)
    assert read["val/bleu"] == {2: 7.0}
    assert list(read["train/loss"]) == [1, 2]
    assert notes == []


def test_the_last_row_of_an_epoch_is_used_after_a_resume(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,train/loss\n1,0.5\n2,0.4\n2,0.3\n3,0.2\n")
    assert read_metrics(path)[0] == {"train/loss": {1: 0.5, 2: 0.3, 3: 0.2}}


@pytest.mark.parametrize("garbage", [b"\x00" * 40, b"\xff\xfe,\xfa\n", b'"\n', b"a,b\n1,2\n", b"", b"epoch"])
def test_an_invalid_file_gives_a_note_and_no_values(tmp_path, garbage):
    path = tmp_path / "metrics.csv"
    path.write_bytes(garbage)
    curves_, notes = read_metrics(path)
    assert curves_ == {}
    assert notes


def test_damaged_folders_are_named_and_the_rest_is_compared(tmp_path):
    write_sweep(tmp_path, models=["seq2seq"], ratios=[0.5], seeds=[0, 1, 2])
    group = tmp_path / "seq2seq-mixed-0.5"
    (group / "seed-3").mkdir()
    write_run(group / "seed-4", config(seed=4), rows=curves(config(seed=4), 3), status="running")
    write_run(group / "seed-5", config(seed=5), status="failed")
    (write_run(group / "seed-6", config(seed=6)) / "config.yaml").write_text("model: [")
    (write_run(group / "seed-7", config(seed=7)) / "summary.json").write_text('{"status": "fin')
    (write_run(group / "seed-8", config(seed=8)) / "config.yaml").unlink()
    (write_run(group / "seed-9", config(seed=9)) / "metrics.csv").unlink()
    (write_run(group / "seed-10", config(seed=10)) / "summary.json").unlink()
    (write_run(group / "seed-11", config(seed=11)) / "config.yaml").write_text("")

    comparison = gather([tmp_path])

    (only,) = comparison.groups
    assert [run.seed for run in only.runs] == [0, 1, 2]
    assert only.last("train/loss").n == 3
    assert "empty folder" in note_about(comparison, "seed-3")
    assert "still running or killed" in note_about(comparison, "seed-4 (epoch 3)")
    assert "failed" in note_about(comparison, "seed-5")
    assert "config.yaml, line " in note_about(comparison, "seed-6")
    assert "damaged summary.json" in note_about(comparison, "seed-7")
    assert "no config.yaml" in note_about(comparison, "seed-8")
    assert "no metrics.csv" in note_about(comparison, "seed-9")
    assert "finished, but without a value" in note_about(comparison, "seed-9")
    assert "without summary.json" in note_about(comparison, "seed-10")
    assert "contains no configuration" in note_about(comparison, "seed-11")


def test_a_finished_run_with_missing_epochs_is_averaged_with_a_note(tmp_path):
    write_sweep(tmp_path, models=["seq2seq"], ratios=[0.5], seeds=[0, 1])
    path = tmp_path / "seq2seq-mixed-0.5" / "seed-1" / "metrics.csv"
    path.write_text(path.read_text()[:-5])
    comparison = gather([tmp_path])
    assert "ends at epoch 7 of 8" in note_about(comparison, "seed-1")
    assert comparison.groups[0].last("train/loss").n == 2


@pytest.mark.parametrize("summary", ["[]", "null", '{"corpus": 7, "epochs": "x", "started": 5}', "\x00"])
def test_an_invalid_summary_does_not_prevent_a_comparison(tmp_path, summary):
    write_sweep(tmp_path, models=["seq2seq"], ratios=[0.5], seeds=[0, 1])
    (tmp_path / "seq2seq-mixed-0.5" / "seed-1" / "summary.json").write_text(summary)
    (group,) = gather([tmp_path]).groups
    assert [run.seed for run in group.runs] == [0]
    assert [run.seed for run in group.others] == [1]


@pytest.mark.usefixtures("undrawn")
def test_neither_hydras_own_configuration_nor_a_comparison_is_a_run(tmp_path):
    write_sweep(tmp_path, models=["seq2seq"], ratios=[0.5], seeds=[0])
    compare([tmp_path], output=tmp_path / "more", stream=io.StringIO())
    for inner in (".hydra", "more/tb/x", "seq2seq-mixed-0.5/seed-0/checkpoints"):
        write_run(tmp_path / inner, config(seed=77))
    assert [run.name for run in gather([tmp_path]).runs] == ["seq2seq-mixed-0.5/seed-0"]


@pytest.mark.usefixtures("undrawn")
def test_a_comparison_can_be_written_into_the_folder_of_its_runs(tmp_path):
    write_sweep(tmp_path, seeds=[0])
    compare([tmp_path], output=tmp_path, stream=io.StringIO())
    again = gather([tmp_path])
    assert len(again.runs) == 6
    assert not again.notes


def test_a_folder_of_runs_can_be_named_comparison(tmp_path):
    write_sweep(tmp_path / "comparison", models=["seq2seq"], ratios=[0.5], seeds=[0])
    assert len(gather([tmp_path / "comparison"]).runs) == len(gather([tmp_path]).runs) == 1


def test_a_folder_with_another_config_file_is_not_a_run(tmp_path):
    write_sweep(tmp_path, seeds=[0])
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "config.yaml").write_text("site: x\nseed: 3\n")
    comparison = gather([tmp_path])
    assert len(comparison.groups) == 6
    assert note_about(comparison, "docs: config.yaml is not the configuration of a run; skipped")


def test_a_path_that_cannot_be_accessed_is_an_error(tmp_path, monkeypatch):
    write_run(tmp_path / "seed-0", config())
    with pytest.raises(UserError, match="cannot be accessed"):
        gather([tmp_path / ("a" * 300)])
    with pytest.raises(UserError, match="cannot be accessed"):
        gather([tmp_path], output=tmp_path / ("a" * 300))
    scan = os.scandir

    def locked(path):
        if str(path).endswith("locked"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    (tmp_path / "locked").mkdir()
    monkeypatch.setattr(os, "scandir", locked)
    assert note_about(gather([tmp_path]), "locked: cannot be read (Permission denied); skipped")


def test_a_run_under_two_paths_is_read_once(tmp_path):
    write_sweep(tmp_path, seeds=[0, 1])
    once = gather([tmp_path])
    again = gather([tmp_path, tmp_path / "seq2seq-mixed-0.5", tmp_path / "attention-mixed-0.5" / "seed-0"])
    assert [run.name for run in once.runs] == [run.name for run in again.runs]
    assert len(once.runs) == 12


def test_several_paths_have_a_common_root_and_a_path_without_runs_gets_a_note(tmp_path):
    write_run(tmp_path / "a" / "seed-0", config())
    write_run(tmp_path / "b" / "seed-0", config(ratio=0.25))
    (tmp_path / "c").mkdir()
    comparison = gather([tmp_path / "a", tmp_path / "b" / "seed-0", tmp_path / "c"])
    assert [run.name for run in comparison.runs] == ["a/seed-0", "b/seed-0"]
    assert comparison.output == tmp_path / "comparison"
    assert note_about(comparison, "it contains no run")


def test_the_message_about_missing_runs_explains_what_a_run_is(tmp_path):
    with pytest.raises(UserError, match=r"it contains no run.*A run is a folder with a config\.yaml"):
        gather([tmp_path])
    with pytest.raises(UserError, match="no such folder"):
        gather([tmp_path / "nowhere"])
    (tmp_path / "config.yaml").write_text("")
    with pytest.raises(UserError, match="contains no configuration"):
        gather([tmp_path])
    with pytest.raises(UserError, match="this is a file"):
        gather([tmp_path / "config.yaml"])


def test_the_output_folder_cannot_be_a_run_or_a_file(tmp_path):
    folder = write_run(tmp_path / "seed-0", config())
    with pytest.raises(UserError, match="folder of a run"):
        gather([tmp_path], output=folder)
    with pytest.raises(UserError, match="this is a file"):
        gather([tmp_path], output=folder / "summary.json")


def test_last_and_best_values_are_those_of_measured_epochs(tmp_path):
    rows = [
        {"epoch": 1, "val/bleu": 10, "val/loss_free": 2.0, "train/forced_share": 0.5},
        {"epoch": 2, "val/bleu": 30, "val/loss_free": 1.0, "train/forced_share": 0.4},
        {"epoch": 3, "val/bleu": 30, "val/loss_free": float("nan"), "train/forced_share": 0.6},
        {"epoch": 4, "val/bleu": "", "val/loss_free": 1.5, "train/forced_share": 0.5},
    ]
    write_run(tmp_path / "run", config(), rows=rows)
    (run,) = gather([tmp_path]).runs
    assert (run.last("val/bleu"), run.best("val/bleu", "higher")) == (30, (30, 3))  # of equal ones the last
    assert (run.last("val/loss_free"), run.best("val/loss_free", "lower")) == (1.5, (1.0, 2))
    assert (run.last("train/forced_share"), run.best("train/forced_share", None)) == (0.5, None)
    assert run.last("val/chrf") is None
    assert run.best("val/chrf", "higher") is None


def test_a_summary_contains_facts_about_the_corpus(tmp_path):
    folder = write_run(tmp_path / "run", config(), corpus=fake_runs.ENG_FRA)
    (run,) = gather([tmp_path]).runs
    written = json.loads((folder / "summary.json").read_text())["corpus"]
    assert (run.corpus.fingerprint, run.corpus.pairs) == (written["fingerprint"], 5318)


def test_a_run_reads_a_file_again_only_after_changing_it(tmp_path):
    run = Run(write_run(tmp_path / "run", config()))
    assert run.summary()["epochs"] == 8
    other = Run(run.folder)
    other.write_summary(epochs=9)
    assert (run.summary()["epochs"], other.summary()["epochs"]) == (8, 9)
    with run.lock():
        assert run.summary()["epochs"] == 9
    run.clear()
    assert (run.exists(), run.summary(), run.curves()) == (False, {}, {})


def test_a_damaged_configuration_is_an_error_with_a_clear_message(tmp_path):
    folder = write_run(tmp_path / "run", config())
    (folder / "config.yaml").write_text("model: [")
    with pytest.raises(UserError, match=rf"{folder}: config.yaml, line 2 cannot be read"):
        Run(folder).config()
