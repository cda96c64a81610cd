"""Compiling: the cache of compiled code, the message during compilation, and failures."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from seq2seq_lab.accelerate import compiler

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


@pytest.mark.slow
def test_two_processes_can_compile_at_the_same_time(tmp_path: Path) -> None:
    def start() -> subprocess.Popen[str]:
        return python(AVAILABLE, SEQ2SEQ_LAB_CACHE=str(tmp_path))

    both = [start(), start()]
    for process in both:
        out, error = process.communicate()
        assert out == "None\n"
        assert error == compiler.COMPILING + "\n"
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
