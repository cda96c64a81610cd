"""Sentences to plain words: lower case, no accents, punctuation set apart."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from seq2seq_lab.errors import UserError

_NON_ASCII = re.compile(r"[^\x00-\x7f]+")


def words(sentence: str) -> list[str]:
    """Split a normalised sentence at single spaces; an empty word between two spaces counts as a word."""
    return sentence.split(" ")


@dataclass(frozen=True, kw_only=True)
class Normalisation:
    """How a raw sentence becomes words, in this order: lower, strip, strip accents, space out, replace.

    Args:
        lowercase: lower-case the sentence.
        strip_accents: decompose (NFD) and drop the combining marks (category Mn).
        space_before: a space is put before each of these characters.
        keep: a regular-expression character class, without its brackets; every run of *other* characters
            becomes one space. ``None`` or ``""`` keeps everything.

    Nothing is stripped at the end, so a sentence that ends in a quotation mark ends in an empty word.

    Raises:
        UserError: ``keep`` is no character class, or ``space_before`` holds white space.
    """

    lowercase: bool = True
    strip_accents: bool = True
    space_before: str = ".!?"
    keep: str | None = "a-zA-Z.!?"

    def __post_init__(self) -> None:
        if re.search(r"\s", self.space_before):
            raise UserError(f"data.space_before={self.space_before!r}: white space cannot be set apart")
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
        """Normalise many sentences at once: what calling it on each would give, several times as fast."""
        text = "\n".join(sentences)
        if text.count("\n") != len(sentences) - 1:  # a sentence holds the separator, or there is none
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
        """What `lines` replaces: runs of characters not in `keep` within a line, but for lone spaces."""
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
    # ASCII neither decomposes nor lets a mark move past it, so each run between stands alone.
    return _NON_ASCII.sub(lambda run: _decomposed(run[0]), text)


@lru_cache(maxsize=4096)  # in most languages a few dozen accented letters make up nearly all runs
def _decomposed(run: str) -> str:
    characters = unicodedata.normalize("NFD", run)
    return "".join([c for c in characters if unicodedata.category(c) != "Mn"])
