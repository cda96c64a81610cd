"""Sweeps of several processes: a job that is killed ends alone, and Ctrl-C lets all jobs save."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import tiny
from seq2seq_lab.commands import main as cli
from seq2seq_lab.launch import isolate, slurm
from seq2seq_lab.launch import register as registers
from seq2seq_lab.launch.register import Entry, Register, remove_stale, under_way
from seq2seq_lab.launch.sweep import show
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.run import Run
from waiting import wait

SWEEP = (
    *(each for each in tiny.SETTINGS if not each.startswith("trainer.")),
    *tiny.LEAN,
    "hydra/launcher=joblib",
    "hydra.launcher.n_jobs=2",
    "loader.batch_size=2",
    "accelerate=off",
)
FOREVER = "trainer.max_epochs=100000"
PATIENCE = 600  # until a sweep that was asked to stop has stopped, on a loaded machine


@pytest.fixture
def start(tmp_path):
    """Starts a sweep in a session of its own; it is killed at the end of the test."""
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    started = []

    def start(*overrides):
        command = [
            sys.executable,
            "-m",
            "seq2seq_lab",
            "train",
            "-m",
            *SWEEP,
            f"output_dir={tmp_path}",
            *overrides,
        ]
        started.append(
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
            )
        )
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.wait()
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                process, rest = path.parent.name, path.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(rest[3]) == each.pid:  # its session
                os.kill(int(process), signal.SIGKILL)


def training(sweep, outputs, count=2):
    """Wait until some runs have reached their second epoch; returns seed → process that trains it."""

    def found():
        epochs = [Run(folder).summary().get("epochs", 0) for folder in tiny.folders(outputs)]
        return sum(each >= 2 for each in epochs) >= count

    assert wait(found, sweep.pid), "nothing is trained"
    return {Run(folder).seed: process_of(folder) for folder in tiny.folders(outputs)}


def process_of(folder):
    """The process that has a run's lock file open."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if link.readlink() == folder / layout.LOCK:
                return int(link.parts[2])
        except OSError:
            continue
    return None


def gone(process, sweep):
    return wait(lambda: process not in running(), sweep.pid)


