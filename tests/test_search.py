"""A search: Optuna chooses values, and each trial is one or several ordinary runs."""

import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest
from omegaconf import OmegaConf

import tiny
from seq2seq_lab.commands import main as cli
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs.lock import this_process
from seq2seq_lab.runs.place import RunSpec
from seq2seq_lab.runs.run import Run

optuna = pytest.importorskip("optuna")
from hydra.core.override_parser.overrides_parser import OverridesParser  # noqa: E402

from seq2seq_lab.launch import isolate, job  # noqa: E402
from seq2seq_lab.launch.register import FAILED, Register  # noqa: E402
from seq2seq_lab.launch.search import Search  # noqa: E402
from seq2seq_lab.launch.space import parsed_space, written  # noqa: E402
from seq2seq_lab.launch.study import Pruning, storage_of  # noqa: E402

SEARCH = (
    *("train", "-m", *tiny.SETTINGS, *tiny.LEAN, "hydra/sweeper=optuna", "name=s"),
    "monitor.metric=val/loss_forced",
    "monitor.mode=min",
    "optimizer.lr=tag(log,interval(0.01,1))",
)


def search(*overrides, trials):
    return cli.main([*SEARCH, *overrides, f"hydra.sweeper.n_trials={trials}"])


def space(*overrides):
    return parsed_space(OverridesParser.create().parse_overrides(list(overrides)))


def test_what_is_searched_over_is_written_in_hydras_grammar():
    numbers = ("a=interval(0.1,1)", "b=tag(log,int(interval(1,8)))", "c=range(1,8,2)")
    fixed, found = space(*numbers, "d=x,2", "e=3", "f=1,2", "f=4")
    assert fixed == ["e=3", "f=4"]
    kinds = {key: each.distribution for key, each in found.items()}
    assert kinds["a"] == optuna.distributions.FloatDistribution(0.1, 1)
    assert kinds["b"] == optuna.distributions.IntDistribution(1, 8, log=True)
    assert kinds["c"] == optuna.distributions.IntDistribution(1, 7, step=2)
    assert kinds["d"] == optuna.distributions.CategoricalDistribution(["x", "2"])
    assert [written(each) for each in (0.123456, 3, "x", 1e-7)] == ["0.1235", "3", "x", "1e-07"]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("hydra.sweeper.n_trials=0", "n_trials=0: it must be a whole number, at least 1"),
        ("hydra.sweeper.n_jobs=0", "n_jobs=0: it must be a whole number, at least 1"),
        ("hydra.sweeper.seeds=3", "seeds=3: it must be a list of different seeds"),
        ("hydra.sweeper.seeds=[1,1]", "seeds=[1, 1]: it must be a list of different seeds"),
    ],
)
def test_a_number_that_no_search_has_is_refused(outputs, capsys, setting, said):
    assert cli.main([*SEARCH, setting]) == 1
    assert capsys.readouterr().err.startswith(f"hydra.sweeper.{said}")
    assert not outputs.exists() or not list(outputs.rglob("*.optuna"))


def test_a_seed_beside_those_of_each_trial_is_refused(outputs, capsys):
    assert cli.main([*SEARCH, "hydra.sweeper.seeds=[0,1]", "seed=7"]) == 1
    assert capsys.readouterr().err.startswith("seed=7: hydra.sweeper.seeds has the seeds of each trial")
    assert not tiny.folders(outputs)


