"""The jobs of a sweep: their end on a signal, what became of each, and their comparison."""

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from seq2seq_lab.launch.register import FAILED, FINISHED, INTERRUPTED, NOT_STARTED, PRUNED, Entry, Register
from seq2seq_lab.runs.run import Run


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
    if len(entries) == counts[FINISHED] + counts[PRUNED]:
        return
    print(f"\n{', '.join(f'{count} {result}' for result, count in counts.items())}:", file=sys.stderr)
    for entry in entries:
        if entry.result in (FAILED, INTERRUPTED):
            why = entry.error.splitlines()[0].removeprefix(f"{entry.folder}: ") if entry.error else ""
            print(f"  {entry.result}: {entry.folder or 'a job'}{f': {why}' if why else ''}", file=sys.stderr)
    for why in dict.fromkeys(entry.error.splitlines()[0] for entry in entries if entry.result == NOT_STARTED):
        print(why, file=sys.stderr)
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
