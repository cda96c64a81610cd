"""Fixtures for all tests: separate folders, and one thread, so that results do not depend on the machine's load."""

import gc
import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.hydra import Hydra
from hydra.types import RunMode

os.environ["OMP_NUM_THREADS"] = "1"  # before anything imports NumPy or PyTorch
# The same cache for all tests, as compiling takes 20 s.
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(__file__).parents[1] / ".pytest_cache" / "numba"))

from seq2seq_lab.launch import startup

with startup.imports():
    import seq2seq_lab.training.train  # noqa: F401, what most tests import

import composing
import tiny
from seq2seq_lab.accelerate.compiler import available
from seq2seq_lab.commands import main as cli
from seq2seq_lab.compare.views import figures

# Files whose tests start processes, or run whole sweeps and studies. They come first, so that at the end no process
# waits for another one.
WHOLE = (
    "test_notebook",
    "test_sweeps",
    "test_export",
    "test_ddp",
    "test_study",
    "test_readme",
    "test_kills",
    "test_extending",
    "test_startup",
    "test_compiler",
)
composing.compose_once()
KERNELS = list(itertools.product(("float32", "float64"), ("sentence_kernel", "batch_kernels")))


def pytest_configure(config: pytest.Config) -> None:
    """Compile once, before the processes that run the tests start: each of them would compile."""
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        double = "from seq2seq_lab.accelerate.compiler import available; available('float64')"
        with subprocess.Popen([sys.executable, "-c", double]):
            available()
        for dtype, module in KERNELS:  # the others, as processes that write to one folder may compile twice
            available(dtype, module)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the files of whole sweeps, before tests are chosen by marks, and put them first."""
    for item in items:
        if item.path.stem in WHOLE:
            item.add_marker(pytest.mark.whole)
    items.sort(key=lambda item: not item.get_closest_marker("whole"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is imported and collected stays: the garbage collector need not look at it, now or later."""
    gc.disable()
    yield
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the user's folders, so that no test reads or writes them."""
    monkeypatch.setenv("SEQ2SEQ_LAB_OUTPUTS", str(tmp_path / "outputs"))
    monkeypatch.setenv("SEQ2SEQ_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    monkeypatch.setattr(sys, "argv", ["seq2seq-lab"])
    monkeypatch.setattr(Hydra, "get_mode", _mode)


def _mode(*_: Any, **__: Any) -> RunMode | None:
    """Whether it is a sweep. Hydra composes the configuration for this, which takes a third of the time of a test."""
    return None if {"-m", "--multirun"} & set(sys.argv) else RunMode.RUN


@pytest.fixture(scope="session", autouse=True)
def compiled() -> None:
    """Compile before a test reads the output of a run, all that tests use.

    What a test compiled by a call of its own would not be in the checksums, and so each further process compile anew.
    """
    for dtype, module in KERNELS:
        available(dtype, module)


@pytest.fixture(autouse=True)
def ctrl_c() -> None:
    """Enable Ctrl-C, as a shell starts background jobs with SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def workers() -> Iterator[None]:
    """End the processes that joblib keeps: in a later test they would still write where this one's output went."""
    yield
    kept = sys.modules.get("joblib.externals.loky.reusable_executor")
    if kept and kept._executor is not None:
        kept._executor.shutdown(wait=True, kill_workers=True)


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """The output folder of this test."""
    return tmp_path / "outputs"


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Path]:
    """Trains a tiny run: `run("name", *overrides)`. The same name gives the same folder."""
    return lambda name, *overrides, **how: tiny.train(tmp_path / name, *overrides, **how)


@pytest.fixture(scope="session")
def attention_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of six epochs with attention and mixed forcing; tests must not change it."""
    return _finished(
        tmp_path_factory, "model=attention", "forcing=mixed", "optimizer.lr=0.1", "trainer.max_epochs=6"
    )


@pytest.fixture(scope="session")
def plain_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of one epoch without attention; tests must not change it."""
    return _finished(tmp_path_factory, "trainer.max_epochs=1")


@pytest.fixture(scope="session")
def evaluated_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with attention and an evaluation on two pairs; tests must not change it."""
    folder = _finished(tmp_path_factory, "model=attention", "split.test=0.2")
    assert cli.main(["evaluate", str(folder), "--max-pairs", "2"]) == 0
    return folder


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no plot of a comparison, which takes half a second for each."""
    monkeypatch.setattr(figures, "save", lambda plot, folder: {})


@pytest.fixture
def place(evaluated_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undrawn: None) -> Path:
    """A folder that somebody sent, with the runs `bad` and `good`; the user stands in it. Nothing is drawn."""
    for name in ("bad", "good"):
        shutil.copytree(evaluated_run, tmp_path / "place" / name / "seed-0")
    monkeypatch.chdir(tmp_path / "place")
    monkeypatch.setenv("SEQ2SEQ_LAB_OUTPUTS", "outputs")
    monkeypatch.setenv("SEQ2SEQ_LAB_CACHE", str(tmp_path / "place" / "cache"))
    return tmp_path / "place"


@pytest.fixture
def bad(place: Path) -> Path:
    """The folder of the run `bad`, which a test may change."""
    return place / "bad" / "seed-0"


def _finished(factory: pytest.TempPathFactory, *overrides: str) -> Path:
    return tiny.train(factory.mktemp("finished"), *overrides, lean=False)


@pytest.fixture
def real_archive() -> Path:
    """The seminar's archive, from the environment; the test is skipped if it is not set."""
    if not os.environ.get("ENG_FRA_ARCHIVE"):
        pytest.skip("$ENG_FRA_ARCHIVE is not set")
    return Path(os.environ["ENG_FRA_ARCHIVE"])
