"""Normalisation, of one sentence and of many, and vocabularies."""

import random
import re
import unicodedata
from collections.abc import Sequence

import pytest

import data_reference
from seq2seq_lab.data.text import PRESETS, Normalisation, words
from seq2seq_lab.data.vocabulary import Vocabulary
from seq2seq_lab.errors import UserError

# Letters, marks and spaces with unusual rules for lower case, decomposition, order, line ends or stripping.
UNUSUAL = [
    *"abzABZ.!?,;'’\"«»-… \t", "é", "É", "e\u0301", "\u0301", "\u0323\u0307", "ç", "œ", "ﬁ", "ß", "ẞ", "İ",
    "ı", "Σ", "σ", "ΑΣ", "Σ\u0301", "ʼ", "\xa0", "\u202f", "\u200d", "\u200b", "\u2028", "\u2029", "\x85",
    "\x0b", "\x1c", "\x1f", "\x00", "\r", "한", "각", "ẛ\u0323", "\u302e", "\U0001d157\U0001d165", "Å", "ﷺ",
    "日", "🙂", "👩\u200d🚀", "\ufeff", "ǅ",
]  # fmt: skip

SETTINGS = [
    {},
    {"lowercase": False},
    {"strip_accents": False},
    {"space_before": ""},
    {"space_before": "?e'é]^-\\"},
    {"keep": None},
    {"keep": ""},
    {"keep": "a-z "},
    {"keep": "a-z-"},
    {"keep": "-a-z"},
    {"keep": "z-"},
    {"keep": "^a-z"},
    {"keep": r"\w\]"},
    {"keep": r"\w\s"},
    {"keep": "a-zàâçéèêëîïôûùüÿœæ"},
]


def random_sentences(seed: int, count: int = 300, more: Sequence[str] = ()) -> list[str]:
    draw = random.Random(seed)
    return ["".join(draw.choices([*UNUSUAL, *more], k=draw.randrange(14))) for _ in range(count)]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_one_sentence_and_many_lines_are_equal_to_the_literal_implementation(settings):
    sentences = random_sentences(seed=0)
    normalise = Normalisation(**settings)
    expected = [data_reference.normalise(sentence, **settings) for sentence in sentences]
    assert [normalise(sentence) for sentence in sentences] == expected
    assert normalise.lines(sentences) == expected


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_gives_the_same_for_one_sentence_and_for_many(preset):
    sentences = random_sentences(
        seed=2, more=["&amp;", "&#10;", "&quot;", "\xad", "\u200c", "ก", "م", "\ufe0f", "_"]
    )
    normalise = PRESETS[preset]
    once = normalise.lines(sentences)
    assert once == [normalise(sentence) for sentence in sentences]
    if preset != "seminar":
        assert all(" ".join(sentence.split()) == sentence for sentence in once)


