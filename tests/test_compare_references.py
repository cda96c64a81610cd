"""Reference curves: read from CSV files, named by runs or given on the command line, shown with the groups."""

import io
import logging
from pathlib import Path

import pytest

from fake_runs import config, write_run
from seq2seq_lab.commands.main import main
from seq2seq_lab.compare import compare, gather
from seq2seq_lab.compare.views import plots
from seq2seq_lab.compare.views.figures import INK
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs.reference import Reference, read_curves, read_reference
from test_compare_tensorboard import scalars

PUBLISHED = Path(__file__).parents[1] / "experiments" / "seminar" / "published.csv"
CURVE = Reference("theirs", "train/loss", {2: 0.7, 4: 0.3})


def legend(*paths, references=()):
    comparison = gather([*paths], metrics=["train/loss"], references=references)
    return plots.curves(comparison.groups, comparison.metrics, comparison.references).legend


@pytest.fixture
def runs(tmp_path):
    """Two groups; one names a reference."""
    write_run(tmp_path / "a" / "0", config(ratio=0.25, seed=0), reference=CURVE.to_dict())
    write_run(tmp_path / "a" / "1", config(ratio=0.25, seed=1), reference=CURVE.to_dict())
    write_run(tmp_path / "b" / "0", config(ratio=0.5))
    return tmp_path


def test_the_seminars_curves_are_complete():
    curves = {each.name: each for each in read_curves(PUBLISHED, "train/loss")}
    assert list(curves) == ["seq2seq_full", "seq2seq_mixed", "attention_mixed"]
    assert all(list(each.values) == list(range(5, 45, 5)) for each in curves.values())
    assert curves["attention_mixed"].values[40] == 0.0444


def test_a_reference_can_be_stored_in_a_summary_and_other_data_is_none():
    assert Reference.from_dict(CURVE.to_dict()) == CURVE
    for other in (None, [], {"name": "x"}, {"name": "x", "metric": "y", "values": {"a": 1}}, {"values": 3}):
        assert Reference.from_dict(other) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must have a column `epoch`"),
        ("step,a\n1,2\n", "must have a column `epoch`"),
        ("epoch\n1\n", "must have a column `epoch`"),
        ("epoch,a,a\n1,2,3\n", "two columns have the same name"),
        ("epoch,a\n1,0.5\n2,none\n", "line 3: 'none' is not a number"),
        ("epoch,a\n1,nan\n", "line 2: 'nan' is not a number"),
        ("epoch,a\n\n0,1\n", "line 3: 0 is not an epoch"),
        ("epoch,a\n1.5,1\n", "line 2: 1.5 is not an epoch"),
        ("epoch,a\n1,2,3\n", "line 2: 3 cells, but the first line has 2"),
        ("epoch,a,b\n1,2,\n", "column b contains no value"),
    ],
)
def test_a_file_without_curves_is_an_error_in_one_line(tmp_path, text, message):
    path = tmp_path / "curves.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as refused:
        read_curves(path, "train/loss")
    assert str(refused.value).startswith(str(path))
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_an_error_in_one_line(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_curves(tmp_path / "nowhere.csv", "train/loss")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not a CSV file"):
        read_curves(tmp_path / "binary.csv", "train/loss")


def test_empty_cells_are_epochs_without_a_value(tmp_path):
    path = tmp_path / "curves.csv"
    path.write_text("epoch,a,b\n1,0.5,\n2,,7\n")
    assert [each.values for each in read_curves(path, "m")] == [{1: 0.5}, {2: 7.0}]


def test_the_file_of_a_reference_is_in_the_working_folder_or_the_checkout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    setting = {"file": "experiments/seminar/published.csv", "curve": "seq2seq_full", "metric": "train/loss"}
    assert read_reference(setting)["values"]["40"] == 0.0265
    own = tmp_path / setting["file"]
    own.parent.mkdir(parents=True)
    own.write_text("epoch,seq2seq_full\n40,0.5\n")
    assert read_reference(setting)["values"] == {"40": 0.5}
    with pytest.raises(UserError, match=r"reference.curve: .* has no column mine; it has seq2seq_full"):
        read_reference(setting | {"curve": "mine"})


def test_without_a_setting_or_a_file_there_is_no_reference(caplog):
    assert read_reference(None) is None
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        assert read_reference({"file": "nowhere.csv", "curve": "a", "metric": "train/loss"}) is None
    assert "nowhere.csv" in caplog.text


def test_an_epoch_that_no_run_can_have_is_refused(tmp_path):
    (tmp_path / "ref.csv").write_text("epoch,loss\n1e30,2\n")
    with pytest.raises(UserError, match=r"line 2: 1e30 is not an epoch"):
        read_curves(tmp_path / "ref.csv", "train/loss")


def test_a_reference_has_the_colour_of_the_only_group_that_names_it(runs):
    drawn = legend(runs)
    assert drawn["theirs (reference)"].colour == drawn["ratio=0.25 (n = 2)"].colour
    write_run(runs / "c", config(ratio=0.75), reference=CURVE.to_dict())
    assert legend(runs)["theirs (reference)"].colour == INK
    assert not any("reference" in label for label in legend(runs / "b"))


def test_a_reference_is_not_a_difference_between_runs(tmp_path):
    for seed, reference in enumerate((None, {"file": "a.csv", "curve": "a", "metric": "train/loss"})):
        write_run(
            tmp_path / str(seed), config(seed=seed) | {"reference": reference, "accelerate": {"own": seed}}
        )
    (group,) = gather([tmp_path]).groups
    assert group.label == "all runs"


def test_different_references_with_the_same_name_are_both_shown(runs):
    other = Reference("theirs", "train/loss", {1: 2.0})
    names = [each.name for each in gather([runs], references=[other, CURVE]).references]
    assert names == ["theirs", "theirs #2"]


def test_plots_tensorboard_and_report_show_references(runs):
    output = compare([runs], metrics=["train/loss"], stream=io.StringIO()).output
    assert scalars(output / "tb" / "reference" / "theirs", "train/loss") == pytest.approx(CURVE.values)
    assert "theirs (reference)" in (output / "curves.svg").read_text(encoding="utf-8")
    report = (output / "report.html").read_text(encoding="utf-8")
    assert "<td>theirs</td><td>train/loss</td><td>2–4</td><td>0.3</td><td>ratio=0.25</td>" in report


@pytest.mark.usefixtures("undrawn")
def test_the_command_accepts_references_of_any_metric(runs, capsys):
    path = runs / "curves.csv"
    path.write_text("epoch,theirs\n1,10\n8,90\n")
    command = ["compare", str(runs), "--reference", str(path), "--output", str(runs / "out")]
    assert main([*command, "--reference-metric", "val/bleu", "--metric", "train/loss"]) == 0
    assert scalars(runs / "out" / "tb" / "reference" / "theirs #2", "val/bleu") == {1: 10, 8: 90}
    assert "val/bleu" in capsys.readouterr().out
    assert main(["compare", str(command[1]), "--reference-metric", "val/bleu"]) == 1
    assert "of the curves of --reference FILE, which is not given" in capsys.readouterr().err
    assert main([*command, "--reference-metric", "val/blue"]) == 1
    assert (
        "--reference-metric val/blue: no run measured it; did you mean val/bleu?" in capsys.readouterr().err
    )
    assert main(["compare", str(runs), "--reference", str(runs)]) == 1
    assert "cannot be read" in capsys.readouterr().err