@pytest.mark.parametrize("given", [("--zip", "seed,threads"), ("--sweep", "seed=1")])
def test_sweeps_in_step_or_joined_are_no_search(outputs, capsys, given):
    assert cli.main([*SEARCH, *given]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{given[0].removeprefix('--')}: a search chooses each value itself")


def test_a_study_of_another_search_is_refused_before_anything_is_trained(outputs, tmp_path, capsys):
    storage = str(tmp_path / "study")
    study = optuna.create_study(study_name="mine", storage=storage_of(storage), direction="minimize")
    drawn = {
        "params": {"threads": 1},
        "distributions": {"threads": optuna.distributions.IntDistribution(1, 2)},
    }
    study.add_trial(optuna.trial.create_trial(**drawn, value=1.0))
    named = ("hydra.sweeper.study_name=mine", f"hydra.sweeper.storage={storage}")
    assert search(*named, trials=2) == 1
    assert "mine searches over threads; give this search another name" in capsys.readouterr().err
    assert not tiny.folders(outputs)


def test_a_study_of_other_settings_is_refused(outputs, tmp_path, capsys):
    """Also where the command is the same, and a file of it has changed; other numbers of trials go on."""
    option = tmp_path / "conf" / "experiment" / "mine.yaml"
    option.parent.mkdir(parents=True)
    command = ("--config-dir", str(tmp_path / "conf"), "experiment=mine")
    for seed, status in ((0, 0), (0, 0), (9, 1)):
        option.write_text(f"# @package _global_\n# Mine.\ndata: {{seed: {seed}}}\n", encoding="utf-8")
        assert search(*command, trials=2) == status
    assert "has trials with another data.seed; give this search another name" in capsys.readouterr().err
    named = ("hydra.sweeper.study_name=mine", "hydra.sweeper.seeds=[0]")
    assert search(*named, trials=1) == 0
    for other in ("model.hidden_size=9", "trainer.max_epochs=3", "hydra.sweeper.seeds=[0,1]"):
        assert search(*named, other, trials=2) == 1
        key = other.partition("=")[0].removeprefix("hydra.sweeper.")
        assert f"mine has trials with another {key}" in capsys.readouterr().err
    assert len(tiny.folders(outputs)) == 2  # the first trials of both have the same values


def test_a_search_without_a_result_may_be_repeated_with_other_settings(outputs, capsys):
    """What was mended is not held against it; nor what a searched key brings with it, nor an item of a list."""
    named = ("hydra.sweeper.study_name=mine",)
    assert search(*named, "objective=r_drop", "model.dropout=0.0", trials=1) == 1
    assert search(*named, "objective=r_drop", "model.dropout=0.1", trials=2) == 0
    other = ("hydra.sweeper.study_name=other", "lr_schedule=cosine")
    assert search(*other, "trainer.max_epochs=range(1,3)", trials=1) == 0
    assert search(*other, "trainer.max_epochs=range(2,4)", trials=2) == 0
    listed = ("hydra.sweeper.study_name=list", "optimizer=adam")
    assert search(*listed, "+optimizer.betas=[0.9,0.99]", "optimizer.betas.0=0.8,0.9", trials=1) == 0


def test_a_study_goes_on_and_says_its_best_trial(outputs, capsys):
    assert search(trials=2) == 0
    before = tiny.folders(outputs)
    assert len(before) == 2
    capsys.readouterr()
    assert search(trials=4) == 0
    out = capsys.readouterr().out
    assert "a search of 4 trials, 2 of them ended" in out
    assert out.count("training ") == 2, "the trials of before are not trained again"
    runs = [Run(folder) for folder in tiny.folders(outputs)]
    assert len(runs) == 4, "a study that goes on draws other values"
    best = min(runs, key=lambda run: run.best("val/loss_forced", "lower"))
    last = out[out.index("the best of 4 trials") :]
    assert str(best.folder) in last
    assert f"val/loss_forced {best.best('val/loss_forced', 'lower')[0]:.4g} " in last
    assert "partly the luckiest" in last
    assert search(trials=4) == 0
    assert "training " not in capsys.readouterr().out


def test_a_search_that_has_trials_is_not_begun_anew(outputs, capsys):
    assert search("trainer.max_epochs=1", trials=1) == 0
    capsys.readouterr()
    assert search("trainer.max_epochs=1", "fresh=true", trials=1) == 1
    assert "has trials, which stay; leave it out to go on" in capsys.readouterr().err
    assert search("trainer.max_epochs=1", "fresh=true", "hydra.sweeper.study_name=again", trials=1) == 0


def test_trials_that_another_machine_may_train_are_named(outputs, capsys, monkeypatch):
    """A container has another host name each time."""
    assert search("trainer.max_epochs=1", trials=1) == 0
    (storage,) = outputs.rglob("*.optuna")
    study = optuna.load_study(study_name=None, storage=storage_of(str(storage)))
    trial = study.ask(study.trials[0].distributions)
    trial.set_user_attr("process", {**this_process(), "host": "elsewhere"})
    capsys.readouterr()
    assert search("trainer.max_epochs=1", trials=2) == 0
    assert "may be alive, here or on another machine, are left to them: 1" in capsys.readouterr().out


def test_a_trial_of_several_seeds_has_their_mean(outputs, capsys):
    assert search("hydra.sweeper.seeds=[3,5]", trials=1) == 0
    folders = tiny.folders(outputs)
    assert [folder.name for folder in folders] == ["seed-3", "seed-5"]
    values = [Run(folder).best("val/loss_forced", "lower")[0] for folder in folders]
    said = f"val/loss_forced {sum(values) / 2:.4g}, the mean of {values[0]:.4g}, {values[1]:.4g}"
    assert said in capsys.readouterr().out


def test_a_search_that_is_interrupted_goes_on_with_the_same_trial(outputs, capsys):
    with tiny.interrupted_in_block(3):
        assert search(trials=1) == 130
    (folder,) = tiny.folders(outputs)
    assert Run(folder).summary()["status"] == "interrupted"
    assert search(trials=1) == 0
    assert tiny.folders(outputs) == [folder]
    assert Run(folder).finished
    assert "the best of 1 trial is trial 0" in capsys.readouterr().out


def test_a_trial_that_fails_is_one_of_the_study(outputs, capsys):
    assert search("model.hidden_size=8,-1", "hydra/sweeper/sampler=random", trials=4) == 1
    out, err = capsys.readouterr()
    assert "hidden_size" in err
    assert "the best of" in out
    assert not [
        folder for folder in tiny.folders(outputs) if "hidden_size=-1" in str(folder) and Run(folder).finished
    ]


def test_a_trial_whose_run_has_no_value_is_one_that_failed(outputs, capsys, monkeypatch):
    monkeypatch.setattr(job, "_value", lambda spec: None)
    assert search(trials=1) == 0
    said = "trial 0 failed: its run has no finite value of monitor.metric=val/loss_forced"
    assert said in capsys.readouterr().out
    assert search(trials=1) == 0
    assert "a search of 1 trial, 1 of them ended" in capsys.readouterr().out


def test_a_bug_in_a_run_is_shown_when_the_other_trials_have_ended(outputs, capsys, monkeypatch):
    runs = []

    def run(self, spec, *how, run=job.TaskFunction.run):
        runs.append(spec)
        if len(runs) == 1:
            raise RuntimeError("a bug")
        return run(self, spec, *how)

    monkeypatch.setattr(job.TaskFunction, "run", run)
    with pytest.raises(RuntimeError, match="a bug"):
        search(trials=2)
    assert "the best of 1 trial is trial 1" in capsys.readouterr().out
    assert search(trials=2) == 0
    assert "a search of 2 trials, 2 of them ended" in capsys.readouterr().out
    assert len(runs) == 2, "the same command does not try it again"


@pytest.mark.parametrize(
    "at_once", [("hydra.sweeper.n_jobs=2",), ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")]
)
def test_equal_trials_at_the_same_time_are_one_run(at_once, outputs, capsys, monkeypatch):
    """Both are drawn before one is trained; with joblib, as many as the launcher trains."""
    batches = []

    def train(self, trials, train=Search._train):
        batches.append(len(trials))
        return train(self, trials)

    monkeypatch.setattr(Search, "_train", train)
    assert search(*at_once, "optimizer.lr=choice(0.1)", trials=2) == 0
    assert batches == [2]
    assert "the best of 2 trials" in capsys.readouterr().out
    assert len(tiny.folders(outputs)) == 1


def test_a_trial_that_is_worse_than_others_is_given_up_and_could_go_on(outputs, capsys):
    at_once = ("hydra.sweeper.pruner.n_startup_trials=1", "hydra.sweeper.pruner.n_warmup_steps=0")
    assert search("hydra/sweeper/pruner=median", *at_once, "trainer.max_epochs=4", trials=4) == 0
    out = capsys.readouterr().out
    given_up = re.findall(r"^(.*): given up", out, flags=re.MULTILINE)
    assert given_up, "of four trials one is worse than the median"
    run = Run(Path(given_up[0]))
    assert run.summary()["status"] == "interrupted"
    assert "a search gave it up" in run.summary()["stopped"]
    assert 1 <= run.epochs < 4
    assert f"the best of {4 - len(given_up)} trial" in out
    lr = run.config()["optimizer"]["lr"]
    usual = [each for each in SEARCH if not each.startswith(("hydra", "optimizer", "-m"))]
    assert cli.main([*usual, "trainer.max_epochs=4", f"optimizer.lr={lr}"]) == 0
    assert Run(run.folder).finished, "the same run without a search goes on"


def test_each_epoch_is_reported_from_any_process(tmp_path):
    storage = str(tmp_path / "a.optuna")
    study = optuna.create_study(study_name="a", storage=storage_of(storage), direction="maximize")
    for value in (5.0, 4.0):
        trial = study.ask()
        trial.report(value, 1)
        study.tell(trial, value)
    worse = study.ask()
    node = {"_target_": "optuna.pruners.MedianPruner", "n_startup_trials": 1, "n_warmup_steps": 0}
    decide = Pruning(storage, "a", "val/bleu", node)(worse.number)
    assert not decide({"train/loss": 1.0}, 1), "the metric was not measured in this epoch"
    assert decide({"val/bleu": 1.0}, 1)
    assert study.trials[worse.number].intermediate_values == {1: 1.0}


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["seed=0,1,2"], "seed: it is not searched over"),
        (["optimizer.lr=0.1"], "hydra/sweeper=optuna: nothing to search over"),
        (["hydra.sweeper.direction=maximize"], "hydra.sweeper.direction=maximize: monitor.mode=min"),
        (["optimizer.lr=interval(2,1)"], "optimizer.lr=interval(2,1)"),
        (["hydra.sweeper.storage=nope://x"], "hydra.sweeper.storage: nope://x: "),
        (["optimizer.nope=1"], "optimizer.nope: "),
    ],
)
def test_a_search_that_cannot_be_is_refused_in_a_line(outputs, capsys, overrides, said):
    assert search(*overrides, trials=2) == 1
    err = capsys.readouterr().err
    assert err.startswith(said), err
    assert len(err.splitlines()) <= 2
    assert not tiny.folders(outputs)


