"""From the zip to tensors: the literal reading, preparing, and the cache of what was prepared."""

import os
import tempfile
import zipfile
from pathlib import Path

import torch

from benchmarks.table import ARCHIVE, seconds, show
from seq2seq_lab.data.sources.archive import ArchiveCorpus


def literal() -> object:
    """A line at a time, as the seminar reads it."""
    import data_reference

    with zipfile.ZipFile(str(ARCHIVE)) as archive:
        text = archive.read("data/eng-fra.txt").decode()
    found = data_reference.pairs(text)
    numbered = [data_reference.number(side)[1] for side in zip(*found, strict=True)]
    return [[torch.tensor(row) for row in rows] for rows in numbered]


def main() -> None:
    """Print the table."""
    if not ARCHIVE:
        print("\nData: skipped, for want of an archive")
        return
    from data_reference import SEMINAR_PREFIXES

    with tempfile.TemporaryDirectory() as folder:
        kept = os.environ.get("SEQ2SEQ_LAB_CACHE")
        os.environ["SEQ2SEQ_LAB_CACHE"] = str(Path(folder))
        source = ArchiveCorpus(prefixes=SEMINAR_PREFIXES, max_words=6)
        times = {
            "literal reading": seconds(literal),
            "prepared": seconds(source.load),
            "from the cache": seconds(source.load, repeats=5),
        }
        del os.environ["SEQ2SEQ_LAB_CACHE"]
        if kept is not None:
            os.environ["SEQ2SEQ_LAB_CACHE"] = kept
    rows = [
        (name, f"{taken * 1e3:.0f}", f"{times['literal reading'] / taken:.1f}")
        for name, taken in times.items()
    ]
    show("The seminar's corpus, from zip to tensors", ("way", "ms", "ratio"), rows)
