"""A sweep on a real SLURM: `make test-slurm`, as root on a Debian machine.

An array of four jobs and one that diverges: one job is pre-empted (`scontrol requeue`) and one is cancelled while it
runs.
The sweep must end with the comparison of all others, name both, and exit with status 1; the same command then trains
what is missing. The process that waits for a second sweep is killed: its last job compares. The jobs of a third one
are over their time limit, and go on when SLURM queues them again. Every run equals one trained without SLURM.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import kills
import tiny
from seq2seq_lab.runs.run import Run

COMMON = (
    "data=toy",
    "data.pairs=60",
    "model.hidden_size=8",
    "model.embedding_size=8",
    "loader.batch_size=2",
    "accelerate=off",
    "callbacks.translations.maps=0",
    "threads=1",
)
SHORT, LONG = (
    "trainer.max_epochs=60",
    "trainer.max_epochs=500",
)  # the long one takes more than the minute it has
SLURM = ("hydra/launcher=submitit_slurm", "hydra.launcher.cpus_per_task=1")
TIME = "hydra.launcher.timeout_min=10"
NO_TIME = ("hydra.launcher.timeout_min=1", "hydra.launcher.signal_delay_s=20")


def start(outputs, *overrides):
    command = [
        sys.executable,
        "-m",
        "seq2seq_lab",
        "train",
        "-m",
        *COMMON,
        f"output_dir={outputs}",
        *overrides,
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def running(outputs, count):
    """Seed → job of the runs that have reached their third epoch, once there are enough of them."""
    for _ in range(600):
        found = [folder for folder in tiny.folders(outputs) if Run(folder).summary().get("epochs", 0) >= 3]
        if len(found) >= count:
            jobs = subprocess.run(
                ["squeue", "-h", "-r", "-t", "RUNNING", "-o", "%i"],
                capture_output=True,
                text=True,
                check=True,
            )
            return jobs.stdout.split()
        time.sleep(0.2)
    raise AssertionError("nothing runs")


def pre_empted_cancelled_and_diverged(cluster):
    diverges = ("--sweep", "seed=0,1,2,3", "--sweep", "seed=4", "optimizer.lr=1e38")
    sweep = start(cluster, *SLURM, TIME, SHORT, *diverges)
    first, second, *_ = running(cluster, 2)
    subprocess.run(["scontrol", "requeue", first], check=True)
    subprocess.run(["scancel", second], check=True)
    said, _ = sweep.communicate(timeout=900)
    print(said[-1500:])
    assert sweep.returncode == 1, sweep.returncode
    assert "training diverged" in said
    assert "SLURM ended it" in said
    assert "Traceback" not in said
    assert "Report: " in said
    print("the same command again")
    sweep = start(cluster, *SLURM, TIME, SHORT, "seed=0,1,2,3")
    said, _ = sweep.communicate(timeout=900)
    assert sweep.returncode == 0, said


def left_alone(cluster):
    sweep = start(cluster, *SLURM, TIME, SHORT, "seed=4,5")
    running(cluster, 1)
    sweep.kill()
    for _ in range(300):
        if list(cluster.rglob("report.html")):
            print("the last job of a sweep whose process was killed has compared its runs")
            return
        time.sleep(1)
    raise AssertionError("nobody compared the runs")


def over_its_time(cluster):
    sweep = start(cluster, *SLURM, *NO_TIME, LONG, "seed=6,7")
    said, _ = sweep.communicate(timeout=1800)
    print(said[-1500:])
    assert sweep.returncode == 0, said
    assert "Report: " in said
    logs = [path.read_text() for path in cluster.rglob("*_log.err")]
    assert any("timed-out" in each for each in logs), "no job was over its time limit"


def main():
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        alone, cluster = Path(folder, "alone"), Path(folder, "cluster")
        pre_empted_cancelled_and_diverged(cluster / "a")
        left_alone(cluster / "b")
        over_its_time(cluster / "c")
        for part, length, seeds in (("a", SHORT, "0,1,2,3"), ("b", SHORT, "4,5"), ("c", LONG, "6,7")):
            other = start(alone / part, length, f"seed={seeds}")
            other.communicate(timeout=900)
            assert other.returncode == 0
        runs = [path.relative_to(alone) for path in tiny.folders(alone)]
        of_cluster = [each for each in tiny.folders(cluster) if "lr=1e+38" not in str(each)]
        assert runs == [path.relative_to(cluster) for path in of_cluster]
        for run in runs:
            wrong = kills.different(kills.outcome(cluster / run), kills.outcome(alone / run))
            assert not wrong, (run, wrong)
        print(f"{len(runs)} runs on SLURM, whatever befell them, equal those without it")


if __name__ == "__main__":
    main()