def test_a_plan_of_a_search_writes_nothing(outputs, capsys):
    assert cli.main([*SEARCH, "--dry-run"]) == 0
    assert "a new search of 20 trials; nothing was trained or written" in capsys.readouterr().out
    assert not outputs.exists()


def test_a_plan_only_looks_at_a_storage(outputs, tmp_path, capsys):
    for storage in (f"sqlite:///{tmp_path}/s.db", str(tmp_path / "s.optuna")):
        plan = (f"hydra.sweeper.storage={storage}", "hydra.sweeper.study_name=mine", "--dry-run")
        assert search(*plan, trials=3) == 0
        assert "a new search of 3 trials; nothing" in capsys.readouterr().out
        assert not list(tmp_path.glob("s.*"))
        optuna.create_study(study_name="other", storage=storage_of(storage), direction="minimize")
        (file,) = tmp_path.glob("s.*")
        before = file.read_bytes()
        assert search(*plan, trials=3) == 0
        assert "a new search of 3 trials; nothing" in capsys.readouterr().out
        assert file.read_bytes() == before
        optuna.create_study(study_name="mine", storage=storage_of(storage), direction="minimize").ask()
        assert search(*plan, trials=3) == 0
        assert "a search of 3 trials, 0 of them ended" in capsys.readouterr().out
        file.unlink()
    assert not outputs.exists()


