"""The first steps of a process: faster imports, an output encoding that cannot fail, the user's modules."""

import gc
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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


def add_modules_of(folder: Path) -> None:
    """Add a folder to the end of `sys.path`, so that its modules can be imported but do not hide others."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
