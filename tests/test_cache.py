"""The cache of prepared corpora: equal to the prepared ones, replaced if stale or damaged, never required."""

import os

import numpy as np
import pytest

from data_reference import SMALL
from seq2seq_lab.data.cache import read_corpus
from seq2seq_lab.data.sources.archive import ArchiveCorpus
from seq2seq_lab.data.sources.base import PairSource


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_text(SMALL, encoding="utf-8", newline="")
    return path


@pytest.fixture
def preparations(monkeypatch):
    """One entry for each corpus that was prepared, not read from the cache."""
    calls = []
    prepare = PairSource._prepare
    monkeypatch.setattr(PairSource, "_prepare", lambda *args: calls.append(args) or prepare(*args))
    return calls


def test_a_cached_corpus_is_equal_to_the_prepared_one(path, preparations):
    source = ArchiveCorpus(archive=str(path))
    first, second = source.load(), source.load()
    assert len(preparations) == 1
    assert second.fingerprint == first.fingerprint
    assert second.statistics(predict_sos=True) == first.statistics(predict_sos=True)
    assert second.normalise == first.normalise
    assert second.origin == first.origin
    assert second.source.values.dtype == np.int32
    assert second.source.offsets.dtype == np.int64


@pytest.mark.parametrize(
    "change",
    [
        {"max_words": 5},
        {"max_pairs": 2},
        {"prefixes": ["i"]},
        {"lowercase": False},
        {"strip_accents": False},
        {"space_before": "."},
        {"keep": None},
        {"source_column": 1, "target_column": 2},
    ],
    ids=str,
)
def test_a_change_of_a_setting_that_matters_prepares_another_corpus(path, preparations, change):
    before = ArchiveCorpus(archive=str(path)).load()
    after = ArchiveCorpus(archive=str(path), **change).load()
    assert len(preparations) == 2
    assert after.fingerprint != before.fingerprint


def test_changed_content_under_the_same_name_is_read(path):
    source = ArchiveCorpus(archive=str(path))
    before = source.load()
    path.write_text(SMALL.replace("grand", "petit"), encoding="utf-8")
    assert source.load().fingerprint != before.fingerprint


def test_the_same_content_under_another_name_is_not_prepared_again(path, preparations):
    path.write_text("a\tb\nc\td\n")  # of which there is nothing to say: no line of it is named
    ArchiveCorpus(archive=str(path)).load()
    other = path.rename(path.with_name("other"))
    assert str(other) in ArchiveCorpus(archive=str(other)).load().origin
    assert len(preparations) == 1


def test_places_that_are_named_are_of_the_file_that_was_given(path):
    path.write_text(SMALL + "&quot;odd&quot;\t.\n", encoding="utf-8")
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    for each in (path, other):
        corpus = ArchiveCorpus(archive=str(each)).load()
        said = [*corpus.cautions, *(dropped.example for dropped in corpus.dropped.values())]
        assert said
        assert all(line.startswith(str(each)) for line in said if " line " in line)


def test_a_damaged_file_is_replaced(path, cache):
    source = ArchiveCorpus(archive=str(path))
    whole = source.load()
    (stored,) = cache.rglob("*.npz")
    content = stored.read_bytes()
    for damaged in (
        b"",
        content[:-40],
        b"rubbish",
        content.replace(b"\x02\x00\x00\x00", b"\x03\x00\x00\x00"),
    ):
        stored.write_bytes(damaged)
        assert source.load().fingerprint == whole.fingerprint
        assert stored.read_bytes()[:2] == b"PK"


@pytest.mark.parametrize(
    "make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "device"]
)
def test_what_is_no_regular_file_is_named_and_replaced(path, cache, caplog, make):
    source = ArchiveCorpus(archive=str(path))
    whole = source.load()
    (stored,) = cache.rglob("*.npz")
    stored.unlink()
    make(stored)
    assert source.load().fingerprint == whole.fingerprint
    assert caplog.messages == [f"{stored} is not a regular file; the corpus is prepared again"]
    assert stored.is_file()


def test_a_changed_byte_anywhere_gives_the_same_corpus_or_none(path, cache):
    whole = ArchiveCorpus(archive=str(path)).load()
    (stored,) = cache.rglob("*.npz")
    content = stored.read_bytes()
    for position in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[position] ^= 0x55
        stored.write_bytes(damaged)
        read = read_corpus(stored)
        assert read is None or read.fingerprint == whole.fingerprint


def test_a_cache_that_cannot_be_written_is_not_an_error(path, cache):
    cache.write_text("a file where the folder should be")
    assert len(ArchiveCorpus(archive=str(path)).load()) == 8


def test_no_temporary_file_remains_in_the_cache(path, cache):
    ArchiveCorpus(archive=str(path)).load()
    assert len(list((cache / "prepared").iterdir())) == 1