def test_without_optuna_its_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert search(trials=1) == 1
    assert "pip install 'seq2seq-lab[optuna]'" in capsys.readouterr().err


@pytest.mark.parametrize(("sweeper", "goes_on"), [("optuna", False), ("seq2seq_lab", True)])
def test_what_goes_on_with_a_killed_run_is_said(monkeypatch, tmp_path, sweeper, goes_on):
    """A sweep goes on with it; a search counts its trial as failed, and draws others."""

    def killed(*_):
        raise isolate.KilledError("its process was killed")

    monkeypatch.setattr(isolate, "in_own_process", killed)
    task = job.TaskFunction("", tmp_path, Register(tmp_path / "sweep"))
    task._sweep_process = 0  # not this process
    hydra = OmegaConf.create(
        {"launcher": {"n_jobs": 2}, "job": {"num": 0}, "runtime": {"choices": {"hydra/sweeper": sweeper}}}
    )
    spec = RunSpec({}, tmp_path / "run")
    with pytest.raises(UserError, match="its process was killed") as told:
        task._in_process(spec, hydra, None)
    assert ("the same command goes on" in str(told.value)) == goes_on


@pytest.mark.parametrize("number", [None, signal.SIGTERM, signal.SIGKILL])
def test_a_job_that_a_stop_finds_before_it_trains_is_interrupted(tmp_path, monkeypatch, number):
    """Its process has just been made, has begun to read the data, or could not even receive the signal."""
    register = Register(tmp_path / "sweep")
    task = job.TaskFunction("", tmp_path, register)
    task._sweep_process = os.getppid()
    hydra = OmegaConf.create({"launcher": {"n_jobs": 2}, "job": {"num": 0}})

    def run(*_):
        register.stop()
        os.kill(os.getpid(), number)
        time.sleep(60)

    monkeypatch.setattr(job.TaskFunction, "run", run)
    if number is None:
        register.stop()
    spec = RunSpec({"trainer": {"devices": 1}}, tmp_path / "run")
    assert task._in_process(spec, hydra, None).result == "interrupted"


