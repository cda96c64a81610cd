"""Tell a command of the user that training has ended or failed: `notify=COMMAND`, called with a JSON file."""

import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seq2seq_lab.launch.register import FAILED, FINISHED, INTERRUPTED, Entry, Register
from seq2seq_lab.runs.evaluations import as_json
from seq2seq_lab.runs.facts import monitored
from seq2seq_lab.runs.run import Run

_VARIABLE = "SEQ2SEQ_LAB_NOTIFY"
_LONGEST = 60.0  # seconds that the command may take


def for_all() -> str | None:
    """The command that the user's environment names for all training."""
    return os.environ.get(_VARIABLE) or None


@contextmanager
def announced(command: str, register: Register) -> Iterator[None]:
    """Tell what a block has trained when it ends, in whatever way.

    Args:
        command: the command line of the training.
        register: whose entries say what became of each run, and what is to be called.
    """
    started, status, why = time.time(), FINISHED, None
    try:
        yield
    except KeyboardInterrupt:
        status = INTERRUPTED
        raise
    except BaseException as error:
        status, why = FAILED, str(error) or type(error).__name__
        raise
    finally:
        tell(command, [*register.seen.values(), *register.alone], started=started, status=status, error=why)


def tell(
    command: str,
    entries: Sequence[Entry],
    *,
    started: float | None = None,
    status: str = FINISHED,
    error: str | None = None,
) -> None:
    """Call what the runs ask for, each once, with a file that says how the command ended.

    Args:
        command: the command line of the training.
        entries: what became of each run.
        started: when it started, in seconds since 1970; None: that is not known.
        status: how the command ended; it has failed or was interrupted too if one of its runs was.
        error: why.
    """
    results = {entry.result for entry in entries}
    status = next((each for each in (FAILED, INTERRUPTED) if each in {status, *results}), status)
    contents = {
        "version": 1,
        "command": command,
        "status": status,
        "error": error or None,
        "host": socket.gethostname(),
        "seconds": None if started is None else round(time.time() - started, 3),
        "runs": [_run(entry) for entry in entries],
    }
    for receiver in dict.fromkeys(entry.notify for entry in entries if entry.notify):
        _call(receiver, contents)


def _run(entry: Entry) -> dict[str, Any]:
    run = Run(Path(entry.folder)) if entry.folder else None
    known = run is not None and run.exists()
    metric = monitored(run) if run and known else None
    return {
        "path": entry.folder,
        "status": entry.result,
        "error": entry.error or None,
        "metric": metric,
        "value": run.last(metric) if run and metric else None,
    }


def _call(receiver: str, contents: dict[str, Any]) -> None:
    """Call a command with a file; whatever happens there does not change what the training ends with."""
    with tempfile.TemporaryDirectory(prefix="seq2seq-lab-") as folder:
        path = Path(folder, "ended.json")
        path.write_text(
            as_json(contents), encoding="utf-8", errors="backslashreplace"
        )  # as JSON has surrogates
        try:
            ended = subprocess.run([*shlex.split(receiver), str(path)], timeout=_LONGEST, check=False)
            why = f"exit status {ended.returncode}" if ended.returncode else ""
        except subprocess.TimeoutExpired:
            why = f"it took more than {_LONGEST:g} s, and was ended"
        except (OSError, ValueError) as error:
            why = str(error)
    if why:
        print(f"notify={receiver}: {why}; the runs are not affected", file=sys.stderr, flush=True)
