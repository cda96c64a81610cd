"""Somebody else's run is data: reading it runs no code that it names, in bounded memory and time."""

import datetime
import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
import yaml

import tiny
from seq2seq_lab.commands import main as cli
from seq2seq_lab.config.options import options
from seq2seq_lab.config.trust import check_targets, registered
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs import addresses, layout
from seq2seq_lab.runs.load import load_model
from seq2seq_lab.runs.run import Run

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return tiny.train(tmp_path_factory.mktemp("trained"), "model=attention", "split.test=0.2", lean=False)


@pytest.fixture
def theirs(trained, tmp_path):
    """A copy of a run that a test may damage."""
    return shutil.copytree(trained, tmp_path / "run")


def forge(folder, change):
    """Change the configuration as an attacker would, with a matching checksum."""
    import hashlib

    config = yaml.safe_load((folder / layout.CONFIG).read_text())
    change(config)
    text = yaml.safe_dump(config)
    (folder / layout.CONFIG).write_text(text)
    summary = json.loads((folder / layout.SUMMARY).read_text())
    summary["config_sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (folder / layout.SUMMARY).write_text(json.dumps(summary))


@pytest.mark.parametrize(
    "target",
    [
        "builtins.open",
        "builtins.print",
        "shutil.copyfile",
        "torch.load",
        "os.system",
        "seq2seq_lab.files.write_text",
    ],
)
@pytest.mark.parametrize("node", ["model", "model.cell", "data", "split"])
def test_no_target_that_a_run_names_is_called(theirs, tmp_path, capsys, target, node):
    victim = tmp_path / "victim"

    def change(config):
        inner = config
        for key in node.split("."):
            inner = inner[key]
        inner.clear()
        inner |= {"_target_": target, "_args_": [str(victim), "w"]}

    forge(theirs, change)
    command = (
        ["evaluate", str(theirs)] if node in ("data", "split") else ["translate", str(theirs), "je suis ."]
    )
    assert cli.main(command) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"{node}._target_: '{target}' is not of this package")
    assert len(err.splitlines()) == 1
    assert not victim.exists()


def test_code_that_the_user_trusts_is_used(theirs, monkeypatch, capsys):
    (theirs.parent / "their_model.py").write_text("from seq2seq_lab.models import attention_model as model\n")
    monkeypatch.syspath_prepend(theirs.parent)
    forge(theirs, lambda config: config["model"].update(_target_="their_model.model"))
    with pytest.raises(UserError, match="--trust their_model"):
        load_model(theirs)
    load_model(theirs, trusted=["their_model"])
    monkeypatch.setenv("SEQ2SEQ_LAB_TRUST", "another,their_model")
    load_model(theirs)


def test_what_is_registered_is_of_this_package_or_a_plain_class():
    for target in set().union(*registered().values()):
        assert target.startswith(("seq2seq_lab.", "torch.nn.", "torch.optim.", "pytorch_lightning."))
    assert not any("pytorch_lightning" in target for target in registered()["model"])


def test_a_model_that_does_not_fit_its_checkpoint_takes_no_memory(theirs):
    forge(theirs, lambda config: config["model"].update(hidden_size=10**9))
    with pytest.raises(UserError, match=r"model\.hidden_size: 1000000000 does not fit"):
        load_model(theirs)
    forge(theirs, lambda config: config["model"].update(hidden_size=9))
    with pytest.raises(UserError, match="of another model"):
        load_model(theirs)


def limited(code, *arguments, megabytes=1500, seconds=60):
    """Run code in a process with little memory, and little time of the processor."""
    limits = f"resource.setrlimit(resource.RLIMIT_DATA, ({megabytes} * 2**20,) * 2)"
    limits += f"; resource.setrlimit(resource.RLIMIT_CPU, ({seconds},) * 2)"
    command = [sys.executable, "-c", f"import resource; {limits}\n{code}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


COMPARE = "import sys; from seq2seq_lab.commands.main import main; sys.exit(main(['compare', sys.argv[1]]))"


@pytest.mark.whole
def test_aliases_of_aliases_and_epochs_without_end_take_little_memory(theirs, trained, tmp_path):
    runs = tmp_path / "runs"
    shutil.copytree(trained, runs / "good" / "seed-0")
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
    )
    shutil.copytree(trained, runs / "laughs" / "seed-0")
    (runs / "laughs" / "seed-0" / layout.CONFIG).write_text(laughs + "model: *a11\n")
    summary = runs / "laughs" / "seed-0" / layout.SUMMARY
    summary.unlink()
    epochs = shutil.copytree(trained, runs / "epochs" / "seed-0")
    with (epochs / layout.METRICS).open("a") as file:
        file.write("999999999999" + "," * (len(tiny.rows(trained)[0]) - 1) + "\n")
    done = limited(COMPARE, str(runs))
    assert done.returncode == 0, done.stderr
    shown = " ".join(done.stdout.split())  # wrapped to the terminal
    assert "laughs/seed-0: config.yaml is not the configuration of a run: it has too many entries" in shown
    assert "metrics.csv: line 4 is incomplete" in done.stdout


