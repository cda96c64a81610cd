"""The user's own options (`--config-dir`) and classes (in the working folder)."""

import hashlib
import importlib
import json
import shutil
import subprocess
import sys

import pytest
import yaml

import tiny
from seq2seq_lab.commands import main as cli
from seq2seq_lab.config.compose import composed
from seq2seq_lab.config.options import groups, option_files, options
from seq2seq_lab.config.schema import GROUPS
from seq2seq_lab.runs.run import Run

LITTLE = ("train", *tiny.SETTINGS, *tiny.LEAN, "trainer.max_epochs=1")


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The working folder, with the user's options in `conf` and their classes in `own_parts.py`."""
    monkeypatch.chdir(tmp_path)
    files = {
        "conf/forcing/rare.yaml": "# Mostly free-running.\n_target_: own_parts.Rare\nratio: 0.125\n",
        "conf/data/sorted/small.yaml": (
            "# Forty pairs.\n_target_: seq2seq_lab.data.sources.toy.ToyCorpus\npairs: 40\n"
        ),
        "conf/experiment/mine.yaml": (
            "# @package _global_\n# Mine.\ndefaults: [{override /forcing: rare}, _self_]\nname: mine\n"
        ),
        "conf/model/own.yaml": (
            "# With a memory.\ndefaults: [seq2seq, memory: small, _self_]\n_target_: own_parts.own\n"
        ),
        "conf/model/memory/small.yaml": "# Small.\n_target_: own_parts.Memory\n",
        "conf/model/memory/large.yaml": "# Large.\n_target_: own_parts.Memory\nsize: 3\n",
        "own_parts.py": (
            "from seq2seq_lab.forcing.mixed import MixedForcing\n"
            "from seq2seq_lab.models import seq2seq_model\n\n\n"
            "class Rare(MixedForcing):\n"
            "    def __init__(self, ratio: float):\n"
            "        super().__init__(ratio=ratio)\n\n\n"
            "class Memory:\n"
            "    def __init__(self, size: int = 1):\n"
            "        self.size = size\n\n\n"
            "def own(memory: Memory, **arguments):\n"
            "    assert isinstance(memory, Memory)\n"
            "    return seq2seq_model(**arguments)\n"
        ),
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    yield tmp_path
    sys.modules.pop("own_parts", None)


def test_an_option_with_a_name_of_the_packages_is_refused(own, capsys):
    """It would be hidden, as Hydra takes the package's; a copy that says the same is one."""
    hidden, theirs = own / "conf" / "data" / "toy.yaml", option_files("data")["toy"]
    hidden.parent.mkdir(parents=True, exist_ok=True)
    hidden.write_bytes(theirs.read_bytes())
    assert cli.main([*LITTLE, "--config-dir", "conf", "--dry-run"]) == 0
    hidden.write_text(theirs.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")
    capsys.readouterr()
    assert cli.main([*LITTLE, "--config-dir", "conf", "--dry-run"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(
        "data/toy.yaml: the package has an option data/toy too, which would be used instead; give the file another name"
    )
    hidden.unlink()
    (own / "conf" / "train.yaml").write_text("seed: 7\n", encoding="utf-8")
    assert cli.main([*LITTLE, "--config-dir", "conf", "--dry-run"]) == 1
    assert "train.yaml: the package has an option train too" in capsys.readouterr().err
    (own / "conf" / "train.yaml").unlink()


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("form", ["first", "last", "between", "joined", "short", "searchpath"])
def test_config_dir_can_be_in_any_position(own, form, absolute, capsys):
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


@pytest.mark.parametrize("form", [["--config-dir", "conf"], ["-cd", "conf"], ["--config-dir=conf"]])
def test_it_may_be_before_the_command(own, form, capsys):
    assert cli.main([*form, "data", "data=sorted/small", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pairs"] == 40


def test_a_folder_with_any_name_is_found(own, capsys):
    folder = (own / "conf").rename(own / "it's [a], b=c é")
    assert cli.main(["data", "data=sorted/small", "--config-dir", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pairs"] == 40


def test_both_ways_to_give_a_folder_can_be_combined(own, capsys):
    other = own / "other" / "data"
    other.mkdir(parents=True)
    (other / "tiny.yaml").write_text("defaults: [sorted/small@_here_, _self_]\npairs: 7\n", encoding="utf-8")
    arguments = ["--config-dir", "conf", "hydra.searchpath=[file://other]", "data=tiny"]
    assert cli.main(["data", *arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pairs"] == 7


def test_a_file_that_was_changed_is_read_again(own):
    found = []
    for ratio in (0.25, 0.75):
        text = f"# Mine.\n_target_: own_parts.Rare\nratio: {ratio}\n"
        (own / "conf" / "forcing" / "rare.yaml").write_text(text, encoding="utf-8")
        found.append(composed(["forcing=rare"], own / "conf")["forcing"]["ratio"])
    assert found == [0.25, 0.75]


@pytest.mark.parametrize("arguments", [["--help", "-cd", "conf"], ["hydra.searchpath=[conf]", "-h"]])
def test_help_lists_the_options_of_the_user(own, arguments, capsys):
    assert cli.main(["train", *arguments]) == 0
    text = capsys.readouterr().out
    for listed in (
        "  data=\n    eng_fra ",
        "    sorted/small               Forty pairs.\n",
        "    rare                       Mostly free-running.\n",
        "    mine                       Mine.\n",
        "  model/memory=\n    large                      Large.\n    small                      Small.\n",
    ):
        assert listed in text
    assert cli.main(["data", *arguments]) == 0
    assert "    sorted/small               Forty pairs.\n" in capsys.readouterr().out


def test_a_nested_group_has_its_own_options(own):
    extra = [own / "conf"]
    assert options("model/memory", extra) == ["large", "small"]
    assert set(options("model", extra)) == {*options("model"), "own"}
    assert "model/memory" in groups(extra)
    assert "data/sorted" not in groups(extra), "a folder that sorts options"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("forcing=rrare", "forcing=rrare: no such option; did you mean rare?"),
        (
            "model=own model/memory=larg",
            "model/memory=larg: no such option; did you mean large?",
        ),
        ("model=own model/memoyr=small", "model/memoyr: no such group; did you mean model/memory?"),
        ("model/memory=small", "model/memory: the option of model that was chosen has no such group"),
        ("model/memory=small", "it goes with model=own"),
        ("model=own model.memory.size=2", "model.memory.size: model/memory=large has this key"),
        (
            "model=own model/memory=large model.memory.sise=2",
            "model.memory.sise: no such key; did you mean model.memory.size?",
        ),
        ("forcing.ratio=1", "forcing.ratio: forcing=mixed has this key"),
        ("forcing=rare forcing.ratoi=1", "did you mean forcing.ratio?"),
    ],
)
@pytest.mark.parametrize("command", ["train", "data"])
def test_error_messages_include_the_options_of_the_user(command, given, expected, own, capsys):
    assert cli.main([command, *given.split(), "data=toy", "--config-dir", "conf"]) == 1
    out, err = capsys.readouterr()
    assert not out
    assert expected in err
    assert len(err.splitlines()) <= 2


@pytest.mark.parametrize(
    "arguments", [["train"], ["data"], ["train", "--help"], ["data", "--help"], ["train", "-m"]]
)
def test_a_missing_folder_is_an_error_in_one_line(arguments, own, capsys):
    assert cli.main([*arguments, "data=toy", "--config-dir", "nowhere"]) == 1
    assert capsys.readouterr() == ("", "--config-dir: nowhere is not a folder\n")


def test_the_message_about_an_invalid_yaml_file_names_it(own, capsys):
    path = own / "conf" / "forcing" / "rare.yaml"
    path.write_text("# Broken.\nratio: [1\nother: 2\n", encoding="utf-8")
    assert cli.main(["train", "data=toy", "forcing=rare", "--config-dir", "conf"]) == 1
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith(f"{path}: line 3: not YAML: ")
    assert len(err.splitlines()) == 1


def test_the_choices_of_a_run_contain_nested_groups(own, outputs):
    own_options = ["--config-dir", "conf", "model=own", "model/memory=large", "forcing=rare"]
    assert cli.main([*LITTLE, *own_options]) == 0
    (folder,) = tiny.folders(outputs)
    config = Run(folder).config()
    assert list(config["choices"]) == ["data", "split", "model", "model/cell", "model/memory", *GROUPS[3:]]
    assert config["choices"]["model/memory"] == "large"
    assert config["model"]["memory"] == {"_target_": "own_parts.Memory", "size": 3}


@pytest.mark.whole
def test_a_class_in_the_working_folder_is_found(own):
    mine = ["experiment=mine", "--config-dir", "conf", "output_dir=runs", "accelerate=off"]
    answer = as_the_console_script(*LITTLE, *mine)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert len(tiny.folders(own / "runs")) == 1


@pytest.mark.whole
def test_a_class_in_the_working_folder_is_found_in_the_jobs_of_a_launcher(own):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    (own / "own_data.py").write_text(
        "class Pairs:\n    def __init__(self, pairs: int): ...\n", encoding="utf-8"
    )
    joblib = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    wrong = ["data=toy", "data._target_=own_data.Pairs", "~data.seed", "data.pairs=x,y"]
    answer = as_the_console_script("train", "-m", *joblib, *wrong)
    assert answer.returncode == 1
    for value in "xy":
        assert f"data.pairs: '{value}' is not of type int\n" in answer.stderr, "by the signature of the class"


def as_the_console_script(*arguments):
    """Runs the command in a process in which, unlike in `python -m`, the working folder is not on the path."""
    program = "import sys; from seq2seq_lab.commands.main import main; sys.exit(main())"
    command = [sys.executable, "-P", "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


class TestEditedCode:
    """A run is what its code is, too: after a change of the user's own modules it is another run."""

    COMMAND = (*LITTLE, "compare=false", "--config-dir", "conf", "forcing=rare")

    @pytest.fixture(autouse=True)
    def _helper(self, own):
        """The policy also uses a module beside it."""
        text = (own / "own_parts.py").read_text()
        (own / "own_parts.py").write_text(f"from own_helper import SCALE\n{text}")
        (own / "own_helper.py").write_text("SCALE = 1\n")
        yield
        self.forget()

    @staticmethod
    def forget():
        """As a new process would."""
        for name in ("own_parts", "own_helper"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()

    def train(self, own, *overrides, status=0):
        self.forget()
        assert cli.main([*self.COMMAND, *overrides]) == status
        return tiny.folders(own / "outputs")

    @pytest.mark.parametrize("edited", ["own_parts", "own_helper"])
    def test_it_is_trained_again_beside_the_old_run(self, own, capsys, edited):
        (old,) = self.train(own)
        assert set(Run(old).config()["code"]) == {"own_parts", "own_helper"}
        before = {path: path.stat().st_mtime_ns for path in old.rglob("*") if path.is_file()}
        assert self.train(own) == [old]
        assert "already finished" in capsys.readouterr().out
        with (own / f"{edited}.py").open("a") as file:
            file.write("\n# Another text of another length.\n")
        both = self.train(own)
        said = capsys.readouterr().out
        assert f"{edited}.py changed since {old} was trained" in said
        assert len(both) == 2
        assert {path: path.stat().st_mtime_ns for path in before} == before
        assert self.train(own) == both
        assert "already finished" in capsys.readouterr().out

    def test_line_ends_are_no_change(self, own, capsys):
        (old,) = self.train(own)
        path = own / "own_helper.py"
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
        assert self.train(own) == [old]

    def test_a_run_that_failed_at_once_is_replaced(self, own):
        text = (own / "own_parts.py").read_text()
        broken = (
            "\n    def plan(self, pairs):\n        if pairs.epochs == 1:\n            raise RuntimeError\n"
        )
        (own / "own_parts.py").write_text(text.replace("\n\nclass Memory", f"{broken}\n\nclass Memory"))
        self.forget()
        assert cli.main([*self.COMMAND]) == 1
        (own / "own_parts.py").write_text(text)
        (folder,) = self.train(own)
        assert Run(folder).finished

    def test_a_run_of_version_0_2_keeps_its_identity(self, own, capsys):
        (old,) = self.train(own)
        run = Run(old)
        config = {key: value for key, value in run.config().items() if key != "code"}
        text = yaml.safe_dump(config, sort_keys=False)
        (old / "config.yaml").write_text(text)
        run.write_summary(config_sha256=hashlib.sha256(text.encode()).hexdigest())
        shutil.rmtree(own / "outputs" / ".hydra")
        assert self.train(own) == [old]
        assert "already finished" in capsys.readouterr().out

    def test_the_same_run_again_from_its_file_is_another_one_with_other_code(self, own, capsys):
        (old,) = self.train(own)
        with (own / "own_helper.py").open("a") as file:
            file.write("# Longer.\n")
        self.forget()
        assert cli.main(["train", "--config", str(old / "config.yaml"), "--trust", "own_parts"]) == 0
        assert len(tiny.folders(own / "outputs")) == 2
        assert "own_helper.py changed since" in capsys.readouterr().out

    def test_a_run_without_own_code_notes_none(self, own):
        assert cli.main([*LITTLE, "compare=false"]) == 0
        (folder,) = tiny.folders(own / "outputs")
        assert "code" not in Run(folder).config()
