"""The cache on disk, for downloads and for prepared corpora."""

import json
import logging
import os
import stat
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import numpy as np

from seq2seq_lab.data.corpus import Corpus, Dropped, Removed
from seq2seq_lab.data.text import Normalisation
from seq2seq_lab.data.vocabulary import Ragged, Vocabulary
from seq2seq_lab.errors import expanded
from seq2seq_lab.files import remove_temporary, replacing

_OLD = 86400.0  # seconds after which nobody is still writing a file
_log = logging.getLogger(__name__)


def cache_dir() -> Path:
    """The folder of the cache: ``$SEQ2SEQ_LAB_CACHE``, or else the user's cache folder."""
    if folder := os.environ.get("SEQ2SEQ_LAB_CACHE"):
        return expanded(folder, "$SEQ2SEQ_LAB_CACHE")
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("seq2seq-lab"))


def write_corpus(path: Path, corpus: Corpus) -> None:
    """Store a corpus. If the file cannot be written, log a warning and continue without it."""
    state = {
        "words": [corpus.source_vocabulary.words, corpus.target_vocabulary.words],
        "normalise": asdict(corpus.normalise),
        "archive_pairs": corpus.archive_pairs,
        "origin": corpus.origin,
        "fingerprint": corpus.fingerprint,
        "dropped": corpus.dropped,
        "raw": corpus.raw,
        "removed": corpus.removed,
        "cautions": list(corpus.cautions),
        "given": None if corpus.given is None else corpus.given.tolist(),
    }
    try:
        remove_temporary(path.with_name("*"), seconds=_OLD)
        if not path.is_file():  # such as a pipe, in a folder that is for these files alone
            path.unlink(missing_ok=True)
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(
                file,
                source=corpus.source.values,
                source_offsets=corpus.source.offsets,
                target=corpus.target.values,
                target_offsets=corpus.target.offsets,
                state=np.frombuffer(json.dumps(state).encode(), dtype=np.uint8),
            )
    except OSError as error:
        _log.warning("the prepared corpus could not be stored: %s", error)


def read_corpus(path: Path) -> Corpus | None:
    """Read a stored corpus; ``None`` if there is no such file, or it is damaged or, as a pipe, no regular one.

    The runs of a sweep mostly have the same one, so the last ones stay in memory while their files are unchanged.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):  # who opens a pipe waits for ever
        _log.warning("%s is not a regular file; the corpus is prepared again", path)
        return None
    return _read(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=4)
def _read(path: Path, modified: int, size: int) -> Corpus | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            state = json.loads(file["state"].tobytes())
            source_words, target_words = state["words"]
            corpus = Corpus(
                source=Ragged(file["source"], file["source_offsets"]),
                target=Ragged(file["target"], file["target_offsets"]),
                source_vocabulary=Vocabulary.from_list(source_words),
                target_vocabulary=Vocabulary.from_list(target_words),
                archive_pairs=state["archive_pairs"],
                normalise=Normalisation(**state["normalise"]),
                origin=state["origin"],
                dropped={reason: Dropped(*each) for reason, each in state["dropped"].items()},
                raw=[(source, target) for source, target in state["raw"]],
                removed={side: Removed(*each) for side, each in state["removed"].items()},
                cautions=state["cautions"],
                given=None if state["given"] is None else np.array(state["given"], dtype=np.int8),
            )
            if corpus.fingerprint != state["fingerprint"]:
                raise ValueError("wrong fingerprint")
            return corpus
    except Exception as error:  # a damaged file can raise almost any exception
        _log.info("%s is damaged (%s); the corpus is prepared again", path, error)
        return None
