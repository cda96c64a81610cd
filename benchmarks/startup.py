"""The start-up time of the console command, beside that of PyTorch."""

import resource
import subprocess
import sys
import tempfile

from benchmarks.table import ARCHIVE, show


def main() -> None:
    """Print the table."""
    corpus = "eng_fra" if ARCHIVE else "toy"
    with tempfile.TemporaryDirectory() as folder:
        # One block with one update, so that the command ends after its first update.
        first = (
            f"data={corpus} logger=none callbacks=none trainer.max_epochs=1 +trainer.limit_train_batches=1"
        )
        rest = f"+trainer.limit_val_batches=0 loader.updates_per_block=1 output_dir={folder} fresh=true"
        commands = {
            "--help": ["--help"],
            f"data data={corpus}": ["data", f"data={corpus}"],
            "train, one update": ["train", *first.split(), *rest.split()],
        }
        _run(commands["train, one update"])  # compiles where that was not done yet
        times = {f"seq2seq-lab {name}": _run(line) for name, line in commands.items()}
    for libraries in ("torch", "torch, pytorch_lightning"):
        times[f"(python -c 'import {libraries}')"] = _python("-c", f"import {libraries}")
    least = times["(python -c 'import torch')"]
    rows = [(name, f"{taken:.2f}", f"{taken / least:.2f}") for name, taken in times.items()]
    show("Start-up, processor time", ("command", "s", "ratio to PyTorch's import"), rows)


def _run(arguments: list[str]) -> float:
    return _python("-m", "seq2seq_lab", *arguments)


def _python(*arguments: str) -> float:
    """Run Python; returns its processor time in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
