"""Normalisation of sentences: case, accents, punctuation and white space."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from seq2seq_lab.errors import UserError

_NON_ASCII = re.compile(r"[^\x00-\x7f]+")
# The entities that Moses and subtitles contain, also where they were escaped twice: "&amp;quot;".
ENTITY = re.compile(r"&(?:amp;)*(?:(amp|lt|gt|quot|apos|nbsp)|#([0-9]{1,7})|#[xX]([0-9a-fA-F]{1,6}));")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "nbsp": " "}
# Soft hyphens, zero-width spaces and joiners, directional marks, byte-order marks, variants of a glyph. In scripts such
# as Arabic and Devanagari (ZWNJ, ZWJ) change what a word is; Thai, Lao, Burmese and Khmer divide words by U+200B.
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e01ef]"
    "|(?<![\u0590-\u1fff])[\u200c\u200d]"
)
_DIVIDER = re.compile("(?<=[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff])\u200b")
_MAY_BE_MARK = re.compile(r"[^\w\s]|_")


def words(sentence: str) -> list[str]:
    """Split a normalised sentence at each space. Two adjacent spaces give an empty word, which counts as a word."""
    return sentence.split(" ")


def shortened(sentence: str, length: int = 60) -> str:
    """A sentence as it is quoted in a message of one line."""
    return repr(sentence if len(sentence) <= length else f"{sentence[: length - 1]}…")


@dataclass(frozen=True, kw_only=True)
class Normalisation:
    """How a sentence is normalised. The steps, in this order:

    Args:
        unescape: resolve the entities of HTML and Moses: ``&apos;``, ``&#124;``.
        strip_invisible: remove soft hyphens, zero-width spaces, directional marks and other characters that are not
            seen, so that what looks equal is equal.
        lowercase: lower-case the sentence. (White space at both ends is removed next, always.)
        strip_accents: remove the combining marks (Unicode category Mn) of Latin letters. Other scripts keep their
            marks, which make other letters of them.
        compose: write each letter with its marks as one character (Unicode NFC), and a typographic apostrophe as a
            plain one, so that what looks equal is equal.
        space_before: insert a space before each of these characters.
        separate: make a word of each punctuation mark and symbol, except inside numbers and words: ``3.5``,
            ``peut-être``. An apostrophe ends a word: ``l' homme``.
        keep: a character class of a regular expression, without its brackets; each run of *other* characters is
            replaced by one space. ``None`` or ``""`` = keep all characters.
        collapse: replace each run of white space by one space, and remove it at both ends. Without it, a sentence of
            the seminar that ends in a quotation mark ends in an empty word.

    Raises:
        UserError: ``keep`` is not a character class, or ``space_before`` contains white space.
    """

    lowercase: bool = True
    strip_accents: bool = True
    space_before: str = ".!?"
    keep: str | None = "a-zA-Z.!?"
    compose: bool = False
    separate: bool = False
    collapse: bool = False
    unescape: bool = False
    strip_invisible: bool = False

    def __post_init__(self) -> None:
        if re.search(r"\s", self.space_before):
            raise UserError(f"data.space_before={self.space_before!r}: it cannot contain white space")
        if self.keep and not _is_class(self.keep):
            raise UserError(
                f"data.keep={self.keep!r}: not a regular-expression character class;"
                " write it without its brackets, such as a-zA-Z.!?"
            )

    def __call__(self, sentence: str) -> str:
        """Normalise one sentence."""
        if self.unescape:
            sentence = _unescaped(sentence)
        if self.strip_invisible:
            sentence = _visible(sentence)
        if self.lowercase:
            sentence = sentence.lower()
        sentence = sentence.strip()
        if self.strip_accents:
            sentence = _without_marks(sentence)
        if self.compose:
            sentence = _composed(sentence)
        if self.space_before:
            sentence = re.sub(f"([{re.escape(self.space_before)}])", r" \1", sentence)
        if self.separate:
            sentence = _separated(sentence)
        if self.keep:
            sentence = re.sub(f"[^{self.keep}]+", " ", sentence)
        return " ".join(sentence.split()) if self.collapse else sentence

    def lines(self, sentences: Sequence[str]) -> list[str]:
        """Normalise many sentences: the same result as one call for each, several times as fast."""
        text = "\n".join(sentences)
        if (
            text.count("\n") != len(sentences) - 1
        ):  # a sentence contains the separator, or there is no sentence
            return [self(sentence) for sentence in sentences]
        if self.unescape:
            text = _unescaped(text)
        if self.strip_invisible:
            text = _visible(text)
        if self.lowercase:
            text = text.lower()
        stripped = [line.strip() for line in text.split("\n")]
        if self.strip_accents:
            stripped = [line if line.isascii() else _without_marks(line) for line in stripped]
        if self.compose:
            stripped = [line if line.isascii() else _composed(line) for line in stripped]
        text = "\n".join(stripped)
        for character in set(self.space_before):
            text = text.replace(character, f" {character}")
        if self.separate:
            text = _separated(text)
        if self.keep:
            text = self._others.sub(" ", text)
        done = text.split("\n")
        return [" ".join(line.split()) for line in done] if self.collapse else done

    @cached_property
    def _others(self) -> re.Pattern[str]:
        """What `lines` replaces: runs of characters that are not in `keep`, within a line, except single spaces."""
        # Newline and space are written as ranges because a "-" after a range is always taken literally.
        other, visible = rf"[^\n-\n{self.keep}]", rf"[^\n-\n\x20-\x20{self.keep}]"
        return re.compile(f"{visible}{other}*| {other}+" if re.match(other, " ") else f"{other}+")


def _is_class(characters: str) -> bool:
    # An unescaped "]" would end the class early and still compile, to something else.
    if not re.fullmatch(r"([^\\\]]|\\.)+", characters, re.DOTALL):
        return False
    try:
        re.compile(f"[^{characters}]")
    except re.error:
        return False
    return True


def _without_marks(text: str) -> str:
    # ASCII characters do not decompose, and marks are not reordered across them: runs between them are independent,
    # but for marks that follow an ASCII letter.
    return _NON_ASCII.sub(lambda run: _decomposed(run[0]), text)


@lru_cache(maxsize=4096)  # in most languages, almost all runs are one of a few dozen accented letters
def _decomposed(run: str) -> str:
    kept = []
    latin = True  # what comes before the run is ASCII
    for character in unicodedata.normalize("NFD", run):
        if unicodedata.category(character) != "Mn":
            latin = "LATIN" in unicodedata.name(character, "")
        elif latin:
            continue
        kept.append(character)
    return unicodedata.normalize("NFC", "".join(kept))


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text).replace("\u2019", "'")


def _unescaped(text: str) -> str:
    return ENTITY.sub(_character, text) if "&" in text else text


def _character(found: re.Match[str]) -> str:
    name, decimal, hexadecimal = found.groups()
    if name:
        return _NAMED[name]
    code = int(decimal) if decimal else int(hexadecimal, 16)
    if code > 0x10FFFF or 0xD800 <= code < 0xE000:  # no character
        return found[0]
    return chr(code) if code > 0x20 else " "  # a line end would be one of the file


def _visible(text: str) -> str:
    if text.isascii():
        return text
    return INVISIBLE.sub("", _DIVIDER.sub(" ", text))


def _separated(text: str) -> str:
    return _MAY_BE_MARK.sub(_spaced, text)


def _spaced(found: re.Match[str]) -> str:
    """A punctuation mark or symbol with spaces around it where it does not belong to a word or a number."""
    mark, text, at = found[0], found.string, found.start()
    if unicodedata.category(mark)[0] not in "PS":  # the marks of letters
        return mark
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    if mark in ".,:" and before.isdigit() and after.isdigit():
        return mark
    if mark == "-" and _is_of_word(before) and _is_of_word(after):
        return mark
    if mark == "'" and _is_of_word(before):
        return "' "
    return f" {mark} "


def _is_of_word(character: str) -> bool:
    """Whether it is a letter, its mark, or a digit; empty where there is none."""
    return character.isalnum() or (character != "" and unicodedata.category(character)[0] == "M")


PRESETS: dict[str, Normalisation] = {
    "seminar": Normalisation(),
    "text": Normalisation(
        strip_accents=False,
        space_before="",
        keep=None,
        compose=True,
        separate=True,
        collapse=True,
        unescape=True,
        strip_invisible=True,
    ),
    "none": Normalisation(lowercase=False, strip_accents=False, space_before="", keep=None, collapse=True),
}
"""The settings of ``data.normalise``: as in the seminar; sound for any script; only white space."""
