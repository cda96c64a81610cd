"""The start-up time of the console command."""

import subprocess
import sys
import tempfile

from benchmarks.table import ARCHIVE, seconds, show


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
        times = {name: seconds(lambda arguments=line: _run(arguments), 2) for name, line in commands.items()}
    rows = [(f"seq2seq-lab {name}", f"{taken:.2f}") for name, taken in times.items()]
    rows.append(("(python -c 'import torch')", f"{seconds(lambda: _python('-c', 'import torch'), 2):.2f}"))
    show("Start-up", ("command", "s"), rows)


def _run(arguments: list[str]) -> None:
    _python("-m", "seq2seq_lab", *arguments)


def _python(*arguments: str) -> None:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
