"""Wait for other processes, as long as they make progress: on a loaded machine, seconds say nothing of it."""

import os
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 60.0  # seconds in which no process of this test gets the processor
ENOUGH = 240.0  # seconds of the processor after which what is waited for will not come
_TICKS = os.sysconf("SC_CLK_TCK")


def wait(condition: Callable[[], object], session: int | None = None) -> bool:
    """Wait until a condition holds; returns whether it does.

    Args:
        condition: is asked ten times a second.
        session: of the processes that should bring it about; None: that of this process.
    """
    session = os.getsid(0) if session is None else session
    begun = used = _used(session)
    last = time.monotonic()
    while not condition():
        if (now := _used(session)) > used:
            used, last = now, time.monotonic()
        if time.monotonic() - last > PATIENCE or used - begun > ENOUGH:
            return bool(condition())
        time.sleep(0.1)
    return True


def _used(session: int) -> float:
    """Seconds of the processor that the processes of a session and their ended children have used."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        if int(fields[3]) == session:
            ticks += sum(map(int, fields[11:15]))
    return ticks / _TICKS