def test_a_sweep_that_is_stopped_while_a_job_is_prepared_starts_none(tmp_path, monkeypatch):
    register = Register(tmp_path / "sweep")
    task = job.TaskFunction("", tmp_path, register)
    monkeypatch.setattr(task, "_spec", lambda *_: register.stop())
    hydra = OmegaConf.create({"overrides": {"task": ["seed=1"]}})
    assert task._in_sweep(OmegaConf.create(), hydra) is None
    (entry,) = register.entries()
    assert (entry.result, entry.error) == ("not started", "the sweep was stopped\nseed=1")


def test_a_bug_in_a_job_of_its_own_process_is_said_with_its_traceback(monkeypatch, tmp_path, capfd):
    def run(*_):
        raise RuntimeError("the reason")

    monkeypatch.setattr(job.TaskFunction, "run", run)
    task = job.TaskFunction("", tmp_path, Register(tmp_path / "sweep"))
    task._sweep_process = os.getppid()
    hydra = OmegaConf.create({"launcher": {"n_jobs": 2}, "job": {"num": 0}})
    ended = task._in_process(RunSpec({"trainer": {}}, tmp_path / "run"), hydra, None)
    assert (ended.result, ended.error) == (FAILED, f"{tmp_path / 'run'}: RuntimeError: the reason")
    said = capfd.readouterr().err
    assert "Traceback" in said
    assert "RuntimeError: the reason" in said


def test_one_run_of_an_experiment_that_searches_can_be_planned(tmp_path, outputs, capsys):
    """Its own settings of the search are not those of Hydra's usual sweeper."""
    path = tmp_path / "conf" / "experiment" / "searched.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(
        "# @package _global_\ndefaults:\n  - override /hydra/sweeper: optuna\n  - _self_\n"
        "hydra: {sweeper: {n_trials: 3, params: {optimizer.lr: 'interval(0.1,1)'}}}\n",
        encoding="utf-8",
    )
    chosen = ["--config-dir", str(tmp_path / "conf"), "experiment=searched"]
    assert cli.main(["train", *tiny.SETTINGS, *tiny.LEAN, *chosen, "--dry-run"]) == 0
    assert "1 run: 1 new; nothing was trained or written" in capsys.readouterr().out
    assert not outputs.exists()
