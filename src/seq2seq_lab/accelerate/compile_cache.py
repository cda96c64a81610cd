"""The cache of compiled code: its folder on this machine, and what is done where it is damaged.

Numba does not notice a damaged file: an index or code that is cut short raises an error at each start, and a changed
byte of the machine code is called. So the checksum of each file is stored beside it.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from seq2seq_lab.files import read_json, read_limited, write_text

_CHECKSUMS = "checksums.json"
_KINDS = (".nbi", ".nbc")  # Numba's index, and its code
_MOST_BYTES = 2**28  # of a file


def machine() -> str:
    """The processor that code is compiled for, for the name of a folder: its name, and a hash of its features.

    Two hosts that share a cache then never write to the same files at the same time.
    """
    from llvmlite.binding import get_host_cpu_name
    from numba import config
    from numba.core.codegen import get_host_cpu_features

    name = get_host_cpu_name() if config.CPU_NAME is None else config.CPU_NAME
    features = get_host_cpu_features() if config.CPU_FEATURES is None else config.CPU_FEATURES
    return f"{name}-{hashlib.sha256(features.encode()).hexdigest()[:8]}"


def load(folder: Path, compile_or_load: Callable[[], None]) -> None:
    """Call what compiles with Numba, or loads what it compiled; if the cache is damaged, compile anew, once.

    If several processes start with an empty cache, as the jobs of a first sweep do, one compiles and the others wait.

    Args:
        folder: the cache; nothing else is in it.
        compile_or_load: the call.
    """
    if _files(folder) and _is_intact(folder):
        _load(folder, compile_or_load)
        return
    with _alone(folder):
        if not _is_intact(folder):
            _clear(folder)
        _load(folder, compile_or_load)


def _load(folder: Path, compile_or_load: Callable[[], None]) -> None:
    try:
        compile_or_load()
    except Exception:  # a damaged file can raise almost any exception
        if not _files(folder):
            raise
        _clear(folder)
        compile_or_load()
    if not _is_intact(folder):
        with suppress(OSError):  # a full disk: the next process compiles again
            write_text(folder / _CHECKSUMS, json.dumps(_checksums(folder), indent=1))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait for other processes that write to the cache; on a file system without locks, do not."""
    from filelock import FileLock

    lock = FileLock(folder / "lock")
    with suppress(OSError, NotImplementedError):
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in _KINDS)


def _checksums(folder: Path) -> dict[str, str]:
    """The hash of each file; `OSError` where one is no regular file, as a pipe would be waited for."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(read_limited(path, _MOST_BYTES)).hexdigest()
        for path in _files(folder)
    }


def _is_intact(folder: Path) -> bool:
    """Whether the files are those that were written; an empty cache is intact."""
    try:
        found = _checksums(folder)
        return not found or found == read_json(folder / _CHECKSUMS, _MOST_BYTES)
    except (OSError, ValueError):
        return False


def _clear(folder: Path) -> None:
    """Remove the files; their folders remain, as another process may be about to write there."""
    for path in (*_files(folder), folder / _CHECKSUMS):
        with suppress(OSError):
            path.unlink(missing_ok=True)
