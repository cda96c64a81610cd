"""The jobs of a sweep: the result of each, from any process or machine, and their comparison."""

import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from seq2seq_lab.files import write_text
from seq2seq_lab.runs.lock import is_alive
from seq2seq_lab.runs.run import Run

_SIGN = 5.0  # seconds between two signs of the process that waits for the jobs
_ATTENTION = 60.0  # without a sign for so many seconds it is gone; a shared file system may show one late
FINISHED, FAILED, INTERRUPTED, NOT_STARTED = "finished", "failed", "interrupted", "not started"


@dataclass(frozen=True)
class Entry:
    """The result of one job.

    Attributes:
        folder: the folder of its run; None if the configuration was invalid before the folder was known.
        compare: whether to compare the run with the others.
        result: finished, failed, interrupted, or not started as the sweep was stopped before.
        error: the error message; empty if the job did not fail.
        shown: whether the error was already printed on the user's terminal.
    """

    folder: str | None
    compare: bool
    result: str = FINISHED
    error: str = ""
    shown: bool = False


@dataclass(frozen=True)
class Register:
    """A file to which each job of a sweep adds an entry.

    The launching process chooses its path, and reads and removes it at the end.

    Attributes:
        path: the file. Beside it may lie another one, with the suffix `.stop`: then no further job starts.
        jobs: how many jobs the sweep has; None if that is not known.
    """

    path: Path
    jobs: int | None = None

    def begin(self) -> None:
        """Write the number of jobs, for whoever looks at the sweep while it runs."""
        self._append({"jobs": self.jobs})

    def add(self, entry: Entry) -> None:
        """Append an entry, with one write, so that several machines can append to a shared file."""
        self._append(asdict(entry))

    def _append(self, state: Mapping[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab", buffering=0) as file:
            file.write((json.dumps(dict(state)) + "\n").encode())

    def entries(self) -> list[Entry]:
        """The entries so far; of a job that was queued again, the last one."""
        found: dict[str, Entry] = {}
        with suppress(OSError):
            for number, line in enumerate(self.path.read_text(encoding="utf-8").splitlines()):
                state = json.loads(line)
                if "jobs" in state:
                    continue
                entry = Entry(**state)
                found[entry.folder or str(number)] = entry
        return list(found.values())

    def close(self) -> list[Entry]:
        """Remove the file; returns its entries (empty if no job has ended)."""
        entries = self.entries()
        for path in (self.path, self._stop, self._attended):
            with suppress(OSError):  # there may be no such folder
                path.unlink(missing_ok=True)
        return entries

    def stop(self) -> None:
        """Let no further job start."""
        write_text(self._stop, "")

    @property
    def stopped(self) -> bool:
        """Whether no further job is to start."""
        return self._stop.exists()

    def attend(self, ended: threading.Event) -> None:
        """Show the jobs, until an event, that a process waits for them."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            with suppress(OSError):
                self._attended.touch()
            if ended.wait(_SIGN):
                return

    def abandoned(self) -> bool:
        """Whether all jobs have ended and the process that waited for them is gone, as its shell was closed.

        The last job waits here until it knows.
        """
        if self.jobs != len(self.entries()):
            return False
        with suppress(OSError):  # nobody waits in another process, or it has just ended the sweep
            sign = self._attended.stat().st_mtime_ns
            until = time.monotonic() + _ATTENTION
            while time.monotonic() < until:
                time.sleep(_SIGN / 5)
                if self._attended.stat().st_mtime_ns != sign:
                    return False
            return True
        return False

    @property
    def _stop(self) -> Path:
        return self.path.with_suffix(".stop")

    @property
    def _attended(self) -> Path:
        return self.path.with_suffix(".attended")

    def progress(self) -> str:
        """The number of jobs that have ended, such as "3 of 12 runs, 1 failed"."""
        entries = self.entries()
        failed = sum(entry.result == FAILED for entry in entries)
        of = f" of {self.jobs}" if self.jobs is not None else ""
        return f"{len(entries)}{of} runs{f', {failed} failed' if failed else ''}"


def under_way(outputs: Path) -> list[str]:
    """The progress of each sweep that puts its runs below a folder and has not ended."""
    found = []
    for path in sorted((outputs / ".hydra").glob("sweep-*")):
        with suppress(OSError, ValueError, KeyError):
            jobs = json.loads(path.read_text(encoding="utf-8").splitlines()[0])["jobs"]
            found.append(Register(path, jobs).progress())
    return found


def remove_stale(folder: Path) -> None:
    """Remove the registers of sweeps whose process on this machine has ended."""
    for path in folder.glob("sweep-*"):
        process = path.name.split("-")[1]
        if process.isdecimal() and not is_alive(int(process)):
            path.unlink(missing_ok=True)


@contextmanager
def stopping(register: Register) -> Iterator[None]:
    """On Ctrl-C or SIGTERM, let the jobs in other processes save, start no further one, and then raise.

    A second signal ends all at once.

    Raises:
        KeyboardInterrupt: a signal was received.
    """
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        register.stop()
        restore()
        print("\nstopping; the runs save what they have reached", file=sys.stderr, flush=True)
        for job in _children(os.getpid()):
            with suppress(OSError):
                os.kill(job, signal.SIGTERM)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    try:
        yield
    finally:
        restore()
    if asked:
        raise KeyboardInterrupt


def _children(process: int) -> list[int]:
    """The processes of the jobs: children of the workers, which are children of a process. On Linux only."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(path.parent.name))
    return [job for worker in parents.get(process, []) for job in parents.get(worker, [])]


def show(entries: Sequence[Entry]) -> None:
    """Print the errors that were not shown yet, those of jobs in other processes; then what became of the jobs."""
    for entry in entries:
        if entry.error and not entry.shown:
            print(entry.error, file=sys.stderr)
    counts = Counter(entry.result for entry in entries)
    if len(entries) == counts[FINISHED]:
        return
    print(f"\n{', '.join(f'{count} {result}' for result, count in counts.items())}:", file=sys.stderr)
    for entry in entries:
        if entry.result in (FAILED, INTERRUPTED):
            why = entry.error.splitlines()[0].removeprefix(f"{entry.folder}: ") if entry.error else ""
            print(f"  {entry.result}: {entry.folder or 'a job'}{f': {why}' if why else ''}", file=sys.stderr)
    if counts[INTERRUPTED] + counts[NOT_STARTED]:
        print("the same command goes on from there", file=sys.stderr)


def compare_all(entries: Sequence[Entry]) -> None:
    """Compare the runs of a sweep, except those with `compare=false`."""
    folders = {Path(entry.folder) for entry in entries if entry.folder is not None and entry.compare}
    # Earlier runs of the same configurations with other seeds are included in the means.
    runs = sorted({run for folder in folders for run in folder.parent.glob("seed-*") if Run(run).exists()})
    if len(runs) > 1:
        from seq2seq_lab.compare import compare

        print()
        compare(runs)
