"""Compiling: the cache of compiled code, the message during compilation, and failures."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from seq2seq_lab.accelerate import compile_cache, compiler

pytest.importorskip("numba")


def python(code: str, **environment: str) -> subprocess.Popen[str]:
    settings = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"} | environment
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code], env=settings, stdout=pipe, stderr=pipe, text=True)


AVAILABLE = "from seq2seq_lab.accelerate import compiler; print(compiler.available())"


def test_numba_is_imported_only_when_it_is_needed() -> None:
    code = "import sys, seq2seq_lab.accelerate.sentence_updates; print('numba' in sys.modules)"
    assert python(code).communicate()[0] == "False\n"


def test_a_failed_compilation_gives_a_reason() -> None:
    code = "import sys; sys.modules['numba'] = None; " + AVAILABLE
    assert python(code).communicate()[0].startswith("Numba cannot be imported")


def damage(path: Path, how: str) -> None:
    """Damage a file in one of six ways."""
    content = path.read_bytes()
    if how in ("missing", "pipe"):
        path.unlink()
        if how == "pipe":
            os.mkfifo(path)
    else:
        other = {
            "truncated": content[: len(content) // 2],
            "empty": b"",
            "noise": os.urandom(len(content)),
            "one byte": content[: len(content) // 2]
            + bytes([content[len(content) // 2] ^ 1])
            + content[len(content) // 2 + 1 :],
        }
        path.write_bytes(other[how])


DAMAGE = [
    (kind, how) for kind in ("nbi", "nbc") for how in ("truncated", "empty", "noise", "missing", "one byte")
]
# A function of one line, compiled as the sentence update is. Prints its value, and how often it was compiled.
TINY = """
import sys
from pathlib import Path
from numba import config, njit
from numba.core import event
from seq2seq_lab.accelerate import compile_cache

