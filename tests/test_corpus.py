"""Corpora: equality with the literal implementation, statistics, and the source that reads a file."""

import os
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import data_reference
from data_reference import SMALL
from seq2seq_lab.data.corpus import Corpus
from seq2seq_lab.data.sources.archive import ArchiveCorpus
from seq2seq_lab.data.sources.download import download_path
from seq2seq_lab.data.sources.tsv import digest, read_text
from seq2seq_lab.data.text import Normalisation
from seq2seq_lab.data.units import Subwords
from seq2seq_lab.data.vocabulary import Ragged
from seq2seq_lab.errors import UserError

ENG_FRA = (
    "a0fc5f9411d4e0304da5ac2c73d9bf991ed35823d92458f3d4122ba83c9e3a94"  # fingerprint of the seminar's corpus
)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_text(SMALL, encoding="utf-8", newline="")
    return path


def assert_is_literal(corpus: Corpus, text: str, **filters: object) -> None:
    found = data_reference.pairs(text, **filters)
    source_words, source = data_reference.number([pair[0] for pair in found])
    target_words, target = data_reference.number([pair[1] for pair in found])
    assert corpus.source_vocabulary.words == source_words
    assert corpus.target_vocabulary.words == target_words
    assert [row.tolist() for row in map(corpus.source.__getitem__, range(len(corpus)))] == source
    assert [row.tolist() for row in map(corpus.target.__getitem__, range(len(corpus)))] == target
    for predict_sos in (False, True):
        floor = data_reference.loss_floor(found, predict_sos=predict_sos)
        assert corpus.loss_floor(predict_sos=predict_sos) == pytest.approx(floor, rel=1e-12)


def test_a_small_file_is_read_as_in_the_seminar(path):
    corpus = ArchiveCorpus(archive=str(path), prefixes=data_reference.SEMINAR_PREFIXES, max_words=6).load()
    assert_is_literal(corpus, SMALL)
    assert len(corpus) == 4
    assert corpus.source_text(3) == "il est grand !"
    assert corpus.target_text(3) == "he s tall !"


@pytest.mark.parametrize("max_words", [1, 4, 5, 7, 99])
@pytest.mark.parametrize("prefixes", [("",), ("he s ",), ("he",), ("i m ", "i am ", "they")])
def test_filters_keep_the_same_pairs_as_the_literal_implementation(path, prefixes, max_words):
    source = ArchiveCorpus(archive=str(path), prefixes=prefixes, max_words=max_words)
    if data_reference.pairs(SMALL, prefixes=prefixes, max_words=max_words):
        assert_is_literal(source.load(), SMALL, prefixes=prefixes, max_words=max_words)
    else:
        with pytest.raises(UserError, match="none of its 8 pairs is kept"):
            source.load()


def test_without_filters_all_pairs_are_kept(path):
    assert len(ArchiveCorpus(archive=str(path)).load()) == 8
    assert len(ArchiveCorpus(archive=str(path), prefixes=[], max_pairs=3).load()) == 3


def test_exchanged_columns_exchange_source_and_target(path):
    there = ArchiveCorpus(archive=str(path), prefixes=["he s "]).load()
    back = ArchiveCorpus(archive=str(path), prefixes=["he s "], source_column=1, target_column=2).load()
    assert len(back) == len(there)
    for i in range(len(back)):
        assert (back.source_text(i), back.target_text(i)) == (there.target_text(i), there.source_text(i))


def test_prefixes_can_apply_to_a_third_column(tmp_path):
    path = tmp_path / "three.txt"
    path.write_text("a long name of it\thello\tbonjour\nb\tbye\tsalut\n", encoding="utf-8")
    source = ArchiveCorpus(archive=str(path), source_column=3, target_column=2, prefixes=["a"], max_words=1)
    corpus = source.load()
    assert (corpus.source_text(0), corpus.target_text(0), len(corpus)) == ("bonjour", "hello", 1)


@pytest.fixture
def small(path):
    return ArchiveCorpus(archive=str(path), prefixes=data_reference.SEMINAR_PREFIXES, max_words=6).load()


