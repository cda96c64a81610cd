"""The command line: its help, its options, its exit status, and the user's own options and classes."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import tiny
from seq2seq_lab import __version__
from seq2seq_lab.commands import main as cli
from seq2seq_lab.config.options import groups, options
from seq2seq_lab.config.schema import GROUPS
from seq2seq_lab.data.sources.toy import ToyCorpus
from seq2seq_lab.runs.run import Run

HEAVY = {
    "torch",
    "pytorch_lightning",
    "hydra",
    "omegaconf",
    "matplotlib",
    "numpy",
    "sacrebleu",
    "tensorboard",
}
STATISTICS = [
    "archive_pairs",
    "pairs",
    "source_vocabulary",
    "target_vocabulary",
    "distinct_sources",
    "distinct_targets",
    "max_source_length",
    "max_target_length",
    "loss_floor",
]


def test_help_lists_the_commands_and_loads_nothing_heavy():
    script = (
        "import sys; from seq2seq_lab.commands.main import main\n"
        "try: main(['--help'])\nfinally: print(*sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    *text, modules = answer.stdout.splitlines()
    for command in ("train", "data", "translate", "compare"):
        assert any(line.split()[:1] == [command] for line in text), command
    assert HEAVY.isdisjoint(modules.split())


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_of_train_lists_every_option_of_every_group_with_a_line(flag, capsys):
    assert cli.main(["train", flag]) == 0
    lines = capsys.readouterr().out.splitlines()
    for group in (*GROUPS, "experiment"):
        start = lines.index(f"  {group}=")
        listed = dict(line.split(maxsplit=1) for line in lines[start + 1 : start + 1 + len(options(group))])
        assert sorted(listed) == options(group)
        assert all(listed.values())


@pytest.mark.parametrize("command", ["data", "translate", "compare"])
def test_every_command_has_help(command, capsys):
    try:
        status = cli.main([command, "--help"])
    except SystemExit as ended:
        status = ended.code
    assert status == 0
    assert capsys.readouterr().out.startswith(f"usage: seq2seq-lab {command}")


def test_the_version_is_the_packages(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"seq2seq-lab {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["trian"],
        ["translate"],
        ["data", "--jsno"],
        ["train", "seed=1", "--nope"],
        ["train", "-m", "--cfg", "job"],
        ["train", "--resolve"],
        ["train", "--config-dir"],
    ],
)
def test_wrong_arguments_end_with_status_2_and_a_line_of_usage(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: seq2seq-lab")


class TestData:
    def test_it_shows_what_a_run_would_train_on(self, capsys):
        assert cli.main(["data", "data=toy", "data.pairs=80", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert list(told) == STATISTICS
        assert told == ToyCorpus(pairs=80).load().statistics()

    def test_without_json_it_is_a_list_under_the_origin_of_the_pairs(self, capsys):
        assert cli.main(["data", "data=toy"]) == 0
        origin, *lines = capsys.readouterr().out.splitlines()
        assert "pairs" in origin
        assert [line.split()[0] for line in lines] == STATISTICS
        assert lines[1].split()[1] == "2,000"

    @pytest.mark.parametrize(
        ("overrides", "said"),
        [
            (["data=toys"], "data=toys: no such option; did you mean toy?"),
            (["data=toy", "data.paris=5"], "data.paris: no such key; did you mean data.pairs?"),
            (
                ["data=toy", "+data.paris=5"],
                "data.paris: seq2seq_lab.data.sources.toy.ToyCorpus takes no paris",
            ),
            (["data=toy", "data.pairs=many"], "data.pairs: 'many' is not of type int"),
            (["data.max_words=0"], "data.max_words=0"),
            (["data.archive=/no/such.zip"], "data.archive=/no/such.zip: No such file"),
            (["data=toy", "--", "nonsense"], "nonsense: not an override of the form KEY=VALUE"),
            (["data=toy", "~data._target_"], "data._target_: it is missing"),
            (["data=null"], "a group takes the name of one of its options"),
        ],
    )
    def test_mistakes_are_named_by_their_key(self, overrides, said, capsys):
        assert cli.main(["data", *overrides]) == 1
        out, err = capsys.readouterr()
        assert not out
        assert said in err
        assert len(err.splitlines()) <= 2

    def test_the_seminars_archive_gives_the_seminars_numbers(self, real_archive, capsys):
        assert cli.main(["data", f"data.archive={real_archive}", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told.pop("loss_floor") == pytest.approx(0.0198, abs=1e-4)
        assert list(told.values()) == [135842, 5318, 2579, 1573, 4840, 3045, 7, 8]


class TestOutputDirectory:
    LITTLE = ("train", *tiny.SETTINGS, *tiny.LEAN, "trainer.max_epochs=1")

    def test_the_variable_says_where_runs_go(self, tmp_path, monkeypatch):
        monkeypatch.setenv("SEQ2SEQ_LAB_OUTPUTS", str(tmp_path / "here"))
        assert cli.main(self.LITTLE) == 0
        assert len(tiny.folders(tmp_path / "here")) == 1

    def test_the_key_comes_before_the_variable_and_outputs_is_the_default(
        self, tmp_path, monkeypatch, capsys
    ):
        monkeypatch.chdir(tmp_path)
        for variable, key, said in (
            ("variable", ["output_dir=key"], "output_dir: key\n"),
            (None, [], "output_dir: outputs\n"),
        ):
            monkeypatch.delenv("SEQ2SEQ_LAB_OUTPUTS", raising=False)
            if variable:
                monkeypatch.setenv("SEQ2SEQ_LAB_OUTPUTS", variable)
            assert cli.main(["train", *key, "--cfg", "job", "--resolve"]) == 0
            assert said in capsys.readouterr().out
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("flag", ["-m", "--multirun"])
def test_flags_may_stand_anywhere(flag, outputs):
    command, first, *rest = TestOutputDirectory.LITTLE
    assert cli.main([command, first, flag, *rest, "seed=0,1"]) == 0
    folders = tiny.folders(outputs)
    assert len(folders) == 2
    for folder in folders:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        assert shlex.split(summary["command"]) == ["seq2seq-lab", command, first, flag, *rest, "seed=0,1"]


def test_a_launch_leaves_the_process_as_it_was(outputs):
    before = dict(os.environ), list(sys.argv)
    assert cli.main([*TestOutputDirectory.LITTLE, "seed=0,1", "-m"]) == 0
    assert cli.main(["train", "model=atention"]) == 1
    assert (dict(os.environ), sys.argv) == before


class TestOwnOptions:
    """`--config-dir`: a folder of the user's own options."""

    @pytest.fixture
    def own(self, tmp_path, monkeypatch):
        """The working folder, with options of one's own in `conf` and their class in `own_forcing.py`."""
        monkeypatch.chdir(tmp_path)
        files = {
            "conf/forcing/rare.yaml": "# Mostly free-running.\n_target_: own_forcing.Rare\nratio: 0.125\n",
            "conf/data/sorted/small.yaml": (
                "# Forty pairs.\n_target_: seq2seq_lab.data.sources.toy.ToyCorpus\npairs: 40\n"
            ),
            "conf/experiment/mine.yaml": (
                "# @package _global_\n# Mine.\ndefaults: [{override /forcing: rare}, _self_]\nname: mine\n"
            ),
            "conf/model/scored.yaml": (
                "# With a score.\ndefaults: [seq2seq, score: dot, _self_]\n_target_: own_forcing.scored\n"
            ),
            "conf/model/score/dot.yaml": "# Dot.\n_target_: own_forcing.Score\n",
            "conf/model/score/additive.yaml": "# Additive.\n_target_: own_forcing.Score\nsize: 3\n",
            "own_forcing.py": (
                "from seq2seq_lab.forcing.plan import MixedForcing\n"
                "from seq2seq_lab.models import seq2seq_model\n\n\n"
                "class Rare(MixedForcing):\n"
                "    def __init__(self, ratio: float):\n"
                "        super().__init__(ratio=ratio)\n\n\n"
                "class Score:\n"
                "    def __init__(self, size: int = 1):\n"
                "        self.size = size\n\n\n"
                "def scored(score: Score, **arguments):\n"
                "    assert isinstance(score, Score)\n"
                "    return seq2seq_model(**arguments)\n"
            ),
        }
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        yield tmp_path
        sys.modules.pop("own_forcing", None)

    @pytest.mark.parametrize("absolute", [False, True])
    @pytest.mark.parametrize("form", ["first", "last", "between", "joined", "short", "searchpath"])
    def test_it_may_stand_anywhere(self, own, form, absolute, capsys):
        folder = str(own / "conf") if absolute else "conf"
        arguments = {
            "first": ["--config-dir", folder, "data=sorted/small", "seed=1"],
            "last": ["data=sorted/small", "seed=1", "--config-dir", folder],
            "between": ["data=sorted/small", "--config-dir", folder, "seed=1"],
            "joined": ["data=sorted/small", f"--config-dir={folder}", "seed=1"],
            "short": ["data=sorted/small", "-cd", folder, "seed=1"],
            "searchpath": ["data=sorted/small", f"hydra.searchpath=[{folder}]", "seed=1"],
        }[form]
        assert cli.main(["train", *arguments, "--cfg", "job", "--package", "data.pairs"]) == 0
        assert capsys.readouterr().out == "40\n"
        assert cli.main(["data", *arguments, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["pairs"] == 40

    def test_a_folder_with_any_name_is_found(self, own, capsys):
        folder = (own / "conf").rename(own / "it's [a], b=c é")
        assert cli.main(["data", "data=sorted/small", "--config-dir", str(folder), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["pairs"] == 40

    def test_both_ways_to_name_a_folder_go_together(self, own, capsys):
        other = own / "other" / "data"
        other.mkdir(parents=True)
        (other / "tiny.yaml").write_text(
            "defaults: [sorted/small@_here_, _self_]\npairs: 7\n", encoding="utf-8"
        )
        arguments = ["--config-dir", "conf", "hydra.searchpath=[file://other]", "data=tiny"]
        assert cli.main(["data", *arguments, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["pairs"] == 7

    @pytest.mark.parametrize("arguments", [["--help", "-cd", "conf"], ["hydra.searchpath=[conf]", "-h"]])
    def test_help_lists_them(self, own, arguments, capsys):
        assert cli.main(["train", *arguments]) == 0
        text = capsys.readouterr().out
        for listed in (
            "  data=\n    eng_fra ",
            "    sorted/small               Forty pairs.\n",
            "    rare                       Mostly free-running.\n",
            "    mine                       Mine.\n",
            "  model/score=\n    additive                   Additive.\n    dot                        Dot.\n",
        ):
            assert listed in text
        assert cli.main(["data", *arguments]) == 0
        assert "    sorted/small               Forty pairs.\n" in capsys.readouterr().out

    def test_the_options_of_a_nested_group_are_its_own(self, own):
        extra = [own / "conf"]
        assert options("model/score", extra) == ["additive", "dot"]
        assert set(options("model", extra)) == {*options("model"), "scored"}
        assert "model/score" in groups(extra)
        assert "data/sorted" not in groups(extra), "a folder that sorts options"

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ("forcing=rrare", "forcing=rrare: no such option; did you mean rare?"),
            (
                "model=scored model/score=aditive",
                "model/score=aditive: no such option; did you mean additive?",
            ),
            ("model=scored model/scoer=dot", "model/scoer: no such group; did you mean model/score?"),
            ("model/score=dot", "model/score: the option of model that was chosen has no such group"),
            ("model/score=dot", "it goes with model=scored"),
            ("model=scored model.score.size=2", "model.score.size: model/score=additive has this key"),
            (
                "model=scored model/score=additive model.score.sise=2",
                "model.score.sise: no such key; did you mean model.score.size?",
            ),
            ("forcing.ratio=1", "forcing.ratio: forcing=mixed has this key"),
            ("forcing=rare forcing.ratoi=1", "did you mean forcing.ratio?"),
        ],
    )
    @pytest.mark.parametrize("command", ["train", "data"])
    def test_mistakes_are_explained_with_them(self, command, given, said, own, capsys):
        assert cli.main([command, *given.split(), "data=toy", "--config-dir", "conf"]) == 1
        out, err = capsys.readouterr()
        assert not out
        assert said in err
        assert len(err.splitlines()) <= 2

    @pytest.mark.parametrize(
        "arguments", [["train"], ["data"], ["train", "--help"], ["data", "--help"], ["train", "-m"]]
    )
    def test_a_folder_that_is_not_there_is_one_line(self, arguments, own, capsys):
        assert cli.main([*arguments, "data=toy", "--config-dir", "nowhere"]) == 1
        assert capsys.readouterr() == ("", "--config-dir: nowhere is not a folder\n")

    def test_a_file_that_is_not_yaml_is_named(self, own, capsys):
        path = own / "conf" / "forcing" / "rare.yaml"
        path.write_text("# Broken.\nratio: [1\nother: 2\n", encoding="utf-8")
        assert cli.main(["train", "data=toy", "forcing=rare", "--config-dir", "conf"]) == 1
        out, err = capsys.readouterr()
        assert not out
        assert err.startswith(f"{path}: line 3: not YAML: ")
        assert len(err.splitlines()) == 1

    def test_the_choices_of_a_run_hold_nested_groups(self, own, outputs):
        own_options = ["--config-dir", "conf", "model=scored", "model/score=additive", "forcing=rare"]
        assert cli.main([*TestOutputDirectory.LITTLE, *own_options]) == 0
        (folder,) = tiny.folders(outputs)
        config = Run(folder).config()
        assert list(config["choices"]) == ["data", "model", "model/score", *GROUPS[2:]]
        assert config["choices"]["model/score"] == "additive"
        assert config["model"]["score"] == {"_target_": "own_forcing.Score", "size": 3}

    def test_a_class_in_the_working_folder_is_found(self, own):
        answer = _as_the_console_script(
            *TestOutputDirectory.LITTLE, "experiment=mine", "-cd", "conf", "output_dir=."
        )
        assert (answer.returncode, answer.stderr) == (0, "")
        assert (own / "mine").is_dir() or list(own.glob("*/mine"))

    def test_it_is_found_in_the_jobs_of_a_launcher(self, own):
        pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
        (own / "own_data.py").write_text(
            "class Pairs:\n    def __init__(self, pairs: int): ...\n", encoding="utf-8"
        )
        joblib = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
        wrong = ["data=toy", "data._target_=own_data.Pairs", "~data.seed", "data.pairs=x,y"]
        answer = _as_the_console_script("train", "-m", *joblib, *wrong)
        assert answer.returncode == 1
        for value in "xy":
            assert f"data.pairs: '{value}' is not of type int\n" in answer.stderr, (
                "by the signature of the class"
            )


def _as_the_console_script(*arguments):
    """Runs the command in a process in which, unlike in `python -m`, the working folder is not on the path."""
    program = "import sys; from seq2seq_lab.commands.main import main; sys.exit(main())"
    command = [sys.executable, "-P", "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_as_a_program_it_ends_with_its_status_and_no_traceback(tmp_path):
    command = [sys.executable, "-m", "seq2seq_lab", "train", "data=toy", "model=atention"]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert answer.stderr.splitlines()[0] == "model=atention: no such option; did you mean attention?"
    assert len(answer.stderr.splitlines()) == 2


@pytest.mark.slow
def test_ctrl_c_ends_a_program_cleanly_with_a_checkpoint(tmp_path):
    import signal

    command = [sys.executable, "-m", "seq2seq_lab", *TestOutputDirectory.LITTLE]
    command += [f"output_dir={tmp_path}", "trainer.max_epochs=200", "name=a"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as program:
        assert program.stdout is not None
        assert any(" epoch 3/200 " in line for line in program.stdout)
        program.send_signal(signal.SIGINT)
        _, err = program.communicate(timeout=60)
    assert program.returncode == 130
    assert "Traceback" not in err
    assert "the same command goes on from here" in err
    (folder,) = tiny.folders(tmp_path)
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert summary["status"] == "interrupted"
    assert summary["epochs"] >= 3
    assert Path(folder / "checkpoints" / "last.ckpt").exists()
