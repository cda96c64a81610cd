"""The jobs of a sweep: combinations, values in step, joined sweeps; what is planned, refused, and stopped."""

import re

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

import tiny
from seq2seq_lab.commands import main as cli
from seq2seq_lab.config.schema import LONGEST_NAME
from seq2seq_lab.errors import UserError
from seq2seq_lab.launch import sweep
from seq2seq_lab.launch.combine import apart, combined, swept
from seq2seq_lab.launch.launcher import launcher
from seq2seq_lab.launch.register import Register
from seq2seq_lab.runs.run import Run

LITTLE = ("train", *tiny.SETTINGS, *tiny.LEAN, "trainer.max_epochs=1")


def jobs(*arguments, **how):
    return combined(arguments, OverridesParser.create().parse_overrides, **how)


def test_without_more_all_values_are_combined():
    assert jobs("a=1,2", "b=x", "c=3,4") == [
        ["a=1", "b=x", "c=3"],
        ["a=1", "b=x", "c=4"],
        ["a=2", "b=x", "c=3"],
        ["a=2", "b=x", "c=4"],
    ]


def test_values_in_step_are_combined_with_all_others():
    found = jobs("a=1,2", "b=x,y", "c=3,4", zipped=[["a", "c"]])
    assert {frozenset(job) for job in found} == {
        frozenset({f"a={a}", f"b={b}", f"c={c}"}) for a, c in (("1", "3"), ("2", "4")) for b in "xy"
    }
    assert len(found) == 4


def test_spaces_beside_the_commas_of_keys_in_step_mean_nothing():
    assert jobs("a=1,2", "c=3,4", zipped=[["a", " c"]]) == [["a=1", "c=3"], ["a=2", "c=4"]]


def test_joined_sweeps_have_the_common_overrides_and_each_job_once():
    found = jobs("seed=0,1", "f=full", sweeps=[["f=mixed", "f.ratio=0.5,1"], ["f=free"], ["seed=1,2"], []])
    assert len(found) == 4 + 2 + 2 + 1
    assert ["seed=0", "f=mixed", "f.ratio=0.5"] in found
    assert ["seed=1", "f=free"] in found
    assert found.count(["seed=1", "f=full"]) == 1


def test_what_sets_jobs_apart_is_what_has_several_values():
    found = jobs("a=1,2", "b=x", sweeps=[["c=1"], ["c=1", "+d=2"]])
    assert swept(found) == ["a", "d"]
    assert apart(["a=1", "b=x", "+d=2"], ["a", "d"]) == "a=1 +d=2"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("a=1,2", "b=1,2,3"), "zip: a has 2 values, b has 3 values; in step they have equally many"),
        (("a=1,2", "b=1"), "zip: a has 2 values, b has 1 value"),
        (("a=1,2",), "zip: a has 2 values, b has 0 values"),
        (("a=1",), "zip: a and b have no several values"),
    ],
)
def test_keys_in_step_have_equally_many_values(given, said):
    with pytest.raises(UserError, match=said):
        jobs(*given, zipped=[["a", "b"]])


@pytest.mark.parametrize("groups", [[["a", "b"], ["b", "c"]], [["a", "b"], ["a", "b"]], [["b", "b"]]])
def test_a_key_is_in_one_group_of_those_in_step(groups):
    with pytest.raises(UserError, match=r"^zip: [ab] is named twice"):
        jobs("a=1,2", "b=1,2", "c=1,2", zipped=groups)


def test_what_a_flag_sets_apart_from_a_sweep_is_refused(capsys):
    sweeps = ["--sweep", "forcing=free", "seed=0", "--dry-run", "seed=1"]
    with pytest.raises(SystemExit):
        cli.main([*LITTLE, "-m", *sweeps])
    assert "seed=1: after --sweep, but not in it" in capsys.readouterr().err
    assert cli.main([*LITTLE, "-m", *sweeps[:-1], "--sweep", "seed=1"]) == 0


@pytest.mark.parametrize("given", ["output_dir=there", "hydra/launcher=joblib", "+hydra.launcher.n_jobs=2"])
def test_what_holds_for_all_sweeps_is_not_one_sweeps(given, outputs, capsys):
    """Written last, it would be of the last sweep alone, or of none: the launcher is chosen before."""
    with pytest.raises(
        UserError, match=r"^.*: it holds for all sweeps .*; write it before the first --sweep$"
    ):
        jobs("a=1", sweeps=[["b=1"], ["b=2", given]])
    assert cli.main([*LITTLE, "-m", "--sweep", "seed=0", "--sweep", "seed=1", given]) == 1
    assert f"{given}: it holds for all sweeps" in capsys.readouterr().err
    assert not tiny.folders(outputs)