@pytest.mark.parametrize(("predict_sos", "longest"), [(False, 5), (True, 6)])
def test_statistics_and_groups_of_a_small_corpus(small, predict_sos, longest):
    statistics = small.statistics(predict_sos=predict_sos)
    floor = statistics.pop("loss_floor")
    assert statistics == {
        "archive_pairs": 8,
        "pairs": 4,
        "training_pairs": 4,
        "source_vocabulary": 2 + 8,
        "target_vocabulary": 2 + 9,
        "distinct_sources": 2,
        "distinct_targets": 3,
        "max_source_length": 5,
        "max_target_length": longest,
    }
    assert small.source_groups().tolist() == [0, 0, 0, 1]
    assert floor == pytest.approx(-(2 * np.log(2 / 3) + np.log(1 / 3)) / longest / 4)


def test_sentences_with_different_unknown_words_are_distinct():
    words = ["a", "b", "c"]
    corpus = Corpus.build(words, words, archive_pairs=3, normalise=Normalisation(), origin="here").numbered(
        np.array([0]), unknown=True
    )
    statistics = corpus.statistics(predict_sos=False)
    assert (statistics["distinct_sources"], statistics["distinct_targets"]) == (3, 3)


def test_statistics_of_training_pairs_have_the_floor_of_these_pairs(small):
    rows = np.array([0, 1])  # two translations of one source
    statistics = small.statistics(rows, predict_sos=False)
    assert (statistics["pairs"], statistics["training_pairs"]) == (4, 2)
    assert statistics["loss_floor"] == small.loss_floor(rows, predict_sos=False)
    assert statistics["loss_floor"] == pytest.approx(np.log(2) / 5)


def test_the_ids_to_predict_begin_with_sos_only_with_predict_sos(small):
    plain, with_sos = small.to_predict(predict_sos=False), small.to_predict(predict_sos=True)
    assert len(plain) == len(with_sos) == len(small)
    for index in range(len(small)):
        row = small.target[index].tolist()
        assert plain[index].tolist() == row
        assert with_sos[index].tolist() == [0, *row]
        assert 0 not in row


def test_the_floor_is_zero_if_each_source_has_one_translation():
    corpus = Corpus.build(["a", "b"], ["x", "x"], archive_pairs=2, normalise=Normalisation(), origin="")
    assert str(corpus.loss_floor(predict_sos=False)) == "0.0"


def test_rows_with_the_same_content_are_one_group():
    rows = Ragged(np.array([2, 1, 2, 2, 1, 2, 1], dtype=np.int32), np.array([0, 1, 3, 4, 6, 7, 7]))
    assert rows.groups.tolist() == [0, 1, 0, 1, 2, 3]
    assert rows.lengths.tolist() == [1, 2, 1, 2, 1, 0]
    assert rows[-3].tolist() == [1, 2]
    with pytest.raises(IndexError):
        rows[6]


def test_a_first_id_is_added_to_each_row_even_an_empty_one():
    rows = Ragged(np.array([2, 3, 4], dtype=np.int32), np.array([0, 2, 2, 3])).with_first(9)
    assert [rows[i].tolist() for i in range(3)] == [[9, 2, 3], [9], [9, 4]]
    assert (rows.values.dtype, rows.offsets.dtype) == (np.int32, np.int64)


