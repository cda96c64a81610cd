"""Shared functions: the machine, timings, and printing of tables."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import torch
from threadpoolctl import threadpool_limits

from seq2seq_lab.config.compose import composed
from seq2seq_lab.data.datamodule import Recipe, TranslationDataModule
from seq2seq_lab.data.sources.archive import ArchiveCorpus
from seq2seq_lab.data.sources.toy import ToyCorpus
from seq2seq_lab.runs import provenance
from seq2seq_lab.training.module import TranslationModule
from seq2seq_lab.training.parts.data import make_data
from seq2seq_lab.training.parts.module import make_module

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))  # for the literal references
ARCHIVE = os.environ.get("ENG_FRA_ARCHIVE")


def single_thread() -> None:
    """One thread for PyTorch and for NumPy, as `seq2seq-lab train` sets it for updates on single sentences."""
    torch.set_num_threads(1)
    threadpool_limits(1, user_api="blas")


def machine() -> str:
    """The machine and the version of PyTorch."""
    return f"{provenance.machine()}; PyTorch {torch.__version__}"


def seminar_recipe() -> Recipe:
    """The seminar's corpus, or the embedded one if its archive is not available."""
    from data_reference import SEMINAR_PREFIXES

    return ArchiveCorpus(prefixes=SEMINAR_PREFIXES, max_words=6) if ARCHIVE else ToyCorpus()


def module_of(experiment: str, *overrides: str) -> tuple[TranslationModule, TranslationDataModule]:
    """The module and the data of an experiment, before its first update."""
    config = composed([f"experiment={experiment}", *overrides]) | {"choices": {"accelerate": "auto"}}
    data = make_data(config)
    return make_module(config, data), data


def seconds(work: Callable[[], object], repeats: int = 1) -> float:
    """The median time of some calls, in seconds."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return median(times)


def show(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, with the first column aligned to the left and the others to the right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    print(f"\n{title}")
    for row in [header, *rows]:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        print("  " + "  ".join([row[0].ljust(widths[0]), *cells]), flush=True)