@pytest.mark.parametrize(
    ("flag", "setting"),
    [(("--zip", "seed,threads"), "zip=[[seed,threads]]"), (("--sweep", "seed=0"), "sweeps=[[seed=1]]")],
)
def test_a_flag_does_not_replace_its_key(flag, setting, outputs, capsys):
    assert cli.main([*LITTLE, "-m", "seed=0,1", "threads=1,2", f"hydra.sweeper.{setting}", *flag]) == 1
    key = setting.partition("=")[0]
    assert capsys.readouterr().err == (
        f"hydra.sweeper.{key}: {flag[0]} would replace it; leave one of them out\n"
    )


def test_a_plan_shows_each_run_and_writes_nothing(tmp_path, capsys):
    command = [*LITTLE, "name=a", f"output_dir={tmp_path / 'out'}"]
    assert cli.main([*command, "--dry-run"]) == 0
    assert "1 run: 1 new; nothing was trained or written\nexpected time: unknown" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
    assert cli.main([*command, "seed=0"]) == 0
    before = sorted(tmp_path.rglob("*"))
    capsys.readouterr()
    sweeps = ["--sweep", "optimizer.lr=0.01,0.02", "model.hidden_size=8,9", "--sweep", "forcing=mixed"]
    plan = [*command, "-m", "seed=0,1", "--zip", "optimizer.lr,model.hidden_size", *sweeps, "--dry-run"]
    assert cli.main(plan) == 0
    out = capsys.readouterr().out
    assert "6 runs: 1 finished, 5 new" in out
    assert re.search(r"expected time: about \d+ s for 1 run; unknown for 4 runs of other kinds", out)
    assert str(tmp_path / "out" / "a" / "seed-0") in out
    assert sorted(tmp_path.rglob("*")) == before
    assert cli.main([*command, "seed=0,1", "--dry-run"]) == 1
    assert "seed=0,1: several values; -m sweeps over them" in capsys.readouterr().err


def test_runs_of_one_sweep_have_different_folders_before_any_of_them_is_there(outputs, capsys):
    for alike, how in (
        (["--sweep", "data.seed=1", "--sweep", "split.seed=1"], ["name=a"]),
        (
            ["trainer.max_epochs=1,2", "--sweep", "data.seed=2", "--sweep", "split.seed=2"],
            ["name=a", "seed=3"],
        ),
        (["+trainer.max_time=00:01:00:00,00:02:00:00"], ["seed=4"]),
    ):
        command = [*LITTLE, *how, "-m", *alike]
        before = tiny.folders(outputs)
        assert cli.main([*command, "--dry-run"]) == 0
        planned = re.findall(r"/\S*/seed-\d", capsys.readouterr().out)
        assert len(planned) == len(set(planned)) > 1
        assert cli.main(command) == 0
        assert cli.main(command) == 0, "found again"
        assert {str(each) for each in tiny.folders(outputs) if each not in before} == set(planned)
        assert capsys.readouterr().out.count("already finished") == len(planned)


def test_jobs_that_differ_in_no_part_of_what_a_run_is_are_one_run_and_this_is_said(outputs, capsys):
    why = "this is no part of what a run is"
    for given, runs, said in (
        (["threads=1,2", "seed=0,1"], 2, f"threads=2: no run of its own, but that of threads=1: {why}\n"),
        (["name=a,b"], 1, f"name=b: no run of its own, but that of name=a: {why}\n"),
        (["logger=none,csv"], 1, f"logger=csv: no run of its own, but that of logger=none: {why}\n"),
        (
            ["--sweep", "seed=0", "--sweep", "accelerate=off"],
            1,
            "accelerate=off: no run of its own, but one without",
        ),
        (["--sweep", "forcing=mixed", "--sweep", "forcing=mixed", "forcing.ratio=0.5"], 1, ""),
        ([f"output_dir={outputs}/a,{outputs}/b"], 2, ""),
    ):
        assert cli.main([*LITTLE, "-m", *given, "--dry-run"]) == 0
        out = capsys.readouterr().out
        assert f"\n{runs} run" in out
        assert said in out
        assert ("no part" in out) is bool(said)


