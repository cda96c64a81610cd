"""The first steps of a process: faster imports, an output encoding that cannot fail, the user's modules."""

import gc
import io
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Control characters, but for tab, line feed and carriage return: a terminal would obey them.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


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


def clean_output() -> None:
    """Replace characters that the output's encoding does not contain, and control characters, by one that is shown.

    Whatever is printed (a sentence, a name in somebody else's file, a warning of a library) passes here.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
            stream.write = _cleaned(stream)  # type: ignore[method-assign]


def _cleaned(stream: io.TextIOWrapper) -> Callable[[str], int]:
    def write(text: str, /) -> int:
        return type(stream).write(stream, _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text))

    return write


def write_control(code: str) -> None:
    """Write a control code of our own to the terminal, such as one that clears it."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        type(sys.stdout).write(sys.stdout, code)
