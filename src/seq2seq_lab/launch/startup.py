"""What a process does first: imports without the garbage collector, output that cannot fail, the user's modules."""

import gc
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def imports() -> Iterator[None]:
    """Import large libraries without the garbage collector, which would only search what they define in vain.

    This saves a quarter of the time that importing PyTorch and Lightning takes, and as much again at exit. It is
    done once in a process: between a sweep's runs it would keep the objects of the last run for ever.
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
    """Replace characters that the encoding of the output does not have, instead of failing on them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def add_modules_of(folder: Path) -> None:
    """Let Python find the modules in a folder, after all others, so that they hide none."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
