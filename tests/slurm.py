"""A sweep on a real SLURM: `make test-slurm`, as root on a Debian machine.

An array of four jobs and a bad value: one job is pre-empted (`scontrol requeue`) and one is cancelled while it runs.
The sweep must end with the comparison of all others, name both, and exit with status 1; the same command then trains
what is missing, and every run equals one that was trained without SLURM.
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
    "trainer.max_epochs=60",
)
SLURM = ("hydra/launcher=submitit_slurm", "hydra.launcher.timeout_min=10", "hydra.launcher.cpus_per_task=1")


def start(outputs, *overrides):
    command = [
        sys.executable,
        "-m",
        "seq2seq_lab",
        "train",
        "-m",
        *COMMON,
        *overrides,
        f"output_dir={outputs}",
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


def main():
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        alone, cluster = Path(folder, "alone"), Path(folder, "cluster")
        sweep = start(cluster, *SLURM, "seed=0,1,2,3,-1")
        first, second, *_ = running(cluster, 2)
        subprocess.run(["scontrol", "requeue", first], check=True)
        subprocess.run(["scancel", second], check=True)
        said, _ = sweep.communicate(timeout=900)
        print(said[-1500:])
        assert sweep.returncode == 1, sweep.returncode
        assert "seed: -1 is less than 0" in said
        assert "SLURM ended it" in said
        assert "Traceback" not in said
        assert "Report: " in said
        print("the same command again")
        sweep = start(cluster, *SLURM, "seed=0,1,2,3")
        said, _ = sweep.communicate(timeout=900)
        assert sweep.returncode == 0, said
        other = start(alone, "seed=0,1,2,3")
        other.communicate(timeout=900)
        assert other.returncode == 0
        runs = [path.relative_to(alone) for path in tiny.folders(alone)]
        assert runs == [path.relative_to(cluster) for path in tiny.folders(cluster)]
        for run in runs:
            wrong = kills.different(kills.outcome(cluster / run), kills.outcome(alone / run))
            assert not wrong, (run, wrong)
        print(f"{len(runs)} runs on SLURM, one pre-empted and one cancelled, equal those without it")


if __name__ == "__main__":
    main()
