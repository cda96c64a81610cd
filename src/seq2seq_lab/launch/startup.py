"""The first steps of a process: faster imports, an output encoding that cannot fail, the user's modules."""

import gc
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from seq2seq_lab.errors import printable

_SAFE_PATH = "PYTHONSAFEPATH"


@contextmanager
def imports() -> Iterator[None]:
    """Disable the garbage collector while large libraries are imported, as it would find nothing to collect.

    This saves a quarter of the time for importing PyTorch and Lightning, and the same time again at exit. It is done
    only once per process: if it were repeated between the runs of a sweep, the objects of the previous run would
    never be freed.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def replace_unencodable() -> None:
    """Replace characters that the output's encoding does not contain, instead of raising an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def clean_output() -> None:
    """Print nothing that a terminal would obey, and nothing that the output's encoding does not contain.

    Whatever a command prints (a sentence, a name in somebody else's file, a warning of a library) passes here.
    """
    replace_unencodable()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.write = _cleaned(stream)  # type: ignore[method-assign]


def _cleaned(stream: io.TextIOWrapper) -> Callable[[str], int]:
    def write(text: str, /) -> int:
        # A progress bar begins with a carriage return.
        first, rest = ("\r", text[1:]) if text.startswith("\r") else ("", text)
        return type(stream).write(stream, first + printable(rest))

    return write


@contextmanager
def safe_path() -> Iterator[None]:
    """Other Python processes do not find modules in the working folder; Python puts it first on their `sys.path`."""
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        del os.environ[_SAFE_PATH]
        if before is not None:
            os.environ[_SAFE_PATH] = before


def write_control(code: str) -> None:
    """Write a control code of our own to the terminal, such as one that clears it."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        type(sys.stdout).write(sys.stdout, code)