class TestErrors:
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
    def test_the_message_names_the_setting(self, setting, message):
        with pytest.raises(UserError, match=message):
            ArchiveCorpus(**setting)

    @pytest.mark.parametrize(
        ("filters", "reasons"),
        [
            ({"prefixes": ["nobody"]}, ["8 that begin with none of data.prefixes"]),
            ({"max_words": 1}, ["8 with more than data.max_words words on a side"]),
            (
                {"prefixes": ["they"], "max_words": 4},
                [
                    "7 that begin with none of data.prefixes",
                    "1 with more than data.max_words words on a side",
                ],
            ),
        ],
    )
    def test_the_message_names_the_filters_that_keep_no_pair_and_the_first_line_of_each(
        self, path, filters, reasons
    ):
        with pytest.raises(UserError) as error:
            ArchiveCorpus(archive=str(path), **filters).load()
        first, *lines = str(error.value).splitlines()
        assert first == f"{path}: none of its 8 pairs is kept:"
        for line, reason in zip(lines, reasons, strict=True):
            assert line.startswith(f"  {reason}: {path} line ")

    def test_the_message_about_a_missing_column_names_the_line(self, path):
        with pytest.raises(UserError, match="line 1: 2 columns, but column 3 is needed"):
            ArchiveCorpus(archive=str(path), source_column=3).load()

    def test_a_file_of_the_user_is_checked_against_its_own_hash_only(self, path):
        ArchiveCorpus(archive=str(path), url="http://unused/data.zip", sha256="0", member_sha256="0").load()
        with pytest.raises(UserError, match="not the file expected"):
            ArchiveCorpus(archive=str(path), archive_sha256="0" * 64).load()

    def test_a_download_is_checked_against_the_hash_of_its_member(self, path, monkeypatch):
        monkeypatch.delenv("ENG_FRA_ARCHIVE", raising=False)
        url = "http://unused/pairs.txt"
        download_path(url).parent.mkdir(parents=True)
        path.rename(download_path(url))
        assert url in ArchiveCorpus(url=url).load().origin
        with pytest.raises(UserError, match="not the file expected"):
            ArchiveCorpus(url=url, member_sha256="0" * 64).load()


class TestCredit:
    CREDIT = "sentences by somebody"

    def test_a_file_of_the_user_has_no_credit(self, path):
        source = ArchiveCorpus(archive=str(path), sha256="0" * 64, credit=self.CREDIT)
        assert source.load().origin == f"8 of 8 pairs of {path}"

    @pytest.mark.parametrize(("name", "change"), product(["sha256", "member_sha256"], [str.lower, str.upper]))
    def test_a_file_of_the_user_with_the_hash_of_the_download_has_its_credit(self, path, name, change):
        hashes = {name: change(digest(path))}
        source = ArchiveCorpus(archive=str(path), credit=self.CREDIT, **hashes)
        for _ in range(2):  # prepared, and from the cache
            assert source.load().origin == f"8 of 8 pairs of {path}; {self.CREDIT}"

    def test_the_download_has_its_credit(self, path, monkeypatch):
        monkeypatch.delenv("ENG_FRA_ARCHIVE", raising=False)
        url, sha256 = "http://unused/pairs.txt", digest(path)
        download_path(url).parent.mkdir(parents=True)
        path.rename(download_path(url))
        source = ArchiveCorpus(url=url, sha256=sha256, credit=self.CREDIT)
        assert source.load().origin == f"8 of 8 pairs of {url}; {self.CREDIT}"


@pytest.mark.skipif(not os.environ.get("ENG_FRA_ARCHIVE"), reason="$ENG_FRA_ARCHIVE is not set")
def test_the_seminars_archive():
    path = Path(os.environ["ENG_FRA_ARCHIVE"])
    source = ArchiveCorpus(prefixes=data_reference.SEMINAR_PREFIXES, max_words=6)

    corpus = source.load()
    assert_is_literal(corpus, read_text(path))
    assert source.load().fingerprint == corpus.fingerprint == ENG_FRA
    assert corpus.statistics(predict_sos=True) == {
        "archive_pairs": 135_842,
        "pairs": 5_318,
        "training_pairs": 5_318,
        "source_vocabulary": 2_579,
        "target_vocabulary": 1_573,
        "distinct_sources": 4_840,
        "distinct_targets": 3_045,
        "max_source_length": 7,
        "max_target_length": 8,
        "loss_floor": pytest.approx(0.019807, abs=5e-7),
    }
    rows_of_source = np.bincount(corpus.source_groups())
    translations = [
        len({corpus.target_text(row) for row in np.flatnonzero(corpus.source_groups() == group)})
        for group in np.flatnonzero(rows_of_source > 1)
    ]
    assert (sum(count > 1 for count in translations), max(translations)) == (397, 7)


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_subwords_are_found_in_long_sentences_too(kind):
    words = ["alpha", "beta", "gamma"]
    units = Subwords(20, kind).fit([" ".join(words * 1000)] * 3)
    letters = set("".join(words))
    assert all(set(piece) <= letters | {"▁"} for word in words for piece in units.divide(word))
    assert any(len(piece) > 2 for word in words for piece in units.divide(word))
