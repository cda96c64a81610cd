"""Corpora: equal to the literal reading, kept and noticed when stale, and refused in words."""

import os
from pathlib import Path

import numpy as np
import pytest

import data_reference
from seq2seq_lab.data import corpus as module
from seq2seq_lab.data.corpus import ArchiveCorpus, Corpus
from seq2seq_lab.data.sources.archive import download_path, read_text
from seq2seq_lab.data.text import Normalisation
from seq2seq_lab.data.vocabulary import Ragged
from seq2seq_lab.errors import UserError

SMALL = (
    "I'm here.\tJe suis là.\n"
    "I am here.\tJe suis là.\n"
    "I'm here.\tJe suis là.\n"
    "He's tall!\tIl est grand\u202f!\n"
    "Heaven can wait.\tLe ciel attendra.\n"
    "\"He's Paul.\"\t«\xa0C'est Paul.\xa0»\n"
    "He's a very very tall man.\tIl est immense.\n"
    "They're late.\tElles sont très très en retard, hélas.\n"
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQ2SEQ_LAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_text(SMALL, encoding="utf-8", newline="")
    return path


@pytest.fixture
def preparations(monkeypatch):
    """Counts how often a corpus is prepared rather than read back."""
    calls = []
    prepare = ArchiveCorpus._prepare
    monkeypatch.setattr(ArchiveCorpus, "_prepare", lambda *args: calls.append(args) or prepare(*args))
    return calls


def assert_is_literal(corpus: Corpus, text: str, **filters: object) -> None:
    found = data_reference.pairs(text, **filters)
    source_words, source = data_reference.number([pair[0] for pair in found], begin=False)
    target_words, target = data_reference.number([pair[1] for pair in found], begin=True)
    assert corpus.source_vocabulary.words == source_words
    assert corpus.target_vocabulary.words == target_words
    assert [row.tolist() for row in map(corpus.source.__getitem__, range(len(corpus)))] == source
    assert [row.tolist() for row in map(corpus.target.__getitem__, range(len(corpus)))] == target
    assert corpus.loss_floor() == pytest.approx(data_reference.loss_floor(found), rel=1e-12)


def test_a_small_archive_is_read_as_the_seminar_reads_it(path):
    corpus = ArchiveCorpus(archive=str(path), prefixes=data_reference.SEMINAR_PREFIXES).load()
    assert_is_literal(corpus, SMALL)
    assert len(corpus) == 4
    assert corpus.source_text(3) == "il est grand !"
    assert corpus.target_text(3) == "he s tall !"


@pytest.mark.parametrize("max_words", [1, 4, 5, 7, 99])
@pytest.mark.parametrize("prefixes", [("",), ("he s ",), ("he",), ("i m ", "i am ", "they")])
def test_filters_keep_what_the_literal_reading_keeps(path, prefixes, max_words):
    recipe = ArchiveCorpus(archive=str(path), prefixes=prefixes, max_words=max_words)
    if data_reference.pairs(SMALL, prefixes=prefixes, max_words=max_words):
        assert_is_literal(recipe.load(), SMALL, prefixes=prefixes, max_words=max_words)
    else:
        with pytest.raises(UserError, match="no pair of the 8 in it is kept"):
            recipe.load()


def test_no_filter_keeps_everything(path):
    assert len(ArchiveCorpus(archive=str(path), prefixes=None, max_words=None).load()) == 8
    assert len(ArchiveCorpus(archive=str(path), prefixes=[], max_words=None, max_pairs=3).load()) == 3


def test_exchanging_the_columns_translates_the_other_way(path):
    there = ArchiveCorpus(archive=str(path), prefixes=["he s "]).load()
    back = ArchiveCorpus(archive=str(path), prefixes=["he s "], source_column=1, target_column=2).load()
    assert len(back) == len(there)
    for i in range(len(back)):
        assert (back.source_text(i), back.target_text(i)) == (there.target_text(i), there.source_text(i))


def test_prefixes_may_be_about_a_column_that_is_not_translated(tmp_path):
    path = tmp_path / "three.txt"
    path.write_text("a long name of it\thello\tbonjour\nb\tbye\tsalut\n", encoding="utf-8")
    recipe = ArchiveCorpus(archive=str(path), source_column=3, target_column=2, prefixes=["a"], max_words=1)
    corpus = recipe.load()
    assert (corpus.source_text(0), corpus.target_text(0), len(corpus)) == ("bonjour", "hello", 1)


def test_statistics_and_groups_of_a_small_corpus(path):
    corpus = ArchiveCorpus(archive=str(path), prefixes=data_reference.SEMINAR_PREFIXES).load()
    statistics = corpus.statistics()
    floor = statistics.pop("loss_floor")
    assert statistics == {
        "archive_pairs": 8,
        "pairs": 4,
        "source_vocabulary": 2 + 8,
        "target_vocabulary": 2 + 9,
        "distinct_sources": 2,
        "distinct_targets": 3,
        "max_source_length": 5,
        "max_target_length": 6,
    }
    assert corpus.source_groups().tolist() == [0, 0, 0, 1]
    assert floor == pytest.approx(-(2 * np.log(2 / 3) + np.log(1 / 3)) / 6 / 4)


def test_one_translation_each_has_no_floor():
    corpus = Corpus.build(["a", "b"], ["x", "x"], archive_pairs=2, normalise=Normalisation(), origin="")
    assert str(corpus.loss_floor()) == "0.0"


def test_rows_of_one_content_are_one_group():
    rows = Ragged(np.array([2, 1, 2, 2, 1, 2, 1], dtype=np.int32), np.array([0, 1, 3, 4, 6, 7, 7]))
    assert rows.groups.tolist() == [0, 1, 0, 1, 2, 3]
    assert rows.lengths.tolist() == [1, 2, 1, 2, 1, 0]
    assert rows[-3].tolist() == [1, 2]
    with pytest.raises(IndexError):
        rows[6]


class TestPrepared:
    def test_what_is_read_back_is_what_was_prepared(self, path, preparations):
        recipe = ArchiveCorpus(archive=str(path))
        first, second = recipe.load(), recipe.load()
        assert len(preparations) == 1
        assert second.fingerprint == first.fingerprint
        assert second.statistics() == first.statistics()
        assert second.normalise == first.normalise
        assert second.origin == first.origin
        assert second.source.values.dtype == np.int32
        assert second.source.offsets.dtype == np.int64

    @pytest.mark.parametrize(
        "change",
        [
            {"max_words": 8},
            {"max_words": None},
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
    def test_every_setting_that_matters_is_noticed(self, path, preparations, change):
        before = ArchiveCorpus(archive=str(path)).load()
        after = ArchiveCorpus(archive=str(path), **change).load()
        assert len(preparations) == 2
        assert after.fingerprint != before.fingerprint

    def test_another_archive_under_the_same_name_is_noticed(self, path):
        before = ArchiveCorpus(archive=str(path)).load()
        path.write_text(SMALL.replace("grand", "petit"), encoding="utf-8")
        assert ArchiveCorpus(archive=str(path)).load().fingerprint != before.fingerprint

    def test_the_same_archive_under_another_name_is_not_prepared_again(self, path, preparations):
        ArchiveCorpus(archive=str(path)).load()
        other = path.rename(path.with_name("other"))
        assert str(other) in ArchiveCorpus(archive=str(other)).load().origin
        assert len(preparations) == 1

    def test_a_damaged_cache_is_made_again(self, path, cache):
        recipe = ArchiveCorpus(archive=str(path))
        whole = recipe.load()
        (stored,) = cache.rglob("*.npz")
        content = stored.read_bytes()
        for damaged in (
            b"",
            content[:-40],
            b"rubbish",
            content.replace(b"\x02\x00\x00\x00", b"\x03\x00\x00\x00"),
        ):
            stored.write_bytes(damaged)
            assert recipe.load().fingerprint == whole.fingerprint
            assert stored.read_bytes()[:2] == b"PK"

    def test_a_flipped_byte_anywhere_gives_the_same_corpus_or_none(self, path, cache):
        whole = ArchiveCorpus(archive=str(path)).load()
        (stored,) = cache.rglob("*.npz")
        content = stored.read_bytes()
        for position in range(0, len(content), 7):
            damaged = bytearray(content)
            damaged[position] ^= 0x55
            stored.write_bytes(damaged)
            read = module._read(stored)
            assert read is None or read.fingerprint == whole.fingerprint

    def test_a_cache_that_cannot_be_written_does_not_matter(self, path, cache):
        cache.write_text("a file where the folder should be")
        assert len(ArchiveCorpus(archive=str(path)).load()) == 6

    def test_nothing_but_the_corpus_is_left_in_the_cache(self, path, cache):
        ArchiveCorpus(archive=str(path)).load()
        assert len(list((cache / "prepared").iterdir())) == 1


class TestMistakes:
    @pytest.mark.parametrize(
        ("setting", "message"),
        [
            ({"source_column": 0}, r"data\.source_column=0"),
            ({"prefix_column": None}, r"data\.prefix_column=None"),
            ({"target_column": 2}, r"data\.source_column=2: data\.target_column is the same column"),
            ({"max_words": 0}, r"data\.max_words=0"),
            ({"max_pairs": -1}, r"data\.max_pairs=-1"),
            ({"max_words": "six"}, r"data\.max_words=six"),
            ({"prefixes": "i am "}, r"data\.prefixes='i am '"),
            ({"prefixes": [1]}, r"data\.prefixes"),
            ({"keep": "z-a"}, r"data\.keep='z-a'"),
            ({"space_before": " "}, r"data\.space_before"),
        ],
    )
    def test_a_setting_without_meaning_is_named(self, setting, message):
        with pytest.raises(UserError, match=message):
            ArchiveCorpus(**setting)

    @pytest.mark.parametrize(
        ("filters", "advice"),
        [
            ({"prefixes": ["nobody"]}, "relax data.prefixes"),
            ({"max_words": 1}, "relax data.max_words"),
            ({"prefixes": ["they"], "max_words": 4}, "relax data.prefixes or data.max_words"),
            ({"prefixes": ["nobody"], "max_words": 1}, "relax data.prefixes and data.max_words"),
            ({"prefixes": ["nobody"], "max_words": 9}, "relax data.prefixes"),
        ],
    )
    def test_a_filter_that_leaves_nothing_is_named(self, path, filters, advice):
        with pytest.raises(UserError) as error:
            ArchiveCorpus(archive=str(path), **filters).load()
        assert str(error.value) == f"{path}: no pair of the 8 in it is kept; {advice}"

    def test_a_column_that_is_not_there_is_named_with_its_line(self, path):
        with pytest.raises(UserError, match="line 1: 2 columns, but column 3 is asked for"):
            ArchiveCorpus(archive=str(path), source_column=3).load()

    def test_a_file_of_ones_own_is_held_only_to_its_own_hash(self, path):
        ArchiveCorpus(archive=str(path), url="http://unused/data.zip", sha256="0", member_sha256="0").load()
        with pytest.raises(UserError, match="not the file expected"):
            ArchiveCorpus(archive=str(path), archive_sha256="0" * 64).load()

    def test_a_download_is_held_to_the_hash_of_its_member(self, path, monkeypatch):
        monkeypatch.delenv("ENG_FRA_ARCHIVE", raising=False)
        url = "http://unused/pairs.txt"
        download_path(url).parent.mkdir(parents=True)
        path.rename(download_path(url))
        assert url in ArchiveCorpus(url=url).load().origin
        with pytest.raises(UserError, match="not the file expected"):
            ArchiveCorpus(url=url, member_sha256="0" * 64).load()


@pytest.mark.skipif(not os.environ.get("ENG_FRA_ARCHIVE"), reason="$ENG_FRA_ARCHIVE is not set")
def test_the_seminars_archive():
    path = Path(os.environ["ENG_FRA_ARCHIVE"])
    recipe = ArchiveCorpus(prefixes=data_reference.SEMINAR_PREFIXES)

    corpus = recipe.load()
    assert_is_literal(corpus, read_text(path))
    assert recipe.load().fingerprint == corpus.fingerprint
    assert corpus.statistics() == {
        "archive_pairs": 135_842,
        "pairs": 5_318,
        "source_vocabulary": 2_579,
        "target_vocabulary": 1_573,
        "distinct_sources": 4_840,
        "distinct_targets": 3_045,
        "max_source_length": 7,
        "max_target_length": 8,
        "loss_floor": pytest.approx(0.0198, abs=5e-5),
    }
    rows_of_source = np.bincount(corpus.source_groups())
    translations = [
        len({corpus.target_text(row) for row in np.flatnonzero(corpus.source_groups() == group)})
        for group in np.flatnonzero(rows_of_source > 1)
    ]
    assert (sum(count > 1 for count in translations), max(translations)) == (397, 7)
