"""Compiling with Numba: the folder of its cache, the message during compilation, and whether it is available."""

import atexit
import hashlib
import os
import shutil
import sys
import tempfile
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from seq2seq_lab.accelerate import compile_cache
from seq2seq_lab.data.cache import cache_dir
from seq2seq_lab.training.accelerator import Fault

COMPILING = "compiling the sentence update for this machine (about 15 s, once)"
_SOURCES = ("tiles.py", "kernels.py", "layer_kernels.py", "sentence_kernel.py")


@cache
def available(dtype: str = "float32") -> Fault | None:
    """Compile the sentence update, or load it from the cache.

    Args:
        dtype: type of the parameters, float32 or float64.

    Returns:
        None, or the reason why it cannot be compiled on this machine.
    """
    try:
        _, folder = _function()
        compile_cache.load(folder, partial(_compile, np.dtype(dtype)))
    except ImportError as error:
        return Fault(f"Numba cannot be imported ({error})")
    except Exception as error:  # a compiler can raise any exception
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return Fault(f"Numba cannot compile on this machine ({lines[0]})")
    return None


def update_block(*arguments: Any) -> int:
    """Call `sentence_kernel.update_block`, which is imported at the first call."""
    return int(_function()[0](*arguments))


@cache
def _function() -> tuple[Any, Path]:
    """The function, and the folder of its cache."""
    from numba import config
    from numba.core import event

    before, folder = config.CACHE_DIR, _folder()
    config.CACHE_DIR = str(folder)  # Numba chooses the folder when a function is decorated
    try:
        from seq2seq_lab.accelerate.sentence_kernel import update_block as function
    finally:
        config.CACHE_DIR = before

    class Announcement(event.Listener):  # type: ignore[misc]
        def on_start(self, event: Any) -> None:
            if event.data["dispatcher"] is function:
                _say(COMPILING)

        def on_end(self, event: Any) -> None:
            pass

    event.register("numba:compile", Announcement())
    return function, folder


def _folder() -> Path:
    """The cache folder of this version of the code, as Numba only detects changes in the file of the compiled function,
    and of this processor.
    """
    here = Path(__file__).parent
    version = hashlib.sha256(b"".join((here / name).read_bytes() for name in _SOURCES)).hexdigest()[:12]
    base = Path(os.environ.get("NUMBA_CACHE_DIR") or cache_dir() / "numba")
    folder = base.expanduser() / f"{version}-{compile_cache.machine()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        _say(f"{folder}: {error.strerror}; the compiled code is not cached")
    temporary = tempfile.mkdtemp(prefix="seq2seq-lab-")
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    return Path(temporary)


def _compile(dtype: np.dtype[Any]) -> None:
    """Compile by making one update of a model in which all sizes are 1."""
    numbers = [np.zeros((3, 2), dtype) for _ in range(14)]
    addresses = np.array([array.ctypes.data for array in numbers])
    ids, lengths = np.zeros((1, 1), np.int64), np.ones(1, np.int64)
    none = [np.empty((0,) * axes, dtype) for axes in (3, 3, 4, 3, 4)]
    update_block(
        addresses, (0, 1, 1, 1, 1, 1, 1, 1), ids, lengths, ids, lengths, ids, np.zeros((1, 1), np.bool_),
        0, dtype.type(0), dtype.type(1), *none, np.empty(1)
    )  # fmt: skip


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
