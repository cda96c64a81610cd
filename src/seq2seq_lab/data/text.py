"""Normalisation of sentences: lower case, no accents, spaces before punctuation."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from seq2seq_lab.errors import UserError

_NON_ASCII = re.compile(r"[^\x00-\x7f]+")


def words(sentence: str) -> list[str]:
    """Split a normalised sentence at each space. Two adjacent spaces give an empty word, which counts as a word."""
    return sentence.split(" ")


@dataclass(frozen=True, kw_only=True)
class Normalisation:
    """How a sentence is normalised. The steps, in this order:

    Args:
        lowercase: lower-case the sentence. (White space at both ends is removed next, always.)
        strip_accents: decompose it (Unicode NFD) and remove the combining marks (category Mn).
        space_before: insert a space before each of these characters.
        keep: a character class of a regular expression, without its brackets; each run of *other* characters is
            replaced by one space. ``None`` or ``""`` = keep all characters.

    White space is not removed again at the end, so a sentence that ends in a quotation mark ends in an empty word.

    Raises:
        UserError: ``keep`` is not a character class, or ``space_before`` contains white space.
    """

    lowercase: bool = True
    strip_accents: bool = True
    space_before: str = ".!?"
    keep: str | None = "a-zA-Z.!?"

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
        if self.lowercase:
            sentence = sentence.lower()
        sentence = sentence.strip()
        if self.strip_accents:
            sentence = _without_marks(sentence)
        if self.space_before:
            sentence = re.sub(f"([{re.escape(self.space_before)}])", r" \1", sentence)
        return re.sub(f"[^{self.keep}]+", " ", sentence) if self.keep else sentence

    def lines(self, sentences: Sequence[str]) -> list[str]:
        """Normalise many sentences: the same result as one call for each, several times as fast."""
        text = "\n".join(sentences)
        if (
            text.count("\n") != len(sentences) - 1
        ):  # a sentence contains the separator, or there is no sentence
            return [self(sentence) for sentence in sentences]
        if self.lowercase:
            text = text.lower()
        stripped = [line.strip() for line in text.split("\n")]
        if self.strip_accents:
            stripped = [line if line.isascii() else _without_marks(line) for line in stripped]
        text = "\n".join(stripped)
        for character in set(self.space_before):
            text = text.replace(character, f" {character}")
        if self.keep:
            text = self._others.sub(" ", text)
        return text.split("\n")

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
    # ASCII characters do not decompose, and marks are not reordered across them: runs between them are independent.
    return _NON_ASCII.sub(lambda run: _decomposed(run[0]), text)


@lru_cache(maxsize=4096)  # in most languages, almost all runs are one of a few dozen accented letters
def _decomposed(run: str) -> str:
    characters = unicodedata.normalize("NFD", run)
    return "".join([c for c in characters if unicodedata.category(c) != "Mn"])
