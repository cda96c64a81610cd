"""Lists of runs: filters, JSON, CSV; removing, noting and tagging runs, and training again what failed."""

import csv
import fcntl
import io
import json
import math
import re
import shutil
from pathlib import Path

import pytest

import tiny
from fake_runs import config, curves, write_run, write_sweep
from seq2seq_lab.commands import main as cli
from seq2seq_lab.commands import runs as command
from seq2seq_lab.compare.frame import load_runs
from seq2seq_lab.compare.listing import as_csv
from seq2seq_lab.errors import UserError
from seq2seq_lab.launch import notify
from seq2seq_lab.launch.job import TaskFunction
from seq2seq_lab.runs import filters
from seq2seq_lab.runs.annotations import read_annotations
from seq2seq_lab.runs.run import Run
from seq2seq_lab.runs.select import select
from seq2seq_lab.training import train as training
from seq2seq_lab.training.callbacks.interruption import TimeOver

SCHEMA = json.loads((Path(__file__).parents[1] / "docs" / "runs.schema.json").read_text())
ODD = ("a name, with spaces", "한국어 실험", "x,lr=0.1", "b[1]", "long " * 20)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Two models, two ratios, two seeds; a failed run; and one for each odd name, with another batch size."""
    root = write_sweep(tmp_path_factory.mktemp("runs"), ratios=[0.25, 0.5], seeds=[0, 1])
    write_run(root / "failed" / "seed-0", config(ratio=0.75), status="failed", rows=[])
    for name in ODD:
        settings = config(ratio=1.0)
        settings["loader"]["batch_size"] = 64
        settings["name"] = name
        write_run(root / name / "seed-0", settings)
    return root


@pytest.fixture
def own(sweep, tmp_path, monkeypatch):
    """A copy of the runs that a test may change, in the folder `outputs` of the working folder."""
    shutil.copytree(sweep, tmp_path / "outputs")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "outputs"


def names(root, *given):
    return [run.name for run in select([root, *given]).runs]


def last(folder, metric):
    with (folder / "metrics.csv").open() as file:
        return float([*csv.DictReader(file)][-1][metric])


@pytest.mark.parametrize(
    ("given", "pattern"),
    [
        (["model=attention"], "attention-.*"),
        (["model!=attention", "batch_size=32"], "(seq2seq-|failed).*"),
        (["ratio=0.50"], ".*-0.5/.*"),
        (["ratio=0.?", "seed!=1*"], ".*-0.5/seed-0"),
        (["forcing.ratio=0.25,0.5"], ".*-mixed-.*"),
        (["ratio>0.25", "ratio<=0.5"], ".*-0.5/.*"),
        (["seed=1"], ".*/seed-1"),
        (["status=failed"], "failed/seed-0"),
        (["status=fail*"], "failed/seed-0"),
        (["predict_sos=false", "lr=1e-2", "epochs=0"], "failed/seed-0"),
        (["name=*한국어*"], "한국어.*"),
        (["name=*, with*"], "a name.*"),
        (["name=x\\,lr=0.1/seed-0"], "x,lr.*"),
        (["name=b[1]/seed-0"], r"b\[1.*"),
        ([" batch_size >= 64 "], f"({'|'.join(map(re.escape, ODD))})/seed-0"),
    ],
)
def test_filters_choose_what_they_say(sweep, given, pattern):
    every = names(sweep)
    assert names(sweep, *given) == [name for name in every if re.fullmatch(pattern, name)] != []


def test_metrics_are_compared_by_their_last_value_and_by_their_best(sweep):
    values = {run.name: run.last("val/bleu") for run in select([sweep]).every}
    middle = sorted(value for value in values.values() if value is not None)[4]
    above = [name for name, value in values.items() if value is not None and value > middle]
    assert names(sweep, f"val/bleu>{middle}") == above != []
    best = [
        each.name for each in select([sweep]).every if (each.best("val/bleu", "higher") or (0,))[0] > middle
    ]
    assert names(sweep, f"best val/bleu>{middle}") == best


def test_a_folder_that_exists_is_a_path_whatever_is_in_its_name(sweep, monkeypatch):
    monkeypatch.chdir(sweep)
    assert names("x,lr=0.1") == ["seed-0"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("modell=attention", "modell=attention: no run has modell; did you mean model"),
        ("val/blue>3", "val/blue>3: no run has val/blue, and there is no such folder; did you mean val/bleu"),
        ("val/bleu>high", "val/bleu>high: 'high' is not a number"),
        ("nothing", "nothing: there is no such folder; give .* filters"),
    ],
)
def test_a_wrong_filter_ends_in_a_line(sweep, capsys, given, message):
    for name in ("runs", "compare"):
        assert cli.main([name, str(sweep), given]) == 1
        assert re.match(message, capsys.readouterr().err)


def test_the_same_filters_choose_for_compare_and_in_python(own, capsys):
    assert (
        cli.main(["compare", "model=attention", "ratio=0.5", "--metric", "val/bleu", "--format", "csv"]) == 0
    )
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert row["group"] == "all runs"
    assert [path.name for path in own.glob("comparison~*")], "not the folder of all runs' comparison"
    assert set(load_runs([str(own), "model=attention"])["seed"]) == {0, 1}


def test_json_is_as_the_schema_says_also_of_runs_that_are_damaged(own, capsys):
    jsonschema = pytest.importorskip("jsonschema")
    rows = [*curves(config(), 2), {"epoch": 3, "train/loss": math.nan}]
    write_run(own / "nan" / "seed-0", config(ratio=0.9), rows=rows)
    broken = {
        "config.yaml": "{{",
        "summary.json": '{"status": 3, "seconds": "x", "stopped": []}',
        "metrics.csv": "a",
    }
    for number, (name, text) in enumerate(broken.items()):
        write_run(own / "broken" / f"seed-{number}", config(seed=number, ratio=0.8))
        (own / "broken" / f"seed-{number}" / name).write_text(text)
    settings = config(seed=9, ratio=0.8) | {"monitor": "x", "trainer": None}
    write_run(own / "broken" / "seed-9", settings, rows=[])
    assert cli.main(["runs", "--json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(name))
    jsonschema.validate(found, SCHEMA)
    assert len(found["runs"]) == len(list(own.rglob("config.yaml"))) - 1
    assert [note for note in found["notes"] if "broken/seed-0: config.yaml" in note]
    by_name = {run["name"]: run for run in found["runs"]}
    assert by_name["nan/seed-0"]["last"]["train/loss"] is None
    one = by_name["attention-mixed-0.5/seed-1"]
    assert one["value"] == last(own / one["name"], one["metric"])
    assert (one["settings"]["ratio"], one["choices"]["model"]) == (0.5, "attention")
    assert cli.main(["runs", "status=interrupted", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"] == []
    assert cli.main(["runs"]) == 0, "the table too"


def test_csv_has_a_row_a_run_and_no_formula(own, capsys):
    assert cli.main(["runs", "note", "=1+1", "status=failed"]) == 0
    capsys.readouterr()
    assert cli.main(["runs", "--csv", "--sort", "val/bleu"]) == 0
    rows = [*csv.DictReader(io.StringIO(capsys.readouterr().out))]
    assert len(rows) == len(names(own))
    values = [float(row["last val/bleu"]) for row in rows[:-1]]
    assert values == sorted(values, reverse=True), "the best first"
    assert rows[-1]["status"] == "failed", "without a value"
    assert rows[-1]["note"] == "'=1+1"


@pytest.mark.parametrize("more", [[], ["--reverse"]])
@pytest.mark.parametrize("metric", ["val/bleu", "val/loss_forced"])
def test_a_run_that_diverged_is_never_the_first_of_a_list(tmp_path, capsys, metric, more):
    for seed, value in enumerate((math.nan, 1.0, math.nan, 2.0)):
        write_run(tmp_path / f"seed-{seed}", config(seed=seed), rows=[{"epoch": 1, metric: value}])
    assert cli.main(["runs", str(tmp_path), "--sort", metric, "--columns", metric, *more]) == 0
    values = [row.split()[0] for row in capsys.readouterr().out.splitlines()[1:5]]
    best_first = ["2", "1"] if (metric == "val/bleu") != bool(more) else ["1", "2"]
    assert values == [*best_first, "nan", "nan"]


def test_a_list_has_the_columns_and_the_order_that_are_asked_for(own, capsys):
    given = ["model=attention", "--columns", "model, ratio,val/bleu", "--sort", "train/loss", "--reverse"]
    assert cli.main(["runs", *given]) == 0
    head, *rows = capsys.readouterr().out.split("\n\n")[0].splitlines()
    assert head.split() == ["model", "ratio", "val/bleu", "run"]
    paths = [own.parent / row.split()[-1] for row in rows]
    losses = [last(path, "train/loss") for path in paths]
    assert losses == sorted(losses, reverse=True)
    assert len(losses) == 4
    assert cli.main(["runs", "--columns", "nothing"]) == 1
    assert "--columns nothing: no run has nothing" in capsys.readouterr().err
    for option in ("--columns", "--sort"):
        assert cli.main(["runs", option, ""]) == 1
        assert f"{option}: a key is empty" in capsys.readouterr().err
    assert cli.main(["runs", "--reverse"]) == 1
    assert "--reverse: it reverses the order of --sort KEY" in capsys.readouterr().err


def test_rm_removes_what_is_chosen_and_nothing_else(own, capsys, monkeypatch):
    before = set(names(own))
    assert cli.main(["runs", "rm", "ratio=0.5"]) == 1, "nobody can be asked"
    assert "give --yes" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: "n")
    assert cli.main(["runs", "rm", "ratio=0.5"]) == 1
    assert set(names(own)) == before
    monkeypatch.setattr("builtins.input", lambda question: "y")
    assert cli.main(["runs", "rm", "ratio=0.5"]) == 0
    assert before - set(names(own)) == {name for name in before if "-0.5/" in name}
    assert not (own / "attention-mixed-0.5").exists(), "an empty folder"
    assert own.exists()
    assert not [path for path in own.rglob("*") if path.name.endswith(".removed")]


def test_rm_leaves_a_run_that_is_being_trained(own, capsys):
    folder = own / "attention-mixed-0.5" / "seed-0"
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert cli.main(["runs", "rm", "--yes", str(folder.parent)]) == 1
    assert names(folder.parent) == ["seed-0"]
    assert "seed-0: it is being trained, and stays" in capsys.readouterr().err


@pytest.mark.parametrize("how", ["without a summary", "behind a link"])
def test_rm_leaves_what_may_be_no_run_of_this_folder(own, tmp_path, how):
    folder = own / "failed" / "seed-0"
    if how == "without a summary":
        (folder / "summary.json").unlink()
    else:
        shutil.move(folder, tmp_path / "elsewhere")
        folder.symlink_to(tmp_path / "elsewhere")
    assert cli.main(["runs", "rm", "--yes", "outputs/failed"]) == 1
    assert (folder / "config.yaml").exists()


def test_a_note_that_could_not_be_read_again_is_refused(own, capsys):
    run = str(own / "attention-mixed-0.5" / "seed-0")
    assert cli.main(["runs", "note", "short", run]) == 0
    assert cli.main(["runs", "note", "n" * 70_000, run]) == 1
    assert "may have 65,536 bytes, these have 70,0" in capsys.readouterr().err
    assert cli.main(["runs", "note", "\udcff", run]) == 1
    assert capsys.readouterr().err == "'\\udcff': the note is not UTF-8\n"
    assert cli.main(["runs", "tag", "good", run]) == 0
    assert load_runs(str(own)).loc["attention-mixed-0.5/seed-0", "note"] == "short"


def test_rm_of_an_unset_variable_removes_nothing(own, capsys):
    """As a path, an empty text is the working folder."""
    before = names(own)
    for given in (["rm", "--yes"], ["retry"], ["note", "a note"], ["tag", "a"]):
        assert cli.main(["runs", *given, ""]) == 1
        assert "an argument is empty" in capsys.readouterr().err
    assert names(own) == before


@pytest.mark.parametrize("to", ["attention-mixed-0.5/seed-0", "."])
def test_rm_removes_nothing_through_a_link_that_is_given(own, tmp_path, monkeypatch, capsys, to):
    (tmp_path / "link").symlink_to((own / to).resolve())
    before = names(own)
    assert cli.main(["runs", "rm", "--yes", str(tmp_path / "link")]) == 1
    assert "leads through a link; give" in capsys.readouterr().err
    monkeypatch.setenv("SEQ2SEQ_LAB_OUTPUTS", str(tmp_path / "link"))
    assert cli.main(["runs", "rm", "--yes", "seed=0"]) == 1
    assert names(own) == before


def test_notes_and_tags_are_kept_beside_the_run_and_are_no_part_of_it(own, capsys):
    run = own / "attention-mixed-0.5" / "seed-0"
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    assert cli.main(["runs", "tag", "good one,논문", "model=attention"]) == 0
    assert cli.main(["runs", "note", "a late start", "tag=논문", "ratio=0.5", "seed=0"]) == 0
    capsys.readouterr()
    assert cli.main(["runs", "tag=good one"]) == 0
    text = capsys.readouterr().out
    assert text.count("good one, 논문") == 4
    assert text.count("a late start") == 1
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.name in before} == before
    assert Run(run).difference(config(model="attention", ratio=0.5)) is None
    frame = load_runs(str(own))
    assert frame.loc["attention-mixed-0.5/seed-0", "note"] == "a late start"
    assert cli.main(["runs", "tag", "--remove", "good one,논문", "outputs"]) == 0
    assert cli.main(["runs", "note", "", "outputs"]) == 0
    assert {path.name for path in run.iterdir()} == set(before)
    assert cli.main(["runs", "note", str(run), str(own)]) == 1
    assert "the note comes first" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["[]", "{", '{"note": [], "tags": 3}', '{"tags": [{"a": 1}]}', "\x00"])
def test_damaged_annotations_break_nothing(own, text):
    (own / "failed" / "seed-0" / "annotations.json").write_text(text)
    assert read_annotations(own / "failed" / "seed-0").note in ("", "[]")
    assert cli.main(["runs", "status=failed"]) == 0


def test_compare_and_its_report_show_notes_and_tags(own, capsys):
    assert cli.main(["runs", "tag", "논문", "seed=0", "model=attention"]) == 0
    assert cli.main(["runs", "note", "<b>late</b>", "model=attention", "ratio=0.5", "seed=1"]) == 0
    assert cli.main(["compare", "model=attention", "--metric", "val/bleu", "--output", "out"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "attention-mixed-0.5/seed-1: <b>late</b>" in shown
    report = (own.parent / "out" / "report.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;late&lt;/b&gt;" in report
    assert "논문" in report
    rows = [*csv.DictReader((own.parent / "out" / "results.csv").open())]
    assert [row["tags"] for row in rows] == ["논문", "", "논문", ""]


def test_a_watched_list_goes_on_while_runs_are_removed(own, capsys, monkeypatch):
    looks = []

    def later(seconds):
        looks.append(capsys.readouterr().out)
        if len(looks) == 1:
            shutil.rmtree(own / "failed")
        elif len(looks) == 2:
            shutil.rmtree(own)
        elif len(looks) == 3:
            write_run(own / "new" / "seed-0", config())
        else:
            raise KeyboardInterrupt

    monkeypatch.setattr(command, "sleep", later)
    assert cli.main(["runs", "--watch"]) == 130
    assert ["failed/seed-0" in look for look in looks] == [True, False, False, False]
    assert "there is no such folder" in looks[2]
    assert "outputs/new/seed-0" in looks[3]


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_columns_are_those_of_the_table(form, capsys):
    assert cli.main(["runs", form, "--columns", "status"]) == 1
    assert "--columns: those of the table; --json and --csv have all" in capsys.readouterr().err


def test_a_run_that_goes_while_it_is_read_breaks_no_list(own, monkeypatch):
    before = command.activity

    def gone(run):
        shutil.rmtree(run.folder, ignore_errors=True)
        return before(run)

    monkeypatch.setattr(command, "activity", gone)
    assert cli.main(["runs"]) == 0
    assert not names_or_none(own)


def names_or_none(root):
    try:
        return names(root)
    except UserError:
        return []


def test_a_running_run_shows_its_speed_and_the_time_to_go(own, capsys):
    folder = own / "failed" / "seed-0"
    write_run(folder, config(ratio=0.75), status="running", rows=curves(config(), 2))
    summary = json.loads((folder / "summary.json").read_text()) | {"seconds": 240.0}
    (folder / "summary.json").write_text(json.dumps(summary))
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert cli.main(["runs", "status=running"]) == 0
    line = capsys.readouterr().out.splitlines()[2]
    assert "2/8    120 s/epoch  12 min" in line
    assert cli.main(["runs", "status=killed"]) == 0
    assert "120 s/epoch  12 min" not in capsys.readouterr().out


def test_a_status_that_there_is_not_is_said(sweep):
    for sign in ("=", "!="):
        with pytest.raises(UserError, match=r"no such status; there are running, finished, interrupted"):
            select([sweep, f"status{sign}fnished"])
    assert names(sweep, "status=running") == [], "there is such a status, and no such run"


def test_two_signs_of_equality_are_one(sweep):
    assert names(sweep, "model==attention", "seed==1") == names(sweep, "model=attention", "seed=1") != []


def test_csv_of_no_run_has_the_columns_of_every_run(sweep):
    some, none = (
        [*csv.reader(io.StringIO(as_csv(select([sweep, f"status={each}"]))))]
        for each in ("finished", "running")
    )
    assert none == [some[0][: len(none[0])]]


def test_a_column_of_names_has_one_for_each_run(sweep, capsys):
    assert cli.main(["runs", str(sweep), "status=failed", "--columns", "name,status"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["failed/seed-0", "failed"]


def test_only_runs_whose_tags_change_are_counted(own, capsys):
    for tags, said in (
        (["a"], "tagged a: 1 run\n"),
        (["a"], "tagged a: 0 runs; 1 run as before\n"),
        (["--remove", "b"], "no longer tagged b: 0 runs; 1 run as before\n"),
    ):
        assert cli.main(["runs", "tag", *tags, "status=failed"]) == 0
        assert capsys.readouterr().out == said


def test_retry_takes_settings_that_leave_it_the_same_run(tmp_path, capsys):
    outputs = tmp_path / "outputs"
    folder = tiny.train(outputs, "trainer.max_epochs=1")
    Run(folder).write_summary(status="failed")
    assert cli.main(["runs", "retry", str(outputs), "--set", "model.hidden_size=7"]) == 1
    (refused,) = capsys.readouterr().err.splitlines()
    assert "model.hidden_size: that is another run, which `train --config " in refused
    assert Run(folder).status == "failed"
    assert cli.main(["runs", "retry", str(outputs), "--set", "compare=true", "--set", "fresh=true"]) == 0
    assert tiny.folders(outputs) == [folder]
    assert Run(folder).status == "finished"
    assert Run(folder).config()["compare"] is True
    assert cli.main(["runs", "retry", str(outputs), "trainer.max_epochs=7"]) == 1
    assert capsys.readouterr().err.endswith(
        "KEY=VALUE is a filter here, and --set KEY=VALUE changes a setting\n"
    )


def test_retry_trains_what_failed_in_its_folder_and_nothing_else(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("SEQ2SEQ_LAB_NOTIFY", "true")
    told = []
    monkeypatch.setattr(notify, "_call", lambda command, contents: told.append((command, contents)))
    outputs = tmp_path / "outputs"
    done = tiny.train(outputs, "trainer.max_epochs=1", "seed=1")
    lost = tiny.train(outputs, "trainer.max_epochs=1")
    for folder, status in ((lost, "failed"), (done, "finished")):
        run = Run(folder)
        run.write_summary(status=status)
        (folder / "mark").write_text(str((folder / "metrics.csv").stat().st_mtime_ns))
    assert cli.main(["runs", "retry"]) == 0
    assert [Run(each).status for each in (lost, done)] == ["finished", "finished"]
    assert "1 of 1 runs are trained; 0 failed again" in capsys.readouterr().out
    assert (done / "mark").read_text() == str((done / "metrics.csv").stat().st_mtime_ns)
    assert cli.main(["runs", "retry"]) == 0
    assert "none of 2 runs failed" in capsys.readouterr().out
    Run(lost).write_summary(status="failed")
    text = (lost / "config.yaml").read_text()
    (lost / "config.yaml").write_text(text.replace("ToyCorpus", "NoCorpus"))
    Run(lost).write_summary(config_sha256=None)
    assert cli.main(["runs", "retry", "status=failed"]) == 1
    captured = capsys.readouterr()
    assert "NoCorpus" in captured.err
    assert "1 failed again" in captured.out
    assert [command for command, _ in told] == ["true", "true"], "once for all runs of a command"
    assert [contents["status"] for _, contents in told] == ["finished", "failed"]
    assert [[run["path"] for run in contents["runs"]] for _, contents in told] == [[str(lost)]] * 2


def test_retry_goes_on_where_the_code_of_a_run_has_a_bug(tmp_path, capsys, monkeypatch):
    outputs = tmp_path / "outputs"
    folders = [tiny.train(outputs, "trainer.max_epochs=1", f"seed={seed}") for seed in (0, 1)]
    for folder in folders:
        Run(folder).write_summary(status="failed")

    def run(self, spec, *how, run=TaskFunction.run):
        if spec.config["seed"] == 0:
            raise RuntimeError("a bug")
        return run(self, spec, *how)

    monkeypatch.setattr(TaskFunction, "run", run)
    with pytest.raises(RuntimeError, match="a bug"):
        cli.main(["runs", "retry", str(outputs)])
    out, err = capsys.readouterr()
    assert "1 of 2 runs are trained; 1 failed again" in out
    assert f"{folders[0]}: RuntimeError: a bug" in err
    assert [Run(folder).status for folder in folders] == ["failed", "finished"]


def test_retry_counts_runs_whose_time_is_over_again_apart(tmp_path, capsys, monkeypatch):
    Run(tiny.train(tmp_path, "trainer.max_epochs=1")).write_summary(status="failed")

    def over(*_):
        raise TimeOver

    monkeypatch.setattr(training, "_fit", over)
    assert cli.main(["runs", "retry", str(tmp_path)]) == 0
    assert "0 of 1 runs are trained; 0 failed again; 1 stopped before" in capsys.readouterr().out


@pytest.mark.parametrize("place", ["output_dir=there", "name=b"])
def test_retry_trains_nowhere_else(tmp_path, capsys, place):
    folder = tiny.train(tmp_path / "outputs", "trainer.max_epochs=1")
    Run(folder).write_summary(status="failed")
    assert cli.main(["runs", "retry", "--set", place]) == 1
    (refused,) = capsys.readouterr().err.splitlines()
    assert refused.startswith(
        f"--set {place}: a run is trained again in its folder; `train --config RUN {place}`"
    )
    assert Run(folder).status == "failed"


def test_several_filters_in_one_text_are_told_apart():
    found = filters.parse_several("model=attention, name=a, b, ratio>0.5")
    assert [str(each) for each in found] == ["model=attention", "name=a, b", "ratio>0.5"]
    with pytest.raises(UserError, match="no filter"):
        filters.parse_several("attention")