@pytest.mark.parametrize("value", [{"a"}, b"a", datetime.date(2020, 1, 1)], ids=["set", "bytes", "date"])
def test_a_value_that_only_yaml_has_is_no_configuration(theirs, value, capsys):
    forge(theirs, lambda config: config["forcing"].update(ratio=[value]))
    assert cli.main(["translate", str(theirs), "je suis"]) == 1
    assert f"it has a value of type {type(value).__name__}" in capsys.readouterr().err
    assert cli.main(["runs", str(theirs)]) in (0, 1)


def test_a_pipe_is_not_waited_for(theirs):
    for name in (layout.CONFIG, layout.SUMMARY, layout.METRICS, layout.VOCABULARIES):
        (theirs / name).unlink()
        os.mkfifo(theirs / name)
    with pytest.raises(UserError, match="not a regular file"):
        Run(theirs).config()
    assert Run(theirs).curves() == {}


def test_escape_codes_do_not_reach_the_terminal(theirs, capsys):
    forge(theirs, lambda config: config.update(name="\x1b[31mred"))
    other = shutil.copytree(theirs, theirs.parent / "other")
    forge(other, lambda config: config["forcing"].update(why="\x1b]0;title\x07"))
    assert cli.main(["compare", str(theirs), str(other)]) == 0
    assert "\x1b" not in capsys.readouterr().out
    words = json.loads((theirs / layout.VOCABULARIES).read_text())
    words["target"] = [f"\x1b[31m{word}" if not word.startswith("<") else word for word in words["target"]]
    (theirs / layout.VOCABULARIES).write_text(json.dumps(words))
    assert cli.main(["translate", str(theirs), "je suis grand ."]) == 0
    assert "\x1b" not in capsys.readouterr().out


DAMAGED = {
    layout.CONFIG: [b"", b"\x00\xff\x01", b"!!python/object/apply:os.system ['true']\n", "torn", b"- a\n"],
    layout.VOCABULARIES: [None, b"", b"[]", "torn", b'{"source": ["a"]}', b'{"source": 1, "target": {}}'],
    layout.BEST: [b"", b"PK", "torn"],
}


@pytest.mark.parametrize(
    ("name", "contents"), [(name, each) for name, several in DAMAGED.items() for each in several]
)
def test_a_damaged_file_is_named_and_the_run_is_left_out(theirs, trained, tmp_path, capsys, name, contents):
    path = theirs / (f"{layout.CHECKPOINTS}/{name}" if name == layout.BEST else name)
    if contents is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if contents == "torn" else contents)
    assert cli.main(["translate", str(theirs), "je suis ."]) == 1
    err = capsys.readouterr().err
    assert name in err
    assert len(err.splitlines()) <= 2
    if name == layout.CONFIG:
        shutil.copytree(trained, tmp_path / "runs" / "good" / "seed-0")
        shutil.copytree(theirs, tmp_path / "runs" / "bad" / "seed-0")
        assert cli.main(["compare", str(tmp_path / "runs")]) == 0
        out = capsys.readouterr().out
        assert "bad/seed-0: config.yaml" in out
        assert "skipped" in out


@pytest.mark.parametrize("contents", [b"", b"[]", b"{", b"null"])
def test_a_run_with_a_damaged_summary_goes_on(tmp_path, contents):
    folder = tiny.stop(tmp_path / "stopped", block=7)
    (folder / layout.SUMMARY).write_bytes(contents)
    whole = tiny.train(tmp_path / "whole")
    assert tiny.train(tmp_path / "stopped") == folder
    assert Run(folder).status == "finished"
    assert tiny.same_weights(folder, whole)


def test_vocabularies_of_another_size_are_named(theirs):
    words = json.loads((theirs / layout.VOCABULARIES).read_text())
    words["target"] = words["target"][:-3]
    (theirs / layout.VOCABULARIES).write_text(json.dumps(words))
    with pytest.raises(UserError, match=r"checkpoint is of another model .*vocabularies\.json"):
        load_model(theirs)


