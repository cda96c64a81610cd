"""The runs of a sweep: which they are, whatever process or machine trains each, and their comparison at the end."""

import os
import uuid
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback

from seq2seq_lab.runs.run import Run

_REGISTER = "SEQ2SEQ_LAB_SWEEP"  # names a file, in the output directory, that each job adds its folder to


class Register(Callback):
    """Hydra's callback at the start of a sweep; jobs inherit the environment that it sets."""

    def on_multirun_start(self, config: Any, **kwargs: Any) -> None:
        """Open the register of this sweep's runs."""
        path = Path(config.output_dir).absolute() / ".hydra" / f"sweep-{uuid.uuid4().hex}"
        path.parent.mkdir(parents=True, exist_ok=True)
        os.environ[_REGISTER] = str(path)


def enter(folder: Path) -> None:
    """Add a run to the register, if there is one."""
    if path := os.environ.get(_REGISTER):
        with Path(path).open("a", encoding="utf-8") as register:
            register.write(f"{folder.absolute()}\n")


def compare_all() -> None:
    """Close the register, if one was opened, and compare its runs."""
    if (path := os.environ.pop(_REGISTER, None)) is None or not Path(path).exists():
        return
    folders = {Path(line) for line in Path(path).read_text(encoding="utf-8").splitlines()}
    Path(path).unlink()
    # Seeds that an earlier sweep gave the same configurations belong to their means.
    runs = sorted({run for folder in folders for run in folder.parent.glob("seed-*") if Run(run).exists()})
    if len(runs) > 1:
        from seq2seq_lab.compare import compare

        print()
        compare(runs)
    if refused := sorted(str(folder) for folder in folders if not Run(folder).exists()):
        print(f"Note: these never began, as said above: {', '.join(refused)}")


def forget() -> None:
    """Close the register of a sweep that was stopped."""
    if path := os.environ.pop(_REGISTER, None):
        Path(path).unlink(missing_ok=True)
