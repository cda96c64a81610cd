"""A sweep of runs of one epoch in one process: what surrounds the training of each, and a repetition of all of it."""

import os
import subprocess
import sys
import tempfile

from benchmarks.table import show

RUNS = 20
# A sweep in a process of its own, which prints its seconds of processor time and those of its updates alone.
SCRIPT = """
import resource, sys, time
from seq2seq_lab.commands.main import main
import seq2seq_lab.training.module as module

updates, spent = module.TranslationModule.training_step, [0.0]

def timed(*arguments):
    started = time.process_time()
    try:
        return updates(*arguments)
    finally:
        spent[0] += time.process_time() - started

module.TranslationModule.training_step = timed
before = time.process_time()
out, sys.stdout = sys.stdout, sys.stderr
assert main(sys.argv[1:]) == 0
sys.stdout = out
print(time.process_time() - before, spent[0])
"""


def main() -> None:
    """Print the table."""
    rows = []
    for model in ("seq2seq", "attention"):
        with tempfile.TemporaryDirectory() as folder:
            _sweep(
                folder, model, 1, "output_dir=" + folder + "/first"
            )  # compiles where that was not done yet
            one, many, again = (
                _sweep(folder, model, runs, f"output_dir={folder}/{runs}") for runs in (1, 1 + RUNS, 1 + RUNS)
            )
        whole, training = ((theirs - ours) / RUNS for ours, theirs in zip(one, many, strict=True))
        rows.append(
            (
                model,
                f"{whole:.2f}",
                f"{training:.2f}",
                f"{whole - training:.2f}",
                f"{(whole - training) / training:.2f}",
                f"{(again[0] - one[0] + whole) / (1 + RUNS):.3f}",
            )
        )
    header = ("toy, one epoch", "a run s", "its updates s", "beside them s", "ratio", "a finished run s")
    show(f"Each further run of a sweep of {RUNS} in one process, processor time, 1 thread", header, rows)


def _sweep(folder: str, model: str, runs: int, *overrides: str) -> tuple[float, float]:
    """Processor time of a sweep and of the updates in it, in seconds."""
    settings = (f"model={model}", "trainer.max_epochs=1", "threads=1", "compare=false", f"seed=range({runs})")
    command = [sys.executable, "-c", SCRIPT, "train", "-m", "data=toy", *settings, *overrides]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, cwd=folder
    )
    if done.returncode:
        raise SystemExit(f"a sweep failed:\n{done.stderr[-2000:]}")
    whole, updates = map(float, done.stdout.split())
    return whole, updates
