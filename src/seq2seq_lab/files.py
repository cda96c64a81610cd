"""Write files atomically: to a temporary name first, which then replaces the file. No file is ever incomplete."""

import errno
import json
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

MOST_VALUES = 5_000_000  # in a file that somebody else may have written; each takes up to a hundred bytes
LARGEST = 1e300  # number there: what is larger overflows where it is computed with or drawn
TEMPORARY = ".*.tmp"  # the names of files that are being written


def read_limited(path: Path, limit: int) -> bytes:
    """The contents of a file that somebody else may have written.

    Args:
        limit: the most bytes that such a file can have.

    Raises:
        OSError: it cannot be read, is no regular file, such as a pipe, or is larger.
    """
    if not path.is_file():
        raise (
            FileNotFoundError(errno.ENOENT, "no such file", str(path))
            if not path.exists()
            else OSError(errno.EINVAL, "not a regular file", str(path))
        )
    if path.stat().st_size > limit:
        raise OSError(errno.EFBIG, f"larger than {limit / 2**20:g} MiB", str(path))
    return path.read_bytes()


def read_json(path: Path, limit: int) -> Any:
    """What is in a JSON file that somebody else may have written; see `read_limited`.

    Raises:
        OSError: as there.
        ValueError: it is not JSON; or it has too many values, is nested too deeply, or has whole numbers that are
            too large or texts that cannot be written (lone surrogates).
    """
    return parse_json(read_limited(path, limit))


def parse_json(text: bytes | str) -> Any:
    """The value of a JSON text in UTF-8; errors as in `read_json`."""
    text = text.decode() if isinstance(text, bytes) else text
    if sum(map(text.count, "[{,")) > MOST_VALUES:
        raise ValueError("too many values")
    try:
        value = json.loads(text, parse_int=_whole)
        if "\\ud" in text.lower():
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def _whole(digits: str) -> int:
    if (number := int(digits)) > LARGEST or number < -LARGEST:
        raise ValueError("a number is too large")
    return number


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`; it replaces `path` if the block ends without an exception.

    Raises:
        IsADirectoryError: `path` is a folder.
        OSError: it is a pipe or a device.
        NotADirectoryError: the folder that it is to be in cannot be one, as there is a file.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        raise OSError(errno.EACCES, "a pipe or a device, which a file would replace", str(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (
        FileExistsError,
        FileNotFoundError,
    ) as error:  # the latter of folders of the system, such as /proc
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path.parent)) from error
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_temporary(path: Path, *, seconds: float = 0.0) -> None:
    """Remove what killed processes have left of a file.

    Args:
        path: the file; a pattern in its name stands for several.
        seconds: the age that a temporary file must have, where another process may be writing it.
    """
    for left in path.parent.glob(f".{path.name}.*.tmp"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime >= seconds:
                left.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically: a reader sees the old file or the complete new one."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
