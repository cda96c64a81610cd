"""Runs in Python: one, many, a sweep; and the tutorial."""

import shlex
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

import tiny
from seq2seq_lab import load_run, load_runs, sweep
from seq2seq_lab.commands import main as cli
from seq2seq_lab.commands import runs
from seq2seq_lab.errors import UserError
from seq2seq_lab.launch import notebook
from seq2seq_lab.runs.chosen import find_checkpoint

TUTORIAL = Path(__file__).parents[1] / "docs" / "tutorial.ipynb"
pandas = pytest.importorskip("pandas")


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Two runs of a sweep; the folder of all."""
    folder = tmp_path_factory.mktemp("outputs")
    for ratio in (0.5, 1):
        tiny.train(folder, "model=attention", "forcing=mixed", f"forcing.ratio={ratio}", "split.test=0.2")
    return folder


def test_a_run_translates_as_the_command_does(outputs, capsys):
    folder = tiny.folders(outputs)[0]
    sentences = ["je suis grand .", "elle est la .", "tu es si fort !"]
    for beam in (1, 3):
        cli.main(["translate", str(folder), *sentences, "--beam", str(beam)])
        assert load_run(folder).translate(sentences, beam=beam) == capsys.readouterr().out.splitlines()
    assert load_run(folder).translate("je suis grand .") == load_run(folder).translate(["je suis grand ."])
    assert load_run(folder).translate(["", "je suis grand ."])[0] == ""


@pytest.mark.parametrize("sentences", ["je suis grand .", "unheard", []], ids=str)
@pytest.mark.parametrize("search", [{"beam": -1}, {"beam": 1.5}, {"beam": 5, "length_penalty": 99}], ids=str)
def test_a_search_that_cannot_be_is_refused_whatever_is_translated(outputs, sentences, search):
    with pytest.raises(UserError, match="must be"):
        load_run(tiny.folders(outputs)[0]).translate(sentences, **search)


def test_a_run_has_its_metrics_and_its_attention(outputs):
    run = load_run(tiny.folders(outputs)[0])
    rows = tiny.rows(run.run.folder)
    assert list(run.metrics.index) == [int(row["epoch"]) for row in rows]
    assert run.metrics["train/loss"].tolist() == [float(row["train/loss"]) for row in rows]
    weights = run.attention("je suis grand .")
    assert weights.sum(axis=1).tolist() == pytest.approx([1] * len(weights), abs=1e-3)
    assert (len(weights.columns), weights.columns[-1]) == (5, "<eos>")
    assert run.test["test/bleu"] >= 0


def test_a_sentence_that_is_too_long_for_the_model_is_said_whatever_is_asked_for(tmp_path):
    run = load_run(
        tiny.train(tmp_path, "model=attention", "model.unmasked_positions=8", "trainer.max_epochs=1")
    )
    for ask in (run.translate, run.attention):
        with pytest.raises(UserError, match="unmasked_positions is 8, but a source has 13 positions"):
            ask("je suis " * 6)


def test_the_results_are_those_of_the_checkpoint_that_is_asked_for(tmp_path, capsys):
    rising = (
        "monitor.metric=val/loss_forced",
        "monitor.mode=max",
        "optimizer.lr=0.1",
    )  # so the best is the first
    folder = tiny.train(tmp_path, *rising, "split.test=0.2", "split.validation=0.2", lean=False)
    best = load_run(folder).test["test/loss_forced"]
    assert load_run(folder, checkpoint="last").test == {}
    assert cli.main(["evaluate", str(folder), "--checkpoint", "last", "--analyses", "none"]) == 0
    assert load_run(folder, checkpoint="best").test["test/loss_forced"] == best
    assert load_run(folder, checkpoint="last").test["test/loss_forced"] < best
    with pytest.raises(UserError, match="'lst' is neither best nor last"):
        load_run(folder, checkpoint="lst")


def test_runs_are_a_table_with_what_sets_them_apart(outputs):
    table = load_runs(outputs)
    assert table["ratio"].tolist() == [0.5, 1]
    assert set(table["status"]) == {"finished"}
    assert (table["best train/loss"] <= table["train/loss"]).all()
    assert table["test/bleu"].notna().all()


def test_what_is_no_run_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere is not a run"):
        load_run(tmp_path / "nowhere")


def test_what_a_call_asks_for_and_cannot_have_is_named(tmp_path):
    """Nothing else is done in its place."""
    with pytest.raises(UserError, match=r"^checkpoint: 'Best' is neither best nor last"):
        find_checkpoint(tmp_path, "Best")
    with pytest.raises(UserError, match=r"^output_dir: give it as an argument"):
        sweep({"data": "toy", "output_dir": str(tmp_path)})
    for settings in ("data=toy", ["data=toy"]):
        with pytest.raises(UserError, match=r"^settings: .* is not a dictionary of keys and values, such as"):
            sweep(settings)
    for zipped in (["forcing.ratio", "seed"], "seed", {"seed": [0, 1]}):
        with pytest.raises(UserError, match=r"^zipped: .* is not a list of groups of keys, such as"):
            sweep({"data": "toy"}, zipped=zipped)
    with pytest.raises(UserError, match=r"^jobs: 0 is not a whole number of at least 1"):
        sweep({"data": "toy"}, jobs=0, output_dir=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda run: load_run(3), "path: 3 is not the folder of a run"),
        (lambda run: load_run(""), "path: '' is not the folder of a run"),
        (lambda run: load_run(run, trusted="my_score"), "trusted: 'my_score' is not a list of modules"),
        (lambda run: load_runs(3), "paths: 3 is not a folder, a filter, or a list of them"),
        (lambda run: load_runs([run, None]), "paths: .* is not a folder, a filter, or a list"),
        (lambda run: load_run(run).translate(3), "sentences: 3 is not a text or a list of texts"),
        (lambda run: load_run(run).translate(["a", ["b"]]), "sentences: .* is not a text or a list of texts"),
        (lambda run: load_run(run).translate("a", beam="3"), "beam must be a whole number, got '3'"),
        (lambda run: load_run(run).translate("a", beam=True), "beam must be a whole number, got True"),
        (lambda run: load_run(run).translate("a", length_penalty=None), "the length penalty must be between"),
        (lambda run: load_run(run).attention(["a"]), "sentence: .* is not a text"),
        (lambda run: load_run(run).attention("je suis", head="1"), "head: '1' is not the number of a head"),
        (lambda run: load_run(run).attention("je suis", head=True), "head: True is not the number of a head"),
        (lambda run: sweep(3), "settings: .* is not a dictionary of keys and values"),
        (lambda run: sweep([{"seed": 0}, 3]), "settings: .* is not a dictionary of keys and values"),
        (lambda run: sweep({1: 2}), "settings: .* is not a dictionary of keys and values"),
        (lambda run: sweep({}), "settings: there are none"),
        (lambda run: sweep([]), "settings: there are none"),
        (lambda run: sweep([{}]), "settings: there are none"),
        (lambda run: sweep({"seed": 0}, zipped=[[3]]), "zipped: .* is not a list of groups of keys"),
        (lambda run: sweep({"seed": 0}, jobs="2"), "jobs: '2' is not a whole number of at least 1"),
        (lambda run: sweep({"seed": 0}, jobs=1.5), "jobs: 1.5 is not a whole number of at least 1"),
        (lambda run: sweep({"seed": 0}, jobs=True), "jobs: True is not a whole number of at least 1"),
        (lambda run: sweep({"seed": 0}, output_dir=3), "output_dir: 3 is not a folder"),
        (lambda run: sweep({"seed": 0}, config_dir=["a"]), "config_dir: .* is not a folder"),
        (lambda run: sweep({"name": b"ab"}), "name: b'ab' is not a text, a number, a list or a dictionary"),
        (lambda run: sweep({"name": [object()]}), "name: .* is not a text, a number, a list or a dictionary"),
    ],
)
def test_an_argument_of_another_type_is_named_before_anything_is_done(outputs, monkeypatch, call, said):
    monkeypatch.setattr(notebook, "launch", lambda *args, **how: pytest.fail("it began to train"))
    with pytest.raises(UserError, match=f"^{said}"):
        call(tiny.folders(outputs)[0])


def test_a_sweep_from_python_is_that_of_the_command_line(tmp_path):
    given = (each.partition("=") for each in (*tiny.SETTINGS, *tiny.LEAN) if not each.startswith("~"))
    settings = {key: yaml.safe_load(value) for key, _, value in given}
    settings |= {"~callbacks.translations": None, "~callbacks.best_checkpoint": None}
    removed = {key: settings.pop(key) for key in list(settings) if key.startswith("~")}
    assert removed
    del settings["compare"]
    swept = sweep(
        {**settings, "forcing": "mixed", "forcing.ratio": [0, 1], "seed": range(2)}, output_dir=tmp_path
    )
    assert sorted(zip(swept["ratio"], swept["seed"], strict=True)) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    with pytest.raises(UserError, match="1 of 2 runs cannot be, so nothing was trained:\n  seed=-1: "):
        sweep({**settings, "seed": [0, -1]}, output_dir=tmp_path)
    with pytest.raises(UserError, match="failed"):
        sweep({**settings, "optimizer.lr": [0.01, 1e30]}, output_dir=tmp_path)


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        ({"callbacks": [["default", "early_stopping"]]}, ["callbacks=[default,early_stopping]"]),
        ({"callbacks": ["default", "none"]}, ["callbacks=default,none"]),
        ({"monitor": {"metric": "val/chrf", "mode": "max"}}, ["monitor={metric:val/chrf,mode:max}"]),
        ({"name": "2024"}, ["name='2024'"]),
        ({"name": ["a b, c=1", "한국", "null", "1e3"]}, ["name='a b, c=1','한국','null','1e3'"]),
        ({"seed": range(2), "optimizer.lr": 1e-5}, ["seed=0,1", "optimizer.lr=1e-05"]),
        ({"fresh": True, "init_from": None}, ["fresh=true", "init_from=null"]),
        ({"~callbacks.translations": None}, ["~callbacks.translations"]),
        ({"seed": np.arange(2), "threads": np.array(1)}, ["seed=0,1", "threads=1"]),
        ({"+optimizer.betas": [np.array([0.5, 0.75])]}, ["+optimizer.betas=[0.5,0.75]"]),
    ],
    ids=str,
)
def test_values_from_python_are_passed_as_they_are(monkeypatch, given, passed):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    seen = []
    monkeypatch.setattr(notebook, "launch", lambda overrides, **_: seen.extend(overrides))
    monkeypatch.setattr(notebook, "load_runs", lambda folder: None)
    sweep(given)
    assert seen[: len(passed)] == passed
    for override, value in zip(seen, given.values(), strict=False):
        parsed = OverridesParser.create().parse_override(override)
        if isinstance(value, str | dict):
            assert parsed.value() == value
        elif isinstance(value, list) and len(value) > 1 and "'" in override:
            assert [each.text for each in parsed.sweep_iterator()] == value


def test_a_sweep_from_python_and_its_table_are_of_the_same_folder_as_those_of_the_commands(
    monkeypatch, tmp_path
):
    monkeypatch.setenv("SEQ2SEQ_LAB_OUTPUTS", str(tmp_path / "of all"))
    seen, read = [], []
    monkeypatch.setattr(notebook, "launch", lambda overrides, **_: seen.extend(overrides))
    monkeypatch.setattr(notebook, "load_runs", read.append)
    sweep({"seed": 0})
    assert f"output_dir='{tmp_path / 'of all'}'" in seen
    assert read == [tmp_path / "of all"]
    shutil.copytree(tiny.train(tmp_path / "of all").parents[1], tmp_path / "other")
    assert len(load_runs()) == len(load_runs(tmp_path / "other")) == 1


def test_sweeps_of_several_threads_follow_one_another(monkeypatch):
    """Hydra, `sys.argv` and the variables of the process are for one at a time."""
    within, most = [], []

    def launch(overrides, **how):
        within.append(overrides)
        most.append(len(within))
        threading.Event().wait(0.05)
        within.pop()

    monkeypatch.setattr(notebook, "launch", launch)
    monkeypatch.setattr(notebook, "load_runs", lambda folder: None)
    threads = [threading.Thread(target=sweep, args=({"seed": seed},)) for seed in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert most == [1, 1, 1]


def test_a_list_without_values_is_said_to_be(tmp_path):
    with pytest.raises(UserError, match="seed: an empty list of values"):
        sweep({"seed": []}, output_dir=tmp_path)


def test_sweeps_from_python_are_joined_and_values_taken_in_step(monkeypatch):
    seen = {}
    monkeypatch.setattr(notebook, "launch", lambda overrides, **how: seen.update(how))
    monkeypatch.setattr(notebook, "load_runs", lambda folder: None)
    sweep([{"seed": [0, 1]}, {"model": "attention"}], zipped=[["seed", "threads"]])
    assert seen["sweeps"] == [["seed=0,1"], ["model=attention"]]
    assert seen["zipped"] == ["seed,threads"]


def test_the_list_of_runs(outputs, capsys):
    assert cli.main(["runs", str(outputs)]) == 0
    out = capsys.readouterr().out
    assert out.count("finished  2/2") == 2
    assert "ratio=0.5" in out
    assert "2 runs: 2 finished" in out


@pytest.mark.parametrize("columns", [80, 200])
def test_each_run_of_the_list_has_a_path_to_paste_and_what_sets_it_apart(
    outputs, tmp_path, capsys, monkeypatch, columns
):
    monkeypatch.setenv("COLUMNS", str(columns))
    place = tmp_path / "my runs & more"
    shutil.copytree(outputs, place)
    for folder, given in ((tmp_path, place.name), (place, "."), (tmp_path.parent, str(place))):
        monkeypatch.chdir(folder)
        assert cli.main(["runs", given]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line for line in lines if line.startswith("ratio=")] == ["ratio=0.5", "ratio=1"]
        listed = [shlex.split(line)[-1] for line in lines if line.startswith("  finished")]
        assert [Path(each).resolve() for each in listed] == tiny.folders(place)
        for run in listed:
            assert cli.main(["translate", run, "je suis grand ."]) == 0
            capsys.readouterr()


def test_a_list_that_is_watched_fits_the_terminal(outputs, tmp_path, monkeypatch):
    for name in ("a", "b", "c"):
        shutil.copytree(outputs, tmp_path / name)
    monkeypatch.setenv("COLUMNS", "80")
    now = time.time()  # the ages of all tables are of one moment
    monkeypatch.setattr(runs.time, "time", lambda: now)
    whole = [
        line.split() for line in runs.table([tmp_path]).splitlines()
    ]  # columns fit the rows that are there
    for height in (4, 8, 12):
        lines = runs.table([tmp_path], height=height).partition("\n\n")[0].splitlines()
        rows = sum(-(-len(line) // 80) for line in lines)
        assert len(lines) > 2, "the newest run is shown"
        assert rows <= max(height, 2 + -(-max(map(len, lines)) // 80))
        assert all(line.split() in whole for line in lines)


def test_a_run_that_was_killed_and_one_that_failed_are_said_to_be(tmp_path, capsys):
    folder = tiny.stop(tmp_path, block=7)
    from seq2seq_lab.runs.run import Run

    Run(folder).write_summary(status="running")
    cli.main(["runs", str(tmp_path)])
    assert "1 run: 1 killed" in capsys.readouterr().out
    with Run(folder).lock():
        cli.main(["runs", str(tmp_path)])
        assert "1 run: 1 running" in capsys.readouterr().out
    Run(folder).write_summary(status="failed", stopped="for a reason")
    cli.main(["runs", str(tmp_path)])
    assert "for a reason" in capsys.readouterr().out


def test_workers_of_an_earlier_sweep_have_the_folder_and_the_environment_of_the_later_one(
    tmp_path, monkeypatch
):
    """joblib keeps its workers for the next sweep of a process, such as that of a notebook."""
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    settings = {key: yaml.safe_load(value) for key, value in (each.split("=") for each in tiny.SETTINGS)}
    for name in ("first", "second"):
        (folder := tmp_path / name).mkdir()
        monkeypatch.chdir(folder)
        sweep({**settings, "seed": [0, 1]}, output_dir="here", jobs=2)
        assert len(tiny.folders(folder / "here")) == 2
        monkeypatch.setenv("SEQ2SEQ_LAB_OUTPUTS", str(folder / "there"))
        argv = ["train", "-m", *tiny.SETTINGS, *tiny.LEAN, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
        assert cli.main([*argv, "seed=0,1"]) == 0
        assert len(tiny.folders(folder / "there")) == 2
    assert len(tiny.folders(tmp_path)) == 8


def test_the_tutorial_runs(tmp_path, monkeypatch):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    monkeypatch.setenv("MPLBACKEND", "agg")
    notebook = nbformat.read(TUTORIAL, as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert (tmp_path / "outputs" / "tutorial" / "ratio.pdf").exists()
    assert len(tiny.folders(tmp_path)) == 9
