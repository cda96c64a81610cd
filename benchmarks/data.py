"""From the zip file to tensors: the literal implementation, the package, and its cache."""

import os
import tempfile
import zipfile
from pathlib import Path

import torch

from benchmarks.table import ARCHIVE, seconds, show
from seq2seq_lab.data.sources.archive import ArchiveCorpus


def literal() -> object:
    """Prepare the pairs line by line, as in the seminar."""
    import data_reference

    with zipfile.ZipFile(str(ARCHIVE)) as archive:
        text = archive.read("data/eng-fra.txt").decode()
    found = data_reference.pairs(text)
    numbered = [data_reference.number(side)[1] for side in zip(*found, strict=True)]
    return [[torch.tensor(row) for row in rows] for rows in numbered]


def main() -> None:
    """Print the table."""
    if not ARCHIVE:
        print("\nData: skipped, as there is no archive")
        return
    from data_reference import SEMINAR_PREFIXES

    with tempfile.TemporaryDirectory() as folder:
        kept = os.environ.get("SEQ2SEQ_LAB_CACHE")
        os.environ["SEQ2SEQ_LAB_CACHE"] = str(Path(folder))
        source = ArchiveCorpus(prefixes=SEMINAR_PREFIXES, max_words=6)
        times = {
            "literal": seconds(literal),
            "prepared": seconds(source.load),
            "from the cache": seconds(source.load, repeats=5),
        }
        del os.environ["SEQ2SEQ_LAB_CACHE"]
        if kept is not None:
            os.environ["SEQ2SEQ_LAB_CACHE"] = kept
    rows = [(name, f"{taken * 1e3:.0f}", f"{times['literal'] / taken:.1f}") for name, taken in times.items()]
    show("The seminar's corpus, from the zip file to tensors", ("method", "ms", "ratio"), rows)