@pytest.mark.parametrize(
    ("raw", "normalised"),
    [
        ("l&apos; ami &quot;oui&quot;", 'l\' ami " oui "'),
        ("AT&amp;T &amp;quot; &#124;&#x41;", 'at & t " | a'),
        ("one&#10;line&nbsp;here", "one line here"),
        ("&#xD800; &#9999999; &eacute;", "& # xd800 ; & # 9999999 ; & eacute ;"),
        ("je ve\u200but wa\xadnt", "je veut want"),
        ("\ufeffhi \u200fשלום\u202c", "hi שלום"),
        ("auf\u200clage", "auflage"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("क्\u200dष", "क्\u200dष"),
        ("ฉัน\u200bดื่ม", "ฉัน ดื่ม"),
        ("👩\u200d🚀 ❤\ufe0f", "👩 🚀 ❤"),
    ],
)
def test_text_resolves_entities_and_removes_what_is_not_seen(raw, normalised):
    assert PRESETS["text"](raw) == normalised


def test_the_seminars_normalisation_keeps_its_result_for_entities_and_invisible_characters():
    assert Normalisation()("l&apos;ami ve\u200but") == "l apos ami ve ut"


def test_the_normalisation_of_a_run_that_was_made_before_does_not_change():
    old = {"lowercase": True, "strip_accents": False, "space_before": "", "keep": None}
    before = Normalisation(**old, compose=True, separate=True, collapse=True)
    assert before("l&apos;ami ve\u200but") == "l & apos ; ami ve\u200but"


def test_each_punctuation_mark_and_symbol_is_separated_and_nothing_else():
    for code in range(0x11000):
        character = chr(code)
        if character.isspace() or 0xD800 <= code < 0xE000:
            continue
        found = Normalisation(
            lowercase=False, strip_accents=False, space_before="", keep=None, separate=True
        )(f"a{character}b")
        is_mark = unicodedata.category(character)[0] in "PS"
        apart = {"'": ["a' b"], "-": ["a-b"]}.get(character, [f"a {character} b"])
        assert found in (apart if is_mark else [f"a{character}b"]), hex(code)


@pytest.mark.parametrize("word", ["बार-बार", "धीरे-धीरे", "peut-être", "e\u0301-x"])
def test_a_hyphen_in_a_word_stays_whatever_marks_its_letters_have(word):
    assert PRESETS["text"](word) == unicodedata.normalize("NFC", word)


@pytest.mark.parametrize(
    "sentences", [[], [""], ["", ""], [" "], ["a\nb", "C"], ["Été\n", "\n"], ["\u0301", "\u0301a"]]
)
def test_lines_normalises_each_sentence_separately(sentences):
    normalise = Normalisation()
    assert normalise.lines(sentences) == [normalise(sentence) for sentence in sentences]


def test_the_steps_are_applied_in_order():
    normalise = Normalisation()
    assert normalise("  Ça VA-t-il ?! ") == "ca va t il ?!".replace("?!", "? !")
    assert normalise("Où ça…\u202f?") == "ou ca ?"
    assert normalise("Elle dit «\xa0oui\xa0»") == "elle dit oui "


def test_a_quotation_mark_at_the_end_becomes_an_empty_word_that_counts():
    assert words(Normalisation()('"Go."')) == ["", "go", ".", ""]


def test_without_spaces_before_punctuation_a_second_normalisation_changes_only_outer_spaces():
    normalise = Normalisation(space_before="")
    once = normalise.lines(random_sentences(seed=1))
    assert [normalise(s) for s in once] == [s.strip(" ") for s in once]


@pytest.mark.parametrize("keep", ["z-a", "a]b", "]", "\\", "a\\", r"\q"])
def test_keep_must_be_a_character_class(keep):
    with pytest.raises(UserError, match=re.escape(f"data.keep={keep!r}")):
        Normalisation(keep=keep)


def test_space_before_must_not_contain_white_space():
    with pytest.raises(UserError, match=r"data\.space_before"):
        Normalisation(space_before=". ")


class TestVocabulary:
    def test_ids_follow_first_appearance(self):
        vocabulary = Vocabulary.build(["b a b", "c a"])
        assert vocabulary.words == ["<sos>", "<eos>", "b", "a", "c"]
        assert vocabulary.encode(["c", "b"]) == [4, 2]
        assert len(vocabulary) == 5
        assert "a" in vocabulary
        assert "d" not in vocabulary

    def test_decoding_is_the_inverse_of_encoding_up_to_the_end(self):
        vocabulary = Vocabulary.build(["je suis la ."])
        ids = vocabulary.encode(["la", "je", "."])
        assert vocabulary.decode([0, *ids, 1, 3, 0]) == ["la", "je", "."]

    def test_an_empty_word_is_a_word(self):
        assert Vocabulary.build(["a  b"]).words[2:] == ["a", "", "b"]

    def test_without_sentences_only_the_special_words_have_ids(self):
        vocabulary = Vocabulary.build([])
        assert vocabulary.words == ["<sos>", "<eos>"]
        assert len(vocabulary.number([])) == 0

    def test_numbered_sentences_end_with_eos_and_do_not_begin_with_sos(self):
        rows = Vocabulary.build(["a b", "c"]).number(["a b", "c"])
        assert [rows[0].tolist(), rows[1].tolist()] == [[2, 3, 1], [4, 1]]

    def test_each_unknown_word_is_named_once(self):
        vocabulary = Vocabulary.build(["a b"])
        assert vocabulary.unknown(["x", "a", "y", "x"]) == ["x", "y"]
        with pytest.raises(ValueError, match="not in the vocabulary: 'x', 'y'"):
            vocabulary.encode(["x", "a", "y", "x"])

    def test_to_list_and_from_list_are_inverse(self):
        vocabulary = Vocabulary.build(["a b"])
        assert Vocabulary.from_list(vocabulary.to_list()).words == vocabulary.words

    @pytest.mark.parametrize("given", [[], ["a"], ["<eos>", "<sos>"], ["<sos>", "<eos>", "a", "a"]])
    def test_a_list_without_special_words_or_with_a_repeated_word_is_an_error(self, given):
        with pytest.raises(ValueError, match="a vocabulary"):
            Vocabulary.from_list(given)

    def test_a_special_word_in_the_text_is_an_error(self):
        with pytest.raises(UserError, match="<eos> is a word of the text"):
            Vocabulary.build(["a <eos> b"])
