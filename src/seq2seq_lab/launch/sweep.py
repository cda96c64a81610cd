"""The jobs of a sweep: the result of each, from any process or machine, and their comparison."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from seq2seq_lab.runs.run import Run


@dataclass(frozen=True)
class Entry:
    """The result of one job.

    Attributes:
        folder: the folder of its run; None if the configuration was invalid before the folder was known.
        compare: whether to compare the run with the others.
        error: the error message; empty if the job succeeded.
        shown: whether the error was already printed on the user's terminal.
    """

    folder: str | None
    compare: bool
    error: str = ""
    shown: bool = False


@dataclass(frozen=True)
class Register:
    """A file to which each job of a sweep adds an entry.

    The launching process chooses its path, and reads and removes it at the end.
    """

    path: Path

    def add(self, entry: Entry) -> None:
        """Append an entry."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(entry)) + "\n")

    def close(self) -> list[Entry]:
        """Remove the file; returns its entries (empty if no job has ended)."""
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").splitlines()
        self.path.unlink()
        return [Entry(**json.loads(line)) for line in lines]


def show_errors(entries: Sequence[Entry]) -> None:
    """Print the errors that were not shown yet: those of jobs in other processes."""
    for entry in entries:
        if entry.error and not entry.shown:
            print(entry.error, file=sys.stderr)


def compare_all(entries: Sequence[Entry]) -> None:
    """Compare the runs of a sweep, except those with `compare=false`."""
    folders = {Path(entry.folder) for entry in entries if entry.folder is not None and entry.compare}
    # Earlier runs of the same configurations with other seeds are included in the means.
    runs = sorted({run for folder in folders for run in folder.parent.glob("seed-*") if Run(run).exists()})
    if len(runs) > 1:
        from seq2seq_lab.compare import compare

        print()
        compare(runs)
    if refused := sorted(str(folder) for folder in folders if not Run(folder).exists()):
        print(f"Note: these runs did not start because of the errors above: {', '.join(refused)}")