def test_an_interpolation_in_a_joined_sweep_is_that_of_each_job(tmp_path, capsys):
    command = [*LITTLE, "-m", "model.hidden_size=8,9", f"output_dir={tmp_path / 'out'}", "--dry-run"]
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "mine.yaml").write_text(
        "# @package _global_\nhydra:\n  sweeper:\n    sweeps: [['model.embedding_size=${model.hidden_size}']]\n",
        encoding="utf-8",
    )
    same = {"embedding_size=8,hidden_size=8", "embedding_size=9,hidden_size=9"}
    for given, parts in (
        (["--sweep", "model.embedding_size=${model.hidden_size}"], same),
        (["experiment=mine", "--config-dir", str(tmp_path / "conf")], same),
        (
            ["--sweep", "forcing=mixed", "forcing.ratio=0.5", "model.dropout=${forcing.ratio}"],
            {"dropout=0.5"},
        ),
    ):
        assert cli.main([*command, *given]) == 0
        plan = capsys.readouterr().out
        assert {each for each in parts if each in plan} == parts
    assert cli.main([*command, "--sweep", "model.dropout=${nope}"]) == 1
    assert capsys.readouterr().err.startswith("model.dropout: Interpolation key 'nope' not found")


def test_an_experiment_file_joins_sweeps_and_takes_values_in_step(tmp_path, capsys):
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "mine.yaml").write_text(
        "# @package _global_\nhydra:\n  sweeper:\n    params: {seed: '0,1', optimizer.lr: '0.1,0.2'}\n"
        "    zip: [seed, optimizer.lr]\n    sweeps:\n      - [forcing=mixed, 'forcing.ratio=0.5,1']\n"
        "      - [forcing=scheduled]\n",
        encoding="utf-8",
    )
    mine = ["-m", "experiment=mine", "--config-dir", str(tmp_path / "conf"), f"output_dir={tmp_path / 'out'}"]
    assert cli.main([*LITTLE, *mine, "--dry-run"]) == 0
    plan = capsys.readouterr().out
    assert "6 runs: 6 new" in plan
    folders = re.findall(r"\S*/mine\S*/seed-\d", plan)
    assert len(set(folders)) == 6, "the name of an experiment shows neither forcing nor ratio"
    assert sum("ratio=0.5" in folder for folder in folders) == 2
    for more in ([], ["hydra/sweeper=optuna"]):
        assert cli.main([*LITTLE, *mine[1:], *more, "--dry-run"]) == 0
        assert "1 run: 1 new" in capsys.readouterr().out, "without -m the file's sweep is not made"


@pytest.fixture
def experiments(tmp_path):
    """Arguments for experiments of one's own that say how to sweep: one does, one searches, others have a launcher."""
    folder = tmp_path / "conf" / "experiment"
    folder.mkdir(parents=True)
    for name, text in (
        ("sweeps", "hydra: {sweeper: {params: {seed: '0,1'}}}\n"),
        (
            "searches",
            "defaults:\n  - override /hydra/sweeper: optuna\n  - _self_\nhydra: {sweeper: {n_trials: 3}}\n",
        ),
        ("launches", "defaults:\n  - override /hydra/launcher: joblib\n"),
        ("sets", "hydra: {launcher: {n_jobs: 2}}\n"),
        ("based", "defaults:\n  - sets\n"),
    ):
        (folder / f"{name}.yaml").write_text(f"# @package _global_\n# Mine.\n{text}", encoding="utf-8")
    return ["--config-dir", str(tmp_path / "conf"), "-m", "--dry-run"]


