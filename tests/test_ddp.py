"""Several devices for one run give what one gives, up to rounding: here processes on the CPU, in double precision."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lightning_fabric.plugins.environments.lightning import find_free_network_port

import ddp_runs
import tiny
from seq2seq_lab.config.options import options
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs.run import Run
from seq2seq_lab.training import processes
from seq2seq_lab.training.train import train

# Blocks of four updates on three pairs, so that the shares are unequal; of 37 pairs, one is left for the last update.
BATCHES = (
    "loader.batch_size=3",
    "loader.updates_per_block=4",
    "+trainer.precision=64-true",
    "accelerate=off",
    "trainer=ddp",
    "trainer.accelerator=cpu",
    "trainer.max_epochs=2",
)
ONE = "trainer.devices=1"
FORCED = ("model=attention", "model.dropout=0.2", "gradient_clip=1")
OTHERS = (
    "optimizer=adamw",
    "objective=minimum_risk",
    "lr_schedule=inverse_sqrt",
    "model.layers=2",
    "data.pairs=38",
)
# What a target and an objective measure is that of all pairs, too.
LEARNT = (
    "target=optimal_completion forcing=mixed forcing/feeder=sample",
    "target=reward_sampled target.distance=edit target.samples=2",
    "target=mixed objective=r_drop model.dropout=0.2",
    "objective=self_critical",
)
SETTINGS = {
    **{policy: (f"forcing={policy}", *FORCED) for policy in options("forcing")},
    **{setting: (setting,) for setting in OTHERS},
    "lr_schedule=plateau": (
        "lr_schedule=plateau",
        "lr_schedule.metric=val/loss_forced",
        "callbacks=[default,early_stopping]",
    ),
    **{each: tuple(each.split()) for each in LEARNT},
    "frozen": (f"+callbacks.frozen._target_={ddp_runs.__name__}.Frozen",),
}
RESUMED = ("forcing=mixed", "optimizer=adam", "model.dropout=0.2")


def losses(folder):
    return [float(row["train/loss"]) for row in tiny.rows(folder) if row["train/loss"]]


def close(one, other):
    weights, others = tiny.weights(one), tiny.weights(other)
    return losses(one) == pytest.approx(losses(other), rel=1e-9) and all(
        weights[name].numpy() == pytest.approx(others[name].numpy(), abs=1e-8) for name in weights
    )


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """The runs of two processes, all of one pair, as each start takes seconds: name → folder."""
    outputs = tmp_path_factory.mktemp("shared")
    begun = tiny.stop(outputs / "begun by one", *BATCHES, *RESUMED, ONE, block=5)
    runs = {name: (*BATCHES, *settings) for name, settings in SETTINGS.items()}
    processes.start_processes(2, ddp_runs.train_all, outputs, runs, (*BATCHES, *RESUMED), begun)
    names = [*runs, "begun by two"]
    return {name: tiny.folders(outputs / name)[0] for name in names} | {"begun by one": begun}


@pytest.mark.parametrize("name", SETTINGS)
def test_two_processes_equal_one(tmp_path, shared, name):
    one = tiny.train(tmp_path, *BATCHES, *SETTINGS[name], ONE)
    assert close(one, shared[name])
    for row, other in zip(tiny.rows(one), tiny.rows(shared[name]), strict=True):
        names = [each for each in row if each.startswith("train/") and row[each]]
        assert {each: float(row[each]) for each in names} == pytest.approx(
            {each: float(other[each]) for each in names}, rel=1e-6
        )
    assert Run(shared[name]).summary()["accelerate"]["updates"] == "ddp"
    assert {each.name for each in one.iterdir()} == {each.name for each in shared[name].iterdir()}


@pytest.mark.parametrize("begun", ["begun by one", "begun by two"])
def test_a_run_goes_on_with_another_number_of_processes(tmp_path, shared, begun):
    if begun == "begun by two":
        assert Run(shared[begun]).status == "interrupted"
        assert Run(shared[begun]).epochs == 1, "in the second epoch: at the same block of both processes"
        tiny.train(tmp_path, *BATCHES, *RESUMED, ONE, folder=shared[begun])
    whole = tiny.train(tmp_path, *BATCHES, *RESUMED, ONE)
    assert Run(shared[begun]).finished
    assert close(shared[begun], whole)


def command(
    outputs,
    *more,
    start=(sys.executable, "-m", "seq2seq_lab"),
    flags=(),
    lean=tiny.LEAN,
    folder=None,
    environment=None,
):
    """Start the command in a session of its own."""
    given = (*tiny.SETTINGS, *lean, *BATCHES, f"output_dir={outputs}", *more)
    return subprocess.Popen(
        [*start, "train", *flags, *given],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **(environment or {})},
    )


def workers(process):
    """The numbers of the processes of a run, in their order."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(each) for each in children if b"spawn_main" in Path(f"/proc/{each}/cmdline").read_bytes()]


