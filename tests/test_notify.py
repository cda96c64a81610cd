"""`notify=COMMAND`: called once, with a JSON file, when training has ended, failed or was interrupted."""

import json
import shlex
import sys

import pytest

import tiny
from fake_runs import config, write_run
from seq2seq_lab.commands import main as cli
from seq2seq_lab.launch import notify
from seq2seq_lab.launch.job import JobResult, TaskFunction
from seq2seq_lab.launch.register import FAILED, FINISHED, INTERRUPTED, Entry, Register
from seq2seq_lab.runs.place import RunSpec
from seq2seq_lab.runs.run import Run


@pytest.fixture
def receiver(tmp_path):
    """A command that appends what it is told to a file, and that file's lines."""
    program = tmp_path / "a receiver.py"
    program.write_text(
        "import sys, pathlib\n"
        f"with open({str(tmp_path / 'told')!r}, 'a') as file:\n"
        "    file.write(sys.argv[1] + pathlib.Path(sys.argv[2]).read_text().replace('\\n', '') + '\\n')\n"
    )
    command = shlex.join([sys.executable, str(program), "한 글"])

    def told():
        lines = (tmp_path / "told").read_text(encoding="utf-8").splitlines()
        return [json.loads(line.removeprefix("한 글")) for line in lines]

    return command, told


def test_a_run_that_ends_and_one_that_fails_are_told(receiver, outputs):
    command, told = receiver
    given = [
        *tiny.SETTINGS,
        *tiny.LEAN,
        "trainer.max_epochs=1",
        f"notify={json.dumps(command, ensure_ascii=False)}",
    ]
    assert cli.main(["train", *given]) == 0
    assert cli.main(["train", *given, "optimizer.lr=1e30"]) == 1
    ended, failed = told()
    assert (ended["status"], failed["status"], ended["error"]) == ("finished", "failed", None)
    assert "training diverged" in failed["error"]
    assert [run["status"] for run in (*ended["runs"], *failed["runs"])] == ["finished", "failed"]
    (folder,) = [each for each in tiny.folders(outputs) if Run(each).finished]
    assert ended["runs"][0]["path"] == str(folder)
    assert ended["runs"][0]["value"] == Run(folder).last("val/bleu")
    assert "notify" in folder.joinpath("config.yaml").read_text()
    assert folder.parent.name.count("notify") == 0
    config = Run(folder).config()
    assert Run(folder).difference(config | {"notify": None}) is None, "no part of what the run is"


@pytest.mark.parametrize("launcher", ["RANK", "SLURM_PROCID"])
@pytest.mark.parametrize(
    ("strategy", "rank", "told"), [("ddp", 0, True), ("ddp", 1, False), ("auto", 1, True)]
)
def test_one_of_the_processes_of_a_run_tells(monkeypatch, tmp_path, launcher, strategy, rank, told):
    """torchrun and srun start the command in several processes; without `trainer=ddp` each has a run of its own."""
    monkeypatch.setenv(launcher, str(rank))
    given = config() | {"notify": "a-command", "trainer": {"strategy": strategy}}
    register = Register(tmp_path / "register")
    monkeypatch.setattr(TaskFunction, "run", lambda *_: JobResult(FINISHED))
    TaskFunction("seq2seq-lab train", tmp_path, register, swept=[]).run_alone(
        RunSpec(given, tmp_path / "run")
    )
    (entry,) = register.alone
    assert (entry.notify is not None) == told


@pytest.mark.parametrize(
    ("results", "raised", "status"),
    [
        ([FINISHED, FINISHED], None, FINISHED),
        ([FINISHED, FAILED], None, FAILED),
        ([FINISHED], KeyboardInterrupt(), INTERRUPTED),
        ([FAILED], KeyboardInterrupt(), FAILED),
        ([FINISHED], RuntimeError("a bug"), FAILED),
    ],
)
def test_a_sweep_is_told_once_however_it_ends(receiver, tmp_path, results, raised, status):
    command, told = receiver
    register = Register(tmp_path / "register")
    entries = [Entry(str(tmp_path / str(n)), True, each, notify=command) for n, each in enumerate(results)]
    try:
        with notify.announced("seq2seq-lab train -m", register):
            for entry in entries:
                register.add(entry)
            register.close()
            if raised is not None:
                raise raised
    except (KeyboardInterrupt, RuntimeError) as error:
        assert error is raised  # noqa: PT017, as it is not always raised
    (found,) = told()
    assert (found["status"], found["error"]) == (
        status,
        "a bug" if isinstance(raised, RuntimeError) else None,
    )
    assert [run["status"] for run in found["runs"]] == results


def test_a_value_that_is_not_finite_is_null_as_json_has_none(receiver, tmp_path):
    command, told = receiver
    folder = write_run(tmp_path / "run", config(), rows=[{"epoch": 1, "val/bleu": float("nan")}])
    notify.tell("train", [Entry(str(folder), True, FINISHED, "", True, command)])
    assert told()[0]["runs"][0]["value"] is None
    assert "NaN" not in (tmp_path / "told").read_text(encoding="utf-8")


def test_a_path_that_is_no_text_is_told(receiver, tmp_path):
    command, told = receiver
    folder = str(tmp_path / "\udcff")
    notify.tell("train", [Entry(folder, False, notify=command)])
    (contents,) = told()
    assert contents["runs"][0]["path"] == folder


def test_a_receiver_that_fails_changes_nothing(capsys, tmp_path):
    for command, why in (("false", "exit status 1"), (str(tmp_path / "none"), "No such file")):
        notify.tell("train", [Entry(None, False, FINISHED, notify=command)])
        assert f"notify={command}: " in (err := capsys.readouterr().err)
        assert why in err


@pytest.mark.parametrize(
    ("command", "why"), [("no-such-command-x", "no such command"), ("'a", "no command line")]
)
def test_a_command_that_cannot_be_called_is_refused_before_training(capsys, outputs, command, why):
    assert cli.main(["train", *tiny.SETTINGS, f"notify={json.dumps(command)}"]) == 1
    assert why in capsys.readouterr().err
    assert not tiny.folders(outputs)


def test_a_run_of_somebody_else_names_no_command_that_is_called(plain_run, receiver, tmp_path):
    command, _ = receiver
    text = (plain_run / "config.yaml").read_text().replace("notify: null", f"notify: {json.dumps(command)}")
    assert "receiver" in text
    (tmp_path / "config.yaml").write_text(text)
    assert cli.main(["train", "--config", str(tmp_path), f"output_dir={tmp_path / 'out'}"]) == 0
    assert not (tmp_path / "told").exists()