config.CACHE_DIR = sys.argv[1]
sys.path.insert(0, sys.argv[2])
from double import double
with event.install_recorder("numba:compile") as recorder:
    compile_cache.load(Path(sys.argv[1]), lambda: double(1))
    print(double(21), len(recorder.buffer) // 2)
"""


@pytest.fixture(scope="module")
def tiny_cache(tmp_path_factory):
    """A folder with a module, and the cache of its compiled function."""
    folder = tmp_path_factory.mktemp("tiny")
    code = "from numba import njit\n@njit(cache=True)\ndef double(x): return 2 * x\n"
    (folder / "double.py").write_text(code)
    assert tiny_result(folder, folder) == "42 1"
    assert tiny_result(folder, folder) == "42 0"
    return folder


def tiny_result(module: Path, cache: Path) -> str:
    command = [sys.executable, "-c", TINY, str(cache / "cache"), str(module)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(("kind", "how"), [*DAMAGE, ("nbi", "pipe"), ("nbc", "pipe")])
def test_a_damaged_cache_is_found_and_compiled_anew(tiny_cache, tmp_path, kind, how) -> None:
    shutil.copytree(tiny_cache / "cache", tmp_path / "cache")
    (path,) = (tmp_path / "cache").rglob(f"*.{kind}")
    damage(path, how)
    calls, cache = [], tmp_path / "cache"

    def load() -> None:
        calls.append(sorted(each.suffix for each in cache.rglob("*.nb?")))

    compile_cache.load(cache, load)
    assert calls == [[]], "nothing is loaded of what is damaged"


def test_a_damaged_cache_is_compiled_anew_once(tiny_cache, tmp_path) -> None:
    shutil.copytree(tiny_cache / "cache", tmp_path / "cache")
    for path in (tmp_path / "cache").rglob("*.nbi"):
        damage(path, "truncated")
    # Also where the checksums were written of what was damaged before.
    sums = compile_cache._checksums(tmp_path / "cache")
    (tmp_path / "cache" / "checksums.json").write_text(json.dumps(sums))
    assert tiny_result(tiny_cache, tmp_path) == "42 1"
    assert tiny_result(tiny_cache, tmp_path) == "42 0"


def test_of_two_that_start_with_an_empty_cache_one_compiles(tmp_path) -> None:
    """As the jobs of a first sweep do; what the first one writes is not removed by the second."""
    begun, found = threading.Event(), []

    def compile_slowly() -> None:
        begun.set()
        time.sleep(0.3)
        (tmp_path / "code.nbi").write_bytes(b"index")

    first = threading.Thread(target=compile_cache.load, args=(tmp_path, compile_slowly))
    first.start()
    assert begun.wait(timeout=60)
    compile_cache.load(tmp_path, lambda: found.append(sorted(tmp_path.glob("code.*"))))
    first.join()
    assert found == [[tmp_path / "code.nbi"]]


def test_a_file_system_without_locks_is_no_error(tmp_path, monkeypatch) -> None:
    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    calls = []
    compile_cache.load(tmp_path, lambda: calls.append(1))
    assert calls == [1]


def test_an_error_of_the_compiler_itself_is_no_damage(tmp_path) -> None:
    calls = []

    def fail() -> None:
        calls.append(1)
        raise TypeError("no such type")

    with pytest.raises(TypeError):
        compile_cache.load(tmp_path, fail)
    assert len(calls) == 1


def test_the_folder_of_the_cache_is_that_of_the_processor(monkeypatch, tmp_path) -> None:
    from numba import config

    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    folders = {compiler._folder("sentence_kernel")}
    monkeypatch.setattr(config, "CPU_NAME", "another")
    folders.add(compiler._folder("sentence_kernel"))
    monkeypatch.setattr(config, "CPU_FEATURES", "+a,-b")
    folders.add(compiler._folder("sentence_kernel"))
    assert len(folders) == 3


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "how"), DAMAGE)
def test_a_damaged_cache_of_the_sentence_update_is_compiled_anew(tmp_path, kind, how) -> None:
    assert compiler.available() is None
    shutil.copytree(compiler._function("sentence_kernel")[1].parent, tmp_path / "numba")
    for path in (tmp_path / "numba").rglob(f"*.{kind}"):
        damage(path, how)
    assert python(AVAILABLE, SEQ2SEQ_LAB_CACHE=str(tmp_path)).communicate() == (
        "None\n",
        compiler.COMPILING + "\n",
    )
    assert python(AVAILABLE, SEQ2SEQ_LAB_CACHE=str(tmp_path)).communicate() == ("None\n", "")


@pytest.mark.slow
def test_of_two_processes_that_start_at_the_same_time_one_compiles(tmp_path: Path) -> None:
    def start() -> subprocess.Popen[str]:
        return python(AVAILABLE, SEQ2SEQ_LAB_CACHE=str(tmp_path))

    found = [process.communicate() for process in (start(), start())]
    assert sorted(found) == [("None\n", ""), ("None\n", compiler.COMPILING + "\n")]
    assert start().communicate() == ("None\n", "")


@pytest.mark.slow
def test_a_cache_folder_that_cannot_be_written_is_mentioned(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    out, error = python(AVAILABLE, SEQ2SEQ_LAB_CACHE=str(tmp_path / "file")).communicate()
    assert out == "None\n"
    first, second = error.splitlines()
    assert first.startswith(f"{tmp_path / 'file'}")
    assert second == compiler.COMPILING


@pytest.mark.slow
def test_ctrl_c_stops_a_compilation(tmp_path: Path) -> None:
    code = (
        "try:\n import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n "
        + AVAILABLE
        + "\nexcept KeyboardInterrupt: print('interrupted')"
    )
    process = python(code, SEQ2SEQ_LAB_CACHE=str(tmp_path))
    assert process.stderr is not None
    assert process.stderr.readline() == compiler.COMPILING + "\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate() == ("interrupted\n", "")


@pytest.mark.slow
def test_updates_on_processors_without_wide_vectors(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        str(Path(__file__).with_name("test_compiled_sentence.py")),
    ]
    narrow = {"NUMBA_CPU_NAME": "generic", "NUMBA_CACHE_DIR": str(tmp_path)}
    assert subprocess.run(command, env=os.environ | narrow).returncode == 0