def when_trained(folder, epochs=1):
    """The folder of the run that trains, once it has done some epochs."""
    until = time.monotonic() + 300  # a loaded machine takes minutes to start three processes
    while time.monotonic() < until:
        time.sleep(0.05)
        found = tiny.folders(folder)
        if found and Run(found[0]).epochs >= epochs:
            return found[0]
    raise AssertionError("it does not train")


def ended(process):
    """Status, lines on standard error, and seconds until the command ended."""
    started = time.monotonic()
    _, error = process.communicate(timeout=150)
    return process.returncode, error.strip().splitlines(), time.monotonic() - started


LONG = "trainer.max_epochs=3000"
on_linux = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc")


@on_linux
@pytest.mark.parametrize(
    ("number", "rank", "line"),
    [
        (signal.SIGKILL, 1, "process 1 of 2 was killed (SIGKILL)"),
        pytest.param(signal.SIGKILL, 0, "process 0 of 2 was killed (SIGKILL)", marks=pytest.mark.slow),
        pytest.param(signal.SIGSTOP, 1, "process 1 of 2 does not answer", marks=pytest.mark.slow),
        pytest.param(signal.SIGSTOP, 0, "process 0 of 2 does not answer", marks=pytest.mark.slow),
    ],
)
def test_a_process_that_is_lost_ends_the_run_with_a_line(tmp_path, number, rank, line):
    process = command(tmp_path, LONG)
    folder = when_trained(tmp_path)
    others = workers(process)
    os.kill(others[rank], number)
    status, lines, seconds = ended(process)
    assert status == 1
    assert len(lines) == 1
    assert line in lines[0]
    assert seconds < 30
    assert not any(Path(f"/proc/{each}").exists() for each in others)
    goes_on(folder)


@on_linux
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_interrupted_processes_save_and_end(tmp_path, number):
    write_own_callback(tmp_path)
    own = ("--config-dir", str(tmp_path / "conf"), "callbacks=own")
    process = command(tmp_path / "outputs", LONG, *own, lean=(), folder=tmp_path)
    folder = when_trained(tmp_path / "outputs")
    others = workers(process)
    os.kill(process.pid, number)
    status, lines, seconds = ended(process)
    assert status == 130
    assert lines == [
        "stopping at the end of this block; press Ctrl-C again to stop at once",
        f"{folder}: interrupted; run the same command to resume",
    ]
    assert seconds < 30
    assert not any(Path(f"/proc/{each}").exists() for each in others)
    assert (tmp_path / "own.txt").read_text() == "01", "each process has the callback"
    assert Run(folder).status == "interrupted"


@on_linux
@pytest.mark.slow
def test_ctrl_c_twice_ends_processes_of_which_one_hangs(tmp_path):
    process = command(tmp_path, LONG)
    folder = when_trained(tmp_path)
    others = workers(process)
    os.kill(others[1], signal.SIGSTOP)
    for _ in range(2):
        os.kill(process.pid, signal.SIGINT)
        time.sleep(1)
    status, lines, seconds = ended(process)
    assert status == 130
    assert len(lines) <= 1
    assert seconds < 15
    assert not any(Path(f"/proc/{each}").exists() for each in others)
    goes_on(folder)


@on_linux
@pytest.mark.slow
def test_processes_end_with_the_one_that_started_them(tmp_path):
    process = command(tmp_path, LONG)
    folder = when_trained(tmp_path)
    others = workers(process)
    process.kill()
    ended(process)
    until = time.monotonic() + 30
    while any(Path(f"/proc/{each}").exists() for each in others) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{each}").exists() for each in others)
    assert Run(folder).status == "interrupted"


