"""What a process prints: nothing that a terminal would obey, and nothing that its encoding does not contain."""

import io
import os
import shlex
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from seq2seq_lab.errors import printable

P = ParamSpec("P")
R = TypeVar("R")


def replace_unencodable() -> None:
    """Replace characters that the output's encoding does not contain, instead of raising an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def clean_output() -> None:
    """Print nothing that a terminal would obey, and nothing that the output's encoding does not contain.

    Whatever a command prints (a sentence, a name in somebody else's file, a warning of a library) passes here.
    """
    _open_closed()
    replace_unencodable()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.write = _cleaned(stream)  # type: ignore[method-assign]


def _open_closed() -> None:
    """Read nothing from, and write nothing to, what the process was started without, as by `>&-` of a shell.

    Python has None in its place, and the next file that is opened would have its number.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))


def _cleaned(stream: io.TextIOWrapper) -> Callable[[str], int]:
    def write(text: str, /) -> int:
        # A progress bar begins with a carriage return.
        first, rest = ("\r", text[1:]) if text.startswith("\r") else ("", text)
        return type(stream).write(stream, first + printable(rest))

    return write


def ignore_closed() -> None:
    """Go on where nobody reads the output any longer, as after `| head`: what is printed later is lost.

    For commands that train: a log without a reader must not end a run. It comes after `clean_output`.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.write = _unless_closed(stream, stream.write)  # type: ignore[method-assign]
            stream.flush = _unless_closed(stream, partial(type(stream).flush, stream))  # type: ignore[method-assign]


def _unless_closed(stream: io.TextIOWrapper, act: Callable[P, R]) -> Callable[P, R]:
    def tried(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return act(*args, **kwargs)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            return act(*args, **kwargs)

    return tried


def duration(seconds: float) -> str:
    """A time in one unit, such as 40 s, 12 min, 3 h or 5 d."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"


def typed(path: Path) -> str:
    """A path as one would type it for another command: from the working folder, if it is below it."""
    absolute, here = path.absolute(), Path.cwd()
    return shlex.quote(str(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute))


def write_control(code: str) -> None:
    """Write a control code of our own to the terminal, such as one that clears it."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        type(sys.stdout).write(sys.stdout, code)