def running():
    """The processes that are no zombies."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            if path.read_text().rpartition(")")[2].split()[0] != "Z":
                found.add(int(path.parent.name))
        except OSError:
            continue
    return found


pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks for processes in /proc")


def test_a_job_that_is_killed_ends_alone_and_ctrl_c_lets_the_others_save(start, tmp_path):
    sweep = start(FOREVER, "seed=0,1,2")
    jobs = training(sweep, tmp_path)
    killed, other = sorted(jobs)
    os.kill(jobs[killed], signal.SIGKILL)
    assert gone(jobs[killed], sweep)

    def taken():
        runs = [Run(folder) for folder in tiny.folders(tmp_path)]
        return any(run.seed == 2 and run.summary().get("epochs", 0) >= 2 for run in runs)

    assert wait(taken, sweep.pid), "the third run takes the place of the killed one"
    assert jobs[other] in running()
    os.killpg(sweep.pid, signal.SIGINT)
    said, _ = sweep.communicate(timeout=PATIENCE)
    status = {Run(folder).seed: Run(folder).summary() for folder in tiny.folders(tmp_path)}
    assert status[killed]["status"] == "failed"
    assert status[killed]["stopped"].startswith("its process was killed (SIGKILL)")
    assert {status[other]["status"], status[2]["status"]} == {"interrupted"}, said
    assert "1 failed" in said
    assert "2 interrupted" in said
    assert "Traceback" not in said
    assert sweep.returncode == 130
    assert not list(tmp_path.rglob("sweep-*"))
    for folder in tiny.folders(tmp_path):  # what was saved in the middle of an epoch
        if Run(folder).summary()["status"] == "interrupted":
            assert Run(folder).last_checkpoint.exists()


def test_if_the_sweep_is_killed_its_jobs_save_and_end(start, tmp_path):
    sweep = start(FOREVER, "seed=0,1,2")
    jobs = training(sweep, tmp_path)
    sweep.kill()
    sweep.wait()
    assert all(gone(process, sweep) for process in jobs.values())
    folders = tiny.folders(tmp_path)
    assert {Run(folder).summary()["status"] for folder in folders} == {"interrupted"}
    assert {Run(folder).seed for folder in folders} == set(jobs), "no further run begins"


def begun(folder, jobs=2, outlived=False):
    """A register whose sweep runs in this process, without the thread that gives signs of life."""
    made = Register.new(folder, jobs, outlived=outlived)
    made._begin()
    return made


def test_the_progress_of_a_sweep_can_be_looked_at(tmp_path):
    register = begun(tmp_path / ".hydra", 3)
    register.add(Entry("a", False))
    register.add(Entry("b", False, "failed", "why"))
    assert under_way(tmp_path) == ["2 of 3 runs, 1 failed"]
    assert [entry.folder for entry in register.close()] == ["a", "b"]
    assert under_way(tmp_path) == []


@pytest.mark.parametrize("waits", [True, False])
def test_the_last_job_compares_where_nobody_waits_any_more(tmp_path, monkeypatch, waits):
    monkeypatch.setattr(registers, "_SIGN", 0.05)
    monkeypatch.setattr(registers, "_ATTENTION", 1)
    register = Register(tmp_path / "sweep-1-ab", 2, outlived=True)
    ended = threading.Event()
    waiting = threading.Thread(target=register.attend, args=(ended,))
    waiting.start()
    time.sleep(0.1)
    if not waits:  # its shell was closed
        ended.set()
        waiting.join()
    register.add(Entry("a", True))
    assert not register.abandoned(), "a job is left"
    register.add(Entry("b", True))
    assert register.abandoned() is not waits
    ended.set()
    waiting.join()
    register.close()
    assert not register.abandoned()


def test_a_job_notes_its_number_and_one_that_slurm_ended_counts_once(tmp_path, monkeypatch, capsys):
    """One that is cancelled notes that it was interrupted, and leaves no result to the process that waits for it."""
    noted = []
    monkeypatch.setattr(
        Register, "add", lambda self, entry, add=Register.add: (noted.append(entry), add(self, entry))
    )
    assert cli.main(["train", "-m", *tiny.SETTINGS, *tiny.LEAN, f"output_dir={tmp_path}", "seed=3,4"]) == 0
    assert [each.number for each in noted] == [0, 1]
    register = Register(tmp_path / "sweep-1-ab", 2)
    register.add(noted[0])
    register.add(replace(noted[1], result="interrupted"))
    errors = SimpleNamespace(FailedJobError=RuntimeError, UncompletedJobError=RuntimeError)
    for name, module in (("submitit", None), ("submitit.core", None), ("submitit.core.utils", errors)):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(slurm, "_is_queued", lambda job: False)
    monkeypatch.setattr(slurm, "_POLL", 0)
    paths = SimpleNamespace(result_pickle=tmp_path / "no result", stdout=tmp_path / "log")
    slurm._Waiting(SimpleNamespace(job_id="7_1", paths=paths), ["seed=4"], 1, register, "7").results()
    assert register.progress() == "2 of 2 runs, 1 failed"
    capsys.readouterr()
    show(register.close())
    said = capsys.readouterr().err
    assert "1 finished, 1 failed:" in said
    assert f"failed: {noted[1].folder}: job 7_1: SLURM ended it" in said


def rewritten(register, **owner):
    """Give a register another owner."""
    first, *rest = register.path.read_text().splitlines()
    state = json.loads(first)
    state["owner"] |= owner
    register.path.write_text("\n".join([json.dumps(state), *rest]) + "\n")
    return register


def left(folder):
    remove_stale(folder)
    return [path.name for path in folder.iterdir()]


def silent(register, seconds):
    os.utime(register.path, (time.time() - seconds,) * 2)


def test_the_register_of_a_sweep_that_was_killed_is_removed_at_once_and_one_that_runs_is_not(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    killed = rewritten(begun(tmp_path), process=ended.pid)
    killed._stop.touch()
    killed._attended.touch()
    runs = begun(tmp_path)
    assert left(tmp_path) == [runs.path.name]


@pytest.mark.parametrize("other", [{"host": "elsewhere"}, {"namespace": "pid:[1]"}], ids=str)
def test_the_register_of_another_machine_is_kept_as_long_as_it_gives_signs_of_life(tmp_path, other):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    register = rewritten(begun(tmp_path), process=ended.pid, **other)
    assert left(tmp_path) == [register.path.name]
    silent(register, 3600)
    register._attended.touch()
    assert len(left(tmp_path)) == 2
    register._attended.unlink()
    assert left(tmp_path) == []


def test_jobs_that_wait_in_the_queue_of_a_cluster_are_not_forgotten(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    register = rewritten(begun(tmp_path, outlived=True), process=ended.pid)
    silent(register, 86400)
    assert left(tmp_path) == [register.path.name]
    silent(register, 86400 * 40)
    assert left(tmp_path) == []


def test_a_register_of_version_0_2_says_nothing_of_its_owner(tmp_path):
    path = tmp_path / f"sweep-{os.getpid()}-ab"
    path.write_text('{"jobs": 3}\n')
    assert left(tmp_path) == [path.name]
    silent(Register(path), 3600)
    assert left(tmp_path) == []


def test_a_sweep_remembers_its_jobs_where_somebody_removes_the_register(tmp_path, monkeypatch):
    monkeypatch.setattr(registers, "_SIGN", 0.01)
    register = Register.new(tmp_path, 3, outlived=False)

    with register.open():
        register.add(Entry("a", True, "failed", "why"))
        wait(lambda: register.seen)
        register.path.unlink()
        wait(register.lines)
        Register(register.path).add(Entry("b", True))  # from another process
        assert Register(register.path, 3).progress() == "2 of 3 runs, 1 failed"
    assert [(entry.folder, entry.result) for entry in register.close()] == [
        ("a", "failed"),
        ("b", "finished"),
    ]
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root makes name spaces")
def test_a_command_in_another_name_space_of_processes_leaves_a_running_sweep_alone(tmp_path):
    register = begun(tmp_path)
    code = (
        "import sys; from pathlib import Path; from seq2seq_lab.launch.register import *;"
        "remove_stale(Path(sys.argv[1]))"
    )
    command = ["unshare", "-pf", "--mount-proc", sys.executable, "-c", code, str(tmp_path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no unshare")
    if done.returncode and "unshare" in done.stderr:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr
    assert register.path.exists()


@pytest.mark.parametrize(
    ("visible", "count", "devices", "expected"),
    [
        (None, 4, 1, ["0", "1", "2", "3", "0"]),
        ("5,7", 8, 1, ["5", "7", "5", "7", "5"]),
        (None, 1, 1, [None] * 5),
        ("3", 8, 1, ["3"] * 5),
        (None, 5, 2, ["0,1", "2,3", "0,1", "2,3", "0,1"]),
        ("5,7,a,b", 8, "2", ["5,7", "a,b", "5,7", "a,b", "5,7"]),
        (None, 3, 2, [None] * 5),
        (None, 4, [1], [None] * 5),
    ],
)
def test_each_job_gets_cards_of_its_own(monkeypatch, tmp_path, visible, count, devices, expected):
    monkeypatch.setattr("torch.cuda.device_count", lambda: count)
    found = []
    for job in range(5):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        with isolate.own_cards(job, {"devices": devices}, tmp_path / "sweep"):
            found.append(os.environ.get("CUDA_VISIBLE_DEVICES"))
    assert found == expected


def test_a_job_gets_cards_that_no_other_one_has(monkeypatch, tmp_path):
    """Also where those whose turn it is are the others', as the jobs between them were finished before."""
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    register = Register(tmp_path / "sweep")
    found = []
    with ExitStack() as jobs:
        for job in (1, 4, 7, 10):
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
            jobs.enter_context(isolate.own_cards(job, {"devices": 1}, register.path))
            found.append(os.environ["CUDA_VISIBLE_DEVICES"])
    assert found == ["1", "2", "0", "1"], "the last one is one too many"
    register.close()
    assert not [*tmp_path.iterdir()]


def test_a_sweep_releases_the_memory_of_its_runs(tmp_path):
    script = """
import gc, sys
from seq2seq_lab.commands import main as cli
assert cli.main(sys.argv[1:]) == 0
from seq2seq_lab.training.module import TranslationModule
gc.collect()
print(sum(isinstance(each, TranslationModule) for each in gc.get_objects()))
gc.unfreeze()
print(sum(isinstance(each, TranslationModule) for each in gc.get_objects()))
"""
    arguments = ["train", "-m", "seed=0,1,2", *tiny.SETTINGS, *tiny.LEAN, f"output_dir={tmp_path}"]
    command = [sys.executable, "-c", script, *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stdout.split()[-2:] == ["0", "0"]