@pytest.mark.slow
def test_torchrun_starts_the_processes(tmp_path):
    one = tiny.train(tmp_path / "1", *BATCHES, ONE)
    process = command(tmp_path / "2", start=torchrun("--nproc-per-node=2"))
    output, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    (two,) = tiny.folders(tmp_path / "2")
    assert close(one, two)
    assert output.count("epoch 1/2") == output.count("training ") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "line"),
    [
        (("-m",), "-m: a sweep starts the processes of each of its runs itself; leave out torchrun"),
        (("trainer=cpu",), "torchrun has started 2 processes for one run; write trainer=ddp"),
        (
            ("trainer.devices=3",),
            "trainer.devices: 3 processes, with trainer.num_nodes=1, but torchrun has started 2",
        ),
    ],
)
def test_what_torchrun_cannot_start_is_a_line(tmp_path, given, line):
    settings = (*tiny.SETTINGS, "loader.batch_size=3", "trainer=ddp", f"output_dir={tmp_path}")
    start = (*torchrun("--nproc-per-node=2"), "train", *settings, *given)
    done = subprocess.run(start, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert any(line in each for each in done.stderr.splitlines())
    assert "seq2seq_lab/" not in done.stderr, "no traceback of ours"
    assert not tiny.folders(tmp_path)


@pytest.mark.slow
def test_srun(tmp_path):
    one = tiny.train(tmp_path / "1", *BATCHES, ONE)
    job = {
        "SLURM_JOB_ID": "4711",
        "SLURM_JOB_NAME": "own",
        "SLURM_NODELIST": "127.0.0.1",
        "SLURM_NODEID": "0",
    }
    job |= {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "MASTER_PORT": str(find_free_network_port())}
    tasks = [
        command(tmp_path / "2", environment=job | {"SLURM_PROCID": number, "SLURM_LOCALID": number})
        for number in "01"
    ]
    outputs = [task.communicate(timeout=120) for task in tasks]
    assert [task.returncode for task in tasks] == [0, 0], outputs
    assert close(one, tiny.folders(tmp_path / "2")[0])
    assert outputs[1][0] == ""


@pytest.mark.slow
def test_two_machines(tmp_path):
    one = tiny.train(tmp_path / "1", *BATCHES, ONE)
    port = find_free_network_port()
    nodes = [
        command(
            tmp_path / "2",
            "trainer.num_nodes=2",
            ONE,
            start=torchrun(
                "--nproc-per-node=1",
                "--nnodes=2",
                f"--node-rank={number}",
                "--master-addr=127.0.0.1",
                f"--master-port={port}",
            ),
        )
        for number in range(2)
    ]
    outputs = [node.communicate(timeout=120) for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], outputs
    (two,) = tiny.folders(tmp_path / "2")
    assert close(one, two)
    assert outputs[1][0] == "", "only process 0 prints"


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [(), ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")])
def test_a_sweep(tmp_path, launcher):
    one = [tiny.train(tmp_path / "1", *BATCHES, ONE, f"seed={seed}") for seed in range(2)]
    process = command(tmp_path / "2", "seed=0,1", *launcher, flags=("-m",))
    _, error = process.communicate(timeout=180)
    assert process.returncode == 0, error
    two = tiny.folders(tmp_path / "2")
    assert len(two) == 2
    assert all(map(close, one, two))


@pytest.mark.slow
def test_interrupted_processes_of_torchrun_save_and_end(tmp_path):
    process = command(tmp_path, LONG, start=torchrun("--nproc-per-node=2"))
    folder = when_trained(tmp_path)
    process.send_signal(signal.SIGINT)
    status, lines, _ = ended(process)
    assert status != 0
    assert lines.count(f"{folder}: interrupted; run the same command to resume") == 1
    assert Run(folder).status == "interrupted"
    goes_on(folder)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_of_torchrun_that_is_lost_ends_the_run(tmp_path, number):
    process = command(tmp_path, LONG, start=torchrun("--nproc-per-node=2"))
    folder = when_trained(tmp_path)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[1]), number)
    status, lines, _ = ended(process)
    assert status == 1
    # torchrun itself names a process that is killed, and ends the others at once.
    said = (
        "Signal 9 (SIGKILL) received" if number == signal.SIGKILL else "trainer=ddp: another process ended or"
    )
    assert any(said in line for line in lines)
    goes_on(folder)


def goes_on(folder):
    """Check that the run goes on from its last checkpoint."""
    config, epochs = Run(folder).config(), Run(folder).epochs
    train({**config, "trainer": config["trainer"] | {"devices": 1, "max_epochs": epochs + 2}}, folder)
    assert Run(folder).finished
    assert Run(folder).epochs == epochs + 2


def torchrun(*flags):
    return (sys.executable, "-m", "torch.distributed.run", *flags, "-m", "seq2seq_lab")


def write_own_callback(folder):
    """A class of a module in the working folder, and an option that names it."""
    (folder / "conf" / "callbacks").mkdir(parents=True)
    (folder / "conf" / "callbacks" / "own.yaml").write_text(
        "# Mine.\ndefaults: [default]\nown:\n  _target_: own_part.Own\nlast_checkpoint:\n"
        "  _target_: seq2seq_lab.training.callbacks.checkpoint.Checkpoint\n  filename: last\n"
        "  enable_version_counter: false\n"
    )
    (folder / "own_part.py").write_text(
        "import pytorch_lightning as pl\nclass Own(pl.Callback):\n    def on_train_start(self, trainer, module):\n"
        "        trainer.strategy.barrier()\n        for rank in range(2):\n"
        "            if trainer.global_rank == rank:\n"
        "                print(rank, end='', file=open('own.txt', 'a'))\n            trainer.strategy.barrier()\n"
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            ("loader.batch_size=1",),
            r"trainer\.devices: 2 processes, but loader\.batch_size=1: an update is divided by its pairs",
        ),
        (("trainer.num_nodes=2",), r"trainer\.devices: 4 processes, but"),
        (
            ("trainer.num_nodes=2", ONE),
            r"trainer\.num_nodes: 2; start the command on each machine by torchrun",
        ),
        (("trainer.num_nodes=0",), r"trainer\.num_nodes: it must be at least 1"),
        (("trainer.devices=auto",), r"trainer\.devices: auto on cpu"),
        (("trainer.devices=0",), r"trainer\.devices: 0 on cpu"),
        (("trainer.devices=[0,0]",), r"names a device twice"),
    ],
)
def test_what_cannot_be_divided_is_refused(tmp_path, given, message):
    with pytest.raises(UserError, match=message):
        tiny.train(tmp_path / "a", *BATCHES, *given)
    assert not (tmp_path / "a").exists()