@pytest.mark.parametrize(
    "given", [["experiment=sweeps,demo/seq2seq_full"], ["--sweep", "experiment=sweeps", "--sweep", "seed=3"]]
)
def test_an_experiment_that_sweeps_is_not_swept_over(experiments, outputs, capsys, given):
    assert cli.main([*LITTLE, *experiments, *given]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("experiment=sweeps: its hydra.sweeper.params would have no effect")
    assert line.endswith("train -m experiment=sweeps")


@pytest.mark.parametrize(
    ("option", "key"),
    [
        ("launches", "hydra/launcher=joblib"),
        ("sets", "hydra.launcher.n_jobs"),
        ("based", "hydra.launcher.n_jobs"),
    ],
)
def test_an_experiment_with_a_launcher_is_not_swept_over(experiments, outputs, capsys, option, key):
    """But where the command has one itself."""
    assert cli.main([*LITTLE, *experiments, f"experiment={option},demo/seq2seq_full"]) == 1
    assert f"experiment={option}: its {key} would have no effect" in capsys.readouterr().err
    if option != "based":
        assert (
            cli.main(
                [*LITTLE, *experiments, f"experiment={option},demo/seq2seq_full", "hydra/launcher=joblib"]
            )
            == 0
        )


def test_an_experiment_may_choose_the_sweeper(experiments, outputs, capsys):
    pytest.importorskip("optuna")
    assert cli.main([*LITTLE, *experiments, "experiment=searches", "optimizer.lr=interval(0.1,1)"]) == 0
    assert "a new search of 3 trials" in capsys.readouterr().out


def test_impossible_runs_are_named_before_the_first_one_is_trained(outputs, capsys):
    assert cli.main([*LITTLE, "-m", "forcing=full,mixed", "forcing.ratio=0.5,1.5"]) == 1
    out, err = capsys.readouterr()
    assert "training" not in out
    first, *rest = err.splitlines()
    assert first == "3 of 4 runs cannot be, so nothing was trained:"
    assert [line.partition(": ")[0] for line in rest] == [
        "  forcing=full forcing.ratio=0.5",
        "  forcing=full forcing.ratio=1.5",
        "  forcing=mixed forcing.ratio=1.5",
    ]
    assert not tiny.folders(outputs)
    assert not list(outputs.rglob("sweep-*"))


@pytest.mark.parametrize("key", ["data.pairs", "loader.batch_size"])
def test_so_are_those_whose_data_or_batches_cannot_be(key, outputs, capsys):
    assert cli.main([*LITTLE, "-m", f"{key}=0,40"]) == 1
    out, err = capsys.readouterr()
    assert "training" not in out
    assert err.splitlines()[0] == "1 of 2 runs cannot be, so nothing was trained:"
    assert f"  {key}=0: {key}" in err
    assert not tiny.folders(outputs)


@pytest.mark.parametrize("values", ["seed=range(0)", "model=glob(zz*)"])
def test_a_plan_of_no_run_is_refused_as_the_sweep_is(values, outputs, capsys):
    for flags in ([], ["--dry-run"]):
        assert cli.main([*LITTLE, "-m", values, *flags]) == 1
        out, err = capsys.readouterr()
        assert (out, err) == ("", f"{values}: no value, so there is nothing to train\n")


def test_a_sweep_stops_after_so_many_failures(outputs, capsys, monkeypatch):
    failing = [*LITTLE, "-m", "optimizer.lr=1e30,0.01,1e35,0.02,0.03"]
    shown = []
    monkeypatch.setattr(sweep, "compare_all", lambda entries: shown.append("compared"))
    monkeypatch.setattr(sweep, "show", lambda entries, show=sweep.show: (shown.append("said"), show(entries)))
    assert cli.main([*failing, "stop_after_failures=2"]) == 1
    assert shown == ["compared", "said"], "the last lines say what failed"
    err = capsys.readouterr().err
    assert "2 failed, 1 finished, 2 not started:" in err
    assert "stop_after_failures=2: no further run was started" in err
    assert cli.main([*failing, "stop_after_failures=3"]) == 1
    assert "2 failed, 3 finished:" in capsys.readouterr().err
    assert len(tiny.folders(outputs)) == 5, "how many failures are allowed is no part of what a run is"


def test_one_run_is_not_said_to_be_several(tmp_path):
    register = Register(tmp_path / "sweep-a", 1)
    assert register.progress() == "0 of 1 run"
    register.expect(2)
    assert register.progress() == "0 of 2 runs"
    assert Register(tmp_path / "sweep-b").progress() == "0 runs"


class TestNames:
    """`name=` is the folder as typed."""

    def test_lines_of_a_run_that_goes_on_name_its_folder(self, outputs, capsys):
        assert cli.main([*LITTLE, "name=a"]) == 0
        assert cli.main([*LITTLE, "name=b", "trainer.max_epochs=2"]) == 0
        lines = [line for line in capsys.readouterr().out.splitlines() if " epoch " in line]
        assert [line.split()[0] for line in lines if "seed-0" in line.split()[0]] == ["a/seed-0"] * 2

    def folders(self, outputs):
        return [folder.relative_to(outputs).as_posix() for folder in tiny.folders(outputs)]

    @pytest.mark.parametrize("name", ["a", "my study/first try", "a,b=1", "한국어 실험", "n" * 200])
    def test_the_folder_is_the_name(self, outputs, name):
        assert cli.main([*LITTLE, f"name={name}", "optimizer.lr=0.02"]) == 0
        assert self.folders(outputs) == [f"{name}/seed-0"]
        assert cli.main([*LITTLE, f"init_from={outputs}/{name}/seed-0", "name=from there"]) == 0
        assert Run(outputs / "from there" / "seed-0").config()["init_from"] == f"{outputs}/{name}/seed-0"

    def test_what_is_swept_over_is_appended_and_nothing_else(self, outputs):
        assert (
            cli.main([*LITTLE, "-m", "name=a", "optimizer.lr=0.02,0.03", "loader.batch_size=2", "seed=3,4"])
            == 0
        )
        assert self.folders(outputs) == [f"a,lr={lr}/seed-{seed}" for lr in (0.02, 0.03) for seed in (3, 4)]

    def test_what_differs_is_appended_where_another_run_has_the_folder(self, outputs):
        for more in (
            [],
            ["optimizer.lr=0.02"],
            ["optimizer.lr=0.02", "seed=1"],
            ["model=attention"],
            ["seed=2"],
        ):
            assert cli.main([*LITTLE, "name=a", *more]) == 0
        assert self.folders(outputs) == [
            "a/seed-0",
            "a/seed-2",
            "a,lr=0.02/seed-0",
            "a,lr=0.02/seed-1",
            "a,model=attention/seed-0",
        ]

    def test_a_run_in_the_folder_of_an_earlier_version_is_found(self, outputs, tmp_path, capsys):
        assert cli.main([*LITTLE, "name=a", "optimizer.lr=0.02"]) == 0
        (folder,) = tiny.folders(outputs)
        earlier = outputs / (
            "a,pairs=40,updates_per_block=8,embedding_size=8,hidden_size=8,lr=0.02,split=source,test=0,toy"
        )
        folder.parent.rename(earlier)
        capsys.readouterr()
        assert cli.main([*LITTLE, "name=a", "optimizer.lr=0.02"]) == 0
        out = capsys.readouterr().out
        assert "already finished" in out, self.folders(outputs)
        assert len(tiny.folders(outputs)) == 1

    def test_the_longest_name_has_room_for_what_is_appended(self, outputs):
        for rates in ("0.01,0.02", "0.03"):
            command = [*LITTLE, "-m", f"name={'n' * LONGEST_NAME}", f"optimizer.lr={rates}"]
            assert cli.main(command) == 0
        assert len(tiny.folders(outputs)) == 3

    @pytest.mark.parametrize("name", [".hidden", "a/../b", "/tmp/a", "한" * 100, ".", "a/.b"])
    def test_a_name_that_is_no_folder_is_refused(self, outputs, name, capsys):
        assert cli.main([*LITTLE, f"name={name}"]) == 1
        assert capsys.readouterr().err.startswith("name: ")
        assert not tiny.folders(outputs)


@pytest.mark.parametrize(
    ("text", "given", "chosen"),
    [
        ("defaults:\n  - override /hydra/launcher: joblib\n  - _self_\n", (), "joblib"),
        ("defaults:\n  - /experiment/base\n  - _self_\n", (), "submitit_slurm"),
        ("defaults:\n  - base\n", (), "submitit_slurm"),
        ("defaults:\n  - /experiment/base\n", ("hydra/launcher=basic",), "basic"),
        ("seed: 1\n", (), None),
    ],
)
def test_the_launcher_of_an_experiment_is_attended(tmp_path, text, given, chosen):
    folder = tmp_path / "conf" / "experiment"
    folder.mkdir(parents=True)
    head = "# @package _global_\n# Mine.\n"
    (folder / "base.yaml").write_text(f"{head}defaults:\n  - override /hydra/launcher: submitit_slurm\n")
    (folder / "mine.yaml").write_text(head + text)
    assert launcher(["seed=0,1", "experiment=mine", *given], [tmp_path / "conf"]) == chosen
