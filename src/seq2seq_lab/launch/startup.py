"""Starting up quickly."""

import gc
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_done = False


@contextmanager
def imports() -> Iterator[None]:
    """For the import of large libraries: what they define stays, so the garbage collector need not look at it.

    That saves a quarter of the time that PyTorch and Lightning take to import, and as much again at exit. It is
    done once in a process: later, between a sweep's runs, the run before would be kept for good.
    """
    global _done
    if _done:
        yield
        return
    _done = True
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def forgiving_output() -> None:
    """Let no character that a terminal or a log has not got end a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
