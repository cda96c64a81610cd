"""The register of a sweep: a file to which each job adds its result, from any process or machine."""

import json
import math
import re
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from seq2seq_lab.errors import counted
from seq2seq_lab.files import write_text
from seq2seq_lab.runs.lock import has_ended, this_process

_SIGN = 5.0  # seconds between two signs of the process that waits for the jobs
_ATTENTION = 60.0  # without a sign for so many seconds it is gone; a shared file system may show one late
_FORGOTTEN = 30 * 86400.0  # seconds after which jobs of a cluster that nobody waits for are given up
FINISHED, FAILED, INTERRUPTED, NOT_STARTED, PRUNED = (
    "finished",
    "failed",
    "interrupted",
    "not started",
    "pruned",
)


@dataclass(frozen=True)
class Entry:
    """The result of one job.

    Attributes:
        folder: the folder of its run; None if the configuration was invalid before the folder was known.
        compare: whether to compare the run with the others.
        result: finished, failed, interrupted, pruned by a search, or not started as the sweep was stopped before.
        error: the error message; empty if the job did not fail.
        shown: whether the error was already printed on the user's terminal.
        notify: the command that is to be called at the end of all jobs.
        number: that of the job in its sweep, by which the process that waits for it knows it.
    """

    folder: str | None
    compare: bool
    result: str = FINISHED
    error: str = ""
    shown: bool = False
    notify: str | None = None
    number: int | None = None


@dataclass
class Register:
    """A file to which each job of a sweep adds an entry.

    The launching process chooses its path, touches `.attended` beside it as a sign of life, and reads and removes both
    at the end. It remembers what it has read, in case that somebody else removes the file.

    Attributes:
        path: the file. Beside it may lie another one, with the suffix `.stop`: then no further job starts.
        jobs: how many jobs the sweep has; None if that is not known.
        outlived: whether the jobs go on without the launching process, as those in the queue of a cluster.
        seen: the entries that this process has read.
        alone: what became of a run that is of no sweep; in no file.
    """

    path: Path
    jobs: int | None = None
    outlived: bool = False
    seen: dict[str, Entry] = field(default_factory=dict, compare=False, repr=False)
    alone: list[Entry] = field(default_factory=list, compare=False, repr=False)

    @classmethod
    def new(cls, folder: Path, jobs: int | None, *, outlived: bool) -> "Register":
        """A register of this process in a folder; nothing is written yet."""
        process = this_process()
        host = re.sub(r"\W", "_", process["host"])
        name = f"sweep-{host}_{process['process']}-{uuid.uuid4().hex[:8]}"
        return cls(folder / name, jobs, outlived)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Write the number of jobs and whose the sweep is, and give signs of life while the block runs."""
        ended = threading.Event()
        attending = threading.Thread(target=self.attend, args=(ended,), daemon=True)
        with suppress(OSError):  # an output folder that cannot be: the jobs say so
            self._begin()
            attending.start()
        try:
            yield
        finally:
            ended.set()
            if attending.ident is not None:
                attending.join()

    def _begin(self) -> None:
        begun = {"jobs": self.jobs, "outlived": self.outlived, "owner": this_process()}
        self._append(begun, *map(asdict, self.seen.values()))

    def expect(self, jobs: int) -> None:
        """Note how many jobs the sweep has, once that is known."""
        self.jobs = jobs
        if self.path.exists():
            self._append({"jobs": jobs})

    def failures(self) -> int:
        """How many jobs have failed so far."""
        return sum(entry.result == FAILED for entry in self.entries())

    def add(self, entry: Entry) -> None:
        """Append an entry, with one write, so that several machines can append to a shared file."""
        self._append(asdict(entry))

    def _append(self, *states: Mapping[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab", buffering=0) as file:
            file.write("".join(json.dumps(dict(state)) + "\n" for state in states).encode())

    def entries(self) -> list[Entry]:
        """The entries so far; of a job that was queued again, the last one."""
        for number, state in enumerate(self.lines()):
            if "result" in state:
                entry = Entry(**state)
                self.seen[entry.folder or entry.error or str(number)] = entry
        return list(self.seen.values())

    def lines(self) -> list[dict[str, Any]]:
        """What the file holds: an entry a job, and whose the sweep is."""
        found = []
        with suppress(OSError):
            for line in self.path.read_text(encoding="utf-8").splitlines():
                with suppress(ValueError):  # not yet wholly written
                    found.append(json.loads(line))
        return found

    def close(self) -> list[Entry]:
        """Remove the file and those beside it; returns its entries (empty if no job has ended)."""
        entries = self.entries()
        for path in (self.path, *self.path.parent.glob(f"{self.path.name}.*")):
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
        """Show the jobs, until an event, that a process waits for them, and keep what they have written."""
        while True:
            with suppress(OSError):
                self._attended.touch()
                self.entries()
                if not any("owner" in state for state in self.lines()):  # somebody removed the file
                    self._begin()
            if ended.wait(_SIGN):
                return

    def abandoned(self) -> bool:
        """Whether all jobs have ended and the process that waited for them is gone, as its shell was closed.

        The last job waits here until it knows.
        """
        if not self.outlived or self.jobs != len(self.entries()):
            return False
        with suppress(OSError):  # it has just ended the sweep
            sign = self._attended.stat().st_mtime_ns
            until = time.monotonic() + _ATTENTION
            while time.monotonic() < until:
                time.sleep(_SIGN / 5)
                if self._attended.stat().st_mtime_ns != sign:
                    return False
            return True
        return False

    def is_stale(self) -> bool:
        """Whether its sweep has ended without closing it, as a killed one does."""
        begun = next((state for state in self.lines() if "owner" in state), {})
        signs = []
        for path in (self.path, self._attended):
            with suppress(OSError):
                signs.append(path.stat().st_mtime)
        silent = time.time() - max(signs, default=math.inf)
        return silent > _FORGOTTEN if begun.get("outlived") else has_ended(begun.get("owner", {}), silent)

    @property
    def _stop(self) -> Path:
        return self.path.with_suffix(".stop")

    @property
    def _attended(self) -> Path:
        return self.path.with_suffix(".attended")

    def progress(self) -> str:
        """The number of jobs that have ended, such as "3 of 12 runs, 1 failed"."""
        entries, failed = self.entries(), self.failures()
        count = f"{len(entries)} of " if self.jobs is not None else ""
        of = counted(len(entries) if self.jobs is None else self.jobs, "run")
        return f"{count}{of}{f', {failed} failed' if failed else ''}"


def under_way(outputs: Path) -> list[str]:
    """The progress of each sweep that puts its runs below a folder and has not ended."""
    found = []
    for path in _registers(outputs / ".hydra"):
        register = Register(path)
        jobs = next((state["jobs"] for state in reversed(register.lines()) if "jobs" in state), None)
        if jobs is not None and not register.is_stale():
            found.append(Register(path, jobs).progress())
    return found


def remove_stale(folder: Path) -> None:
    """Remove the registers of sweeps that have ended without removing them."""
    for path in _registers(folder):
        if (register := Register(path)).is_stale():
            register.close()


def _registers(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("sweep-*")) if not path.suffix]
