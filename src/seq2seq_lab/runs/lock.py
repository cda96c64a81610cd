"""The lock of a folder: one process trains in it, on whatever machine and file system."""

import errno
import json
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from seq2seq_lab.errors import UserError

_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_BEAT = 20.0  # seconds between two signs of life of the owner of a file
_DEAD = 10 * _BEAT  # seconds without one, after which the owner is taken for dead

_LOST = (
    "{folder}: this process gave no sign of life for some minutes, and another one has taken its run over since then; "
    "it ends here, and writes nothing"
)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock, of the operating system where the file system has such locks; it ends with the process.

    Elsewhere, as on NFS without a lock server, the lock is a file that names its owner. It is taken over from a process
    of this machine that has ended, and from one that has given no sign of life for some minutes. If that one only
    slept, as a laptop does, its process ends as soon as it finds that the lock is not its own any more, and writes
    nothing: the folder has another owner.

    Raises:
        UserError: another process holds it.
    """
    from filelock import FileLock, Timeout

    try:
        lock = FileLock(path, timeout=0)
        lock.acquire()
    except Timeout:
        raise UserError(_taken(path)) from None
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
            raise
    else:
        with lock:
            yield
        return
    with _file(path.with_name(f"{path.name}-file")):
        yield


def is_locked(path: Path) -> bool:
    """Whether a process holds a lock; nothing stays that is written."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    file = path.with_name(f"{path.name}-file")
    if file.is_file() and _owner(file) is not None:
        return True
    try:
        if not path.is_file():  # a pipe would wait for ever
            return False
        with path.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(lock, fcntl.LOCK_UN)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _taken(path: Path, owner: str = "another process") -> str:
    return f"{path.parent} is being trained by {owner}; wait for it, or give this run another output_dir=…"


@contextmanager
def _file(path: Path) -> Iterator[None]:
    """Hold a lock that is a file."""
    own = json.dumps({**this_process(), "key": uuid.uuid4().hex})
    _take(path, own)
    ended = threading.Event()
    beating = threading.Thread(target=_beat, args=(path, own, ended), daemon=True)
    beating.start()
    try:
        yield
    finally:
        ended.set()
        beating.join()
        if _content(path) == own:
            path.unlink(missing_ok=True)


def _take(path: Path, own: str) -> None:
    for _ in range(3):
        before = _content(path)
        if _create(path, own):
            return
        if (owner := _owner(path)) is not None:
            raise UserError(f"{_taken(path, owner)}; if that has ended, remove {path}") from None
        _remove(path, before)
    raise UserError(_taken(path))


def _create(path: Path, content: str) -> bool:
    """Write a file that is not there yet; whether it was not."""
    try:
        file = path.open("x", encoding="utf-8")
    except FileExistsError:
        return False
    try:
        with file:
            file.write(content)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return True


def _remove(path: Path, content: str | None) -> None:
    """Remove the lock of a process that has ended, but not that of one that has just removed it and taken it, too."""
    aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    with suppress(FileNotFoundError):
        path.rename(aside)
        if (taken := _content(aside)) is not None and taken != content:
            _create(path, taken)
        aside.unlink()


def _content(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, ValueError):
        return None


def _owner(path: Path) -> str | None:
    """Who holds a lock file; None if that process has ended."""
    silent = 0.0
    try:
        silent = _now(path) - path.stat().st_mtime
        found = json.loads(path.read_text(encoding="utf-8"))
        host, process = str(found["host"]), int(found["process"])
        has_ended(found, silent)
    except FileNotFoundError:
        return None
    # Killed while it wrote the file, or somebody else's, who may write anything and let nobody read it.
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, PermissionError):
        found, host, process = {}, "", 0
    if has_ended(found, silent):
        return None
    return f"process {process} of {host}" if host else "another process"


def this_process() -> dict[str, Any]:
    """What tells this process from all others that share its files."""
    return {"host": socket.gethostname(), "namespace": _namespace(), "process": os.getpid()}


def has_ended(owner: Mapping[str, Any], silent: float) -> bool:
    """Whether a process has ended: it is gone from this machine, or has given no sign of life for some minutes.

    Args:
        owner: its `this_process`; empty if it is not known.
        silent: seconds since its last sign of life.
    """
    # A container may have the name of its host, but it has process numbers of its own.
    same = owner.get("host") == socket.gethostname() and owner.get("namespace", _namespace()) == _namespace()
    return silent > _DEAD or (same and not is_alive(int(owner["process"])))


def _namespace() -> str:
    """The name space of this process's number; empty where there are none."""
    try:
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115, as it is not a path
    except OSError:
        return ""


def _now(path: Path) -> float:
    """The time by the clock of the file system, which may be another machine's; of this one where nobody may write."""
    probe = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        probe.touch()
        return probe.stat().st_mtime
    except OSError:
        return time.time()
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)


def is_alive(process: int) -> bool:
    """Whether there is a process of this number on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _beat(path: Path, own: str, ended: threading.Event) -> None:
    """Give signs of life. End this process where the lock is another one's, or is gone for two beats."""
    gone = False
    while not ended.wait(_BEAT):
        with suppress(OSError):
            content = _content(path)
            if content == own:
                os.utime(path)
            elif content is not None or gone:
                with suppress(Exception):
                    print(_LOST.format(folder=path.parent), file=sys.stderr, flush=True)
                os._exit(1)
            gone = content is None
