"""Compiling with Numba: the folder of its cache, the message during compilation, and whether it is available."""

import atexit
import hashlib
import os
import shutil
import sys
import tempfile
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from seq2seq_lab.accelerate import compile_cache
from seq2seq_lab.data.cache import cache_dir
from seq2seq_lab.training.accelerator import Fault

COMPILING = "compiling the sentence update for this machine (about 15 s, once)"
COMPILING_BATCHES = "compiling parts of mini-batch updates for this machine (about 10 s, once)"
_SHARED = ("tiles.py", "kernels.py")
# Module → the files that its code comes from, and what is said while it is compiled.
_MODULES = {
    "sentence_kernel": ((*_SHARED, "layer_kernels.py", "sentence_kernel.py"), COMPILING),
    "batch_kernels": ((*_SHARED, "batch_kernels.py"), COMPILING_BATCHES),
}


@cache
def available(dtype: str = "float32", module: str = "sentence_kernel") -> Fault | None:
    """Compile the sentence update, or the parts of mini-batch updates, or load them from the cache.

    Args:
        dtype: type of the parameters, float32 or float64.
        module: `sentence_kernel` or `batch_kernels`.

    Returns:
        None, or the reason why it cannot be compiled on this machine.
    """
    compile_once = {"sentence_kernel": _compile, "batch_kernels": _compile_batches}[module]
    try:
        _, folder = _function(module)
        compile_cache.load(folder, partial(compile_once, np.dtype(dtype)))
    except ImportError as error:
        return Fault(f"Numba cannot be imported ({error})")
    except Exception as error:  # a compiler can raise any exception
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return Fault(f"Numba cannot compile on this machine ({lines[0]})")
    return None


def update_block(*arguments: Any) -> int:
    """Call `sentence_kernel.update_block`, which is imported at the first call."""
    return int(_function("sentence_kernel")[0].update_block(*arguments))


def batch_kernels() -> Any:
    """The module `batch_kernels`, which is imported at the first call."""
    return _function("batch_kernels")[0]


@cache
def _function(module: str) -> tuple[Any, Path]:
    """The module, and the folder of its cache."""
    from numba import config
    from numba.core import event

    before, folder = config.CACHE_DIR, _folder(module)
    config.CACHE_DIR = str(folder)  # Numba chooses the folder when a function is decorated
    try:
        found = import_module(f"seq2seq_lab.accelerate.{module}")
    finally:
        config.CACHE_DIR = before
    said: list[str] = []

    class Announcement(event.Listener):  # type: ignore[misc]
        def on_start(self, event: Any) -> None:
            if event.data["dispatcher"] in vars(found).values() and not said:
                said.append(module)
                _say(_MODULES[module][1])

        def on_end(self, event: Any) -> None:
            pass

    event.register("numba:compile", Announcement())
    return found, folder


def _folder(module: str) -> Path:
    """The cache folder of this version of the code, as Numba only detects changes in the file of the compiled function,
    and of this processor.
    """
    here = Path(__file__).parent
    version = hashlib.sha256(
        b"".join((here / name).read_bytes() for name in _MODULES[module][0])
    ).hexdigest()[:12]
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


def _compile_batches(dtype: np.dtype[Any]) -> None:
    """Compile by calling each function with arrays of one row."""
    kernels = batch_kernels()
    one, three = np.zeros((1, 1), dtype), np.zeros((1, 3), dtype)
    row, place = np.zeros(1, dtype), np.zeros(1, np.int64)
    kernels.draw(
        place.view(np.uint64), np.uint64(0), 0, np.uint64(0), np.float32(0), np.zeros((1, 1, 1), np.float32)
    )
    kernels.losses(one, place, row, row, row)
    kernels.losses_back(one, place, row, row, row, one)
    kernels.gru(place, place, three, three, row, 0, one, one, one, one)
    kernels.gru_back(place, place, three, one, one, 0, one, one, three, three)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
