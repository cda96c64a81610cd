"""Sources of the user: one class with one method has the shared settings, the cache and the commands."""

from dataclasses import dataclass

import pytest
from hydra.utils import instantiate

from seq2seq_lab.commands import main as cli
from seq2seq_lab.config.compose import composed
from seq2seq_lab.data.sources.base import PairSource, Provenance, RawPairs
from seq2seq_lab.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Digits(PairSource):
    """Numbers in digits, and their digits as words."""

    count: int = 30

    def read(self) -> RawPairs:
        words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
        numbers = [str(number) for number in range(self.count)]
        return RawPairs(
            sources=[" ".join(number) for number in numbers],
            targets=[" ".join(words[int(digit)] for digit in number).title() for number in numbers],
        )


@dataclass(frozen=True, kw_only=True)
class CachedDigits(Digits):
    """The same, cached."""

    def provenance(self) -> Provenance:
        return Provenance(origin="digits", credit="somebody", fingerprint=f"1 {self.count}")


def test_one_method_is_enough():
    corpus = Digits(keep=None).load()
    assert corpus.origin == "30 of 30 pairs of Digits"
    assert (corpus.source_text(12), corpus.target_text(12)) == ("1 2", "one two")


def test_a_source_has_the_settings_of_all_sources():
    corpus = Digits(keep=None, lowercase=False, prefixes=["T", "N"], max_words=1, max_pairs=2).load()
    assert [corpus.target_text(i) for i in range(len(corpus))] == ["Two", "Three"]
    with pytest.raises(UserError, match=r"data\.max_words=0"):
        Digits(max_words=0)


@pytest.mark.parametrize("given", [{"lowercase": False}, {"keep": "a-z"}, {"space_before": ""}])
def test_a_step_of_the_seminar_beside_another_normalisation_is_refused(given):
    (name,) = given
    with pytest.raises(UserError, match=rf"data\.{name}: only data.normalise=seminar uses it, not text"):
        Digits(normalise="text", **given)


def test_contracted_sentences_begin_as_in_the_seminar_whatever_the_normalisation(tmp_path):
    pairs = [
        "I'm tired.\tJe suis las.",
        "He's here.\tIl est là.",
        "I am old.\tJe suis vieux.",
        "It's him.\tC'est lui.",
    ]
    (tmp_path / "pairs.tsv").write_text("\n".join(pairs) + "\n", encoding="utf-8")
    given = ["data=eng_fra", f"data.archive={tmp_path / 'pairs.tsv'}", "split=none"]
    kept = {}
    for normalise in ("seminar", "text"):
        corpus = instantiate(composed([*given, f"data.normalise={normalise}"])["data"]).load()
        kept[normalise] = [corpus.target_text(row) for row in range(len(corpus))]
    assert kept == {
        "seminar": ["i m tired .", "he s here .", "i am old ."],
        "text": ["i' m tired .", "he' s here .", "i am old ."],
    }


def test_only_a_source_with_a_fingerprint_is_cached(tmp_path):
    stored = tmp_path / "cache" / "prepared"
    Digits(keep=None).load()
    assert not stored.exists()
    first, second = CachedDigits(keep=None).load(), CachedDigits(keep=None).load()
    assert len(list(stored.iterdir())) == 1
    assert first.fingerprint == second.fingerprint
    assert second.origin == "30 of 30 pairs of digits; somebody"
    assert len(CachedDigits(keep=None, count=5).load()) == 5
    assert len(list(stored.iterdir())) == 2


def test_sources_with_the_same_fingerprint_and_settings_do_not_share_a_cached_corpus():
    class Reversed(CachedDigits):
        def read(self) -> RawPairs:
            raw = super().read()
            return RawPairs(sources=raw.targets, targets=raw.sources)

    assert CachedDigits(keep=None).load().source_text(1) == "1"
    assert Reversed(keep=None).load().source_text(1) == "one"


def test_a_source_may_translate_sentences_to_themselves():
    class Copies(PairSource):
        def read(self) -> RawPairs:
            sentences = ["a b", "b c d", "c"]
            return RawPairs(sources=sentences, targets=sentences)

    corpus = Copies(max_words=2, prefixes=["a"]).load()
    assert (len(corpus), corpus.source_text(0), corpus.target_text(0)) == (1, "a b", "a b")


def test_the_number_of_available_pairs_is_reported():
    class Drawn(PairSource):
        def read(self) -> RawPairs:
            return RawPairs(sources=["a"], targets=["b"], available=7)

    assert Drawn().load().origin == "1 of 7 pairs of Drawn"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"targets": ["a"]}, "2 sources and 1 targets; the numbers must be equal"),
        ({"targets": ["a", "b"], "prefixed": []}, "2 sources and 2 targets and 0 sentences for prefixes"),
    ],
)
def test_columns_of_different_lengths_are_an_error(columns, message):
    with pytest.raises(UserError, match=f"data: the source returned {message}"):
        RawPairs(sources=["a", "b"], **columns)


def test_a_source_without_pairs_is_an_error():
    with pytest.raises(UserError, match="Digits: contains no pair"):
        Digits(count=0).load()


def test_a_source_of_the_user_is_an_option_of_the_commands(capsys):
    overrides = ["data=toy", "~data.pairs", "~data.seed", "data._target_=test_sources.Digits"]
    assert cli.main(["data", *overrides, "+data.count=20", "+data.keep=null"]) == 0
    assert capsys.readouterr().out.startswith("20 of 20 pairs of Digits\n")
    assert cli.main(["data", *overrides, "+data.cuont=20"]) == 1
    assert "did you mean +data.count?" in capsys.readouterr().err
