"""The exception that is shown to the user, and helper functions for its message."""

import difflib
import errno
import fnmatch
import os
import re
import reprlib
from collections.abc import Collection, Iterable
from numbers import Integral
from pathlib import Path
from typing import Any

from seq2seq_lab.files import TEMPORARY

# Errors of a file system: no space, no right, no such kind of file.
_OF_FILES = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO),
    *(errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP),
}
# Control characters but for tab and line feed, other line ends, what reverses the direction of a text, and halves of
# characters.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class UserError(Exception):
    """An error in what the user gave: a key, a path or a file.

    The user sees only its message, in one or two lines: where the error is, what is wrong, and what would be right.
    The command line prints it without a traceback and exits with status 1.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


def require(holds: bool, name: str, value: object, right: str) -> None:
    """Check an argument of a call in Python.

    Args:
        holds: whether the value is what it should be.
        right: what it should be, as "a folder, such as outputs".

    Raises:
        UserError: it is not.
    """
    if not holds:
        raise UserError(f"{name}: {' '.join(reprlib.repr(value).split())} is not {right}")


def is_path(value: object) -> bool:
    """Whether a value is a path that is not empty; an empty one would be the working folder."""
    return isinstance(value, str | os.PathLike) and value != ""


def is_whole(value: object) -> bool:
    """Whether a value is a whole number, of Python or NumPy; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def are_texts(value: object) -> bool:
    """Whether a value is a list of texts, or another collection of them."""
    return (
        isinstance(value, Collection)
        and not isinstance(value, str)
        and all(isinstance(each, str) for each in value)
    )


def as_list(value: Any) -> list[Any]:
    """What is in a value; it alone where that is a text or a path, or nothing can be in it."""
    alone = isinstance(value, str | os.PathLike) or not isinstance(value, Iterable)
    return [value] if alone else [*value]


def printable(text: str) -> str:
    """A text without what a terminal would obey, such as escape codes; each is written as in JSON, `\\u001b`."""
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def is_utf8(text: str) -> bool:
    """Whether a text can be written; it cannot if its bytes were not UTF-8, as those of an argument may be."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def expanded(text: str | Path, name: str) -> Path:
    """A path that may begin with `~`.

    Raises:
        UserError: it is the home of somebody who is not known; the message begins with `name`.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise UserError(f"{name}={text}: {first_line(error)}") from error


def of_files(error: OSError) -> str | None:
    """What a file system refuses, such as `PATH: Permission denied`; None for an error of another kind."""
    if error.errno not in _OF_FILES:
        return None
    if not error.filename:
        return str(error.strerror)
    path = Path(os.fsdecode(error.filename))
    return f"{path.parent if fnmatch.fnmatch(path.name, TEMPORARY) else path}: {error.strerror}"


def refusal(error: UserError | OSError, name: str) -> str:
    """What is printed of an error with one of several things, by its name, where the others go on."""
    if isinstance(error, UserError):
        return str(error)
    return printable(of_files(error) or f"{name}: {first_line(error)}")


def first_line(error: BaseException) -> str:
    """The first line of an exception's message that is not empty; the name of its class if there is none."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def counted(number: int, noun: str) -> str:
    """A number of things: "1 run", "2 runs"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def nearest(word: str, candidates: Iterable[str], before: str = "") -> str:
    """A suggestion to append to an unknown word: `before` and the most similar candidate; empty if none is similar."""
    close = difflib.get_close_matches(str(word), list(candidates), n=1)
    return f"; did you mean {before}{close[0]}?" if close else ""