def test_a_checkpoint_of_another_model_is_not_resumed(tmp_path):
    folder = tiny.stop(tmp_path / "stopped", block=7)
    other = tiny.train(tmp_path / "other", "model.hidden_size=9")
    for name in (layout.LAST, layout.PREVIOUS):
        shutil.copy(other / layout.CHECKPOINTS / layout.LAST, folder / layout.CHECKPOINTS / name)
    with pytest.raises(UserError, match="another model"):
        tiny.train(tmp_path / "stopped")
    assert torch.load(folder / layout.CHECKPOINTS / layout.LAST, weights_only=True)


class TestAddresses:
    """Nothing is fetched from where somebody else's run says."""

    URL = "http://127.0.0.1:9/theirs.zip"

    @pytest.fixture
    def asked(self, monkeypatch):
        """The addresses that would be downloaded."""
        asked = []

        def fetch(url, path, sha256):
            asked.append(url)
            raise UserError(f"{url}: no network here")

        monkeypatch.setattr("seq2seq_lab.data.sources.download._download", fetch)
        monkeypatch.delenv("ENG_FRA_ARCHIVE", raising=False)
        return asked

    @staticmethod
    def forged(folder, url):
        archive = {
            "_target_": "seq2seq_lab.data.sources.archive.ArchiveCorpus",
            "url": url,
            "credit": "see http://x",
        }
        forge(folder, lambda config: config.update(data=archive))

    @pytest.mark.parametrize("command", ["evaluate", "train"])
    def test_an_address_in_a_run_is_refused_in_a_line(self, theirs, asked, capsys, command):
        self.forged(theirs, self.URL)
        again = ["--config", str(theirs / layout.CONFIG), "fresh=true"]
        given = [str(theirs)] if command == "evaluate" else again
        assert cli.main([command, *given]) == 1
        error = capsys.readouterr().err
        assert len(error.splitlines()) == 1
        assert error.startswith(f"data.url: {self.URL}")
        assert not asked
        assert cli.main([command, *given, "--trust", self.URL]) == 1
        assert set(asked) == {self.URL}

    def test_an_address_of_the_package_and_what_was_downloaded_are_not_refused(self, theirs, asked):
        from seq2seq_lab.data.sources.download import download_path

        known = next(iter(addresses._known()))
        self.forged(theirs, known)
        assert cli.main(["evaluate", str(theirs)]) == 1
        assert asked == [known]
        self.forged(theirs, self.URL)
        path = download_path(self.URL)
        path.parent.mkdir(parents=True)
        path.write_text("I'm here.\tJe suis là.\n" * 3)
        assert cli.main(["evaluate", str(theirs)]) == 1, "its data has changed"
        assert asked == [known]

    def test_a_new_address_of_the_command_line_is_the_users(self, theirs, asked):
        self.forged(theirs, "http://127.0.0.1:9/old.zip")
        given = [f"data.url={self.URL}", f"output_dir={theirs.parent}"]
        assert cli.main(["train", "--config", str(theirs / layout.CONFIG), *given]) == 1
        assert set(asked) == {self.URL}


@pytest.mark.parametrize(
    "settings",
    [
        *(f"target={each}" for each in options("target")),
        "objective=self_critical forcing/schedule@objective.schedule=linear",
    ],
)
def test_what_a_run_of_this_package_names_needs_no_trust(settings):
    """Also where an option takes one of a group that is nested in another one."""
    check_targets(tiny.configuration("data=toy", *settings.split()), "")


def test_train_trusts_the_model_of_a_teacher(theirs, tmp_path, outputs, capsys, monkeypatch):
    """A run of the user's own model is a teacher, once its module is trusted."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_models.py").write_text(
        "from seq2seq_lab.models import attention_model\n\n\ndef mine(**sizes):\n    return attention_model(**sizes)\n"
    )
    forge(theirs, lambda config: config["model"].update(_target_="my_models.mine"))
    settings = tiny.sized(*tiny.SETTINGS, "model=attention", "split.test=0.2", "trainer.max_epochs=1")
    given = ("train", *settings, "target=teacher", f"target.run={theirs}")
    assert cli.main([*given]) == 1
    assert "give --trust my_models" in capsys.readouterr().err
    monkeypatch.setenv("SEQ2SEQ_LAB_TRUST", "")  # what the command sets is taken back
    status = cli.main([*given, "--trust", "my_models"])
    assert status == 0, capsys.readouterr().err
