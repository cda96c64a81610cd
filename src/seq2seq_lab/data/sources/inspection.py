"""What the normalisation removes from the pairs that are kept, and what may be wrong with their sentences."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seq2seq_lab.data.corpus import Removed
from seq2seq_lab.data.sources.filters import LETTERS, NOTHING, Kept
from seq2seq_lab.data.sources.raw import RawPairs
from seq2seq_lab.data.text import ENTITY, INVISIBLE, Normalisation, shortened

_LETTERS_LOST = 0.01  # share of the pairs; above it a run says so
_REMOVED = 0.1  # share of the characters
_LONG, _TIMES_LONGER = 100, 10  # words; and how much longer than almost all others
_CHUNK = 100_000  # sentences at a time, so that little memory is needed
_CODES = 0x110000  # of Unicode


class _Kind(NamedTuple):
    """A kind of text that is probably wrong.

    Attributes:
        triggers: a sentence of this kind contains one of these characters.
        pattern: what it contains.
        what: its name.
        remedy: what to do.
        share: it is shown if more than this share of the pairs is of this kind.
    """

    triggers: str
    pattern: re.Pattern[str]
    what: str
    remedy: str
    share: float = 0.0


def _characters(pattern: str) -> str:
    """All characters that a class of a regular expression contains."""
    return "".join(filter(re.compile(pattern).fullmatch, map(chr, range(0x3000))))


_ENTITIES = _Kind("&", ENTITY, "an entity of HTML or Moses", "data.normalise=text resolves such entities")
_UNSEEN = _Kind(
    _characters(INVISIBLE.pattern) + "\ufe0e\ufe0f\ufeff",
    INVISIBLE,
    "an invisible character",
    "data.normalise=text removes such characters",
)
_CONTROLS = r"[\x01-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]"
_ALWAYS = (
    _Kind(
        "<",
        re.compile(
            r"</?(?:a|b|br|div|em|font|h[1-6]|hr|i|li|p|s|seg|small|span|strong|sub|sup|td|tr|u|ul)(?:\s[^<>]*)?/?>",
            re.IGNORECASE,
        ),
        "a tag of HTML",
        "remove such tags from the file",
    ),
    _Kind(
        "ÃÂ€\ufffd",
        re.compile("Ã[\u0080-\u00aa\u00ac-\u00ba\u00bc-\u00bf]|Â[\u0080-\u00bf]|â€|\ufffd"),
        "text that was read in a wrong encoding",
        "write the file from its original again, in UTF-8",
    ),
    _Kind(
        _characters(_CONTROLS),
        re.compile(_CONTROLS),
        "a control character",
        "remove it, or write the file in UTF-8 again",
    ),
    _Kind(
        "\r",
        re.compile("\r"),
        "a carriage return inside a sentence",
        "end all lines of the file in the same way",
    ),
    _Kind(
        '"',
        re.compile(r'\A"(?=.*"").*"\Z', re.DOTALL),
        "the quotes of a spreadsheet",
        "save the table as text without quotes, or quote each field that contains a quotation mark",
        share=0.01,
    ),
)


class Inspection(NamedTuple):
    """What was found; the fields of `Corpus` with these names."""

    removed: dict[str, Removed]
    cautions: list[str]


def inspect(normalise: Normalisation, raw: RawPairs, kept: Kept) -> Inspection:
    """Inspect the raw sentences of the pairs that are kept, and the reasons why others are not."""
    kinds = [
        *([] if normalise.unescape else [_ENTITIES]),
        *([] if normalise.strip_invisible else [_UNSEEN]),
        *_ALWAYS,
    ]
    triggers = "".join(kind.triggers for kind in kinds)
    found: dict[_Kind, dict[int, re.Match[str]]] = {kind: {} for kind in kinds}
    removed = {}
    for side, column, normalised in (
        ("source", raw.sources, kept.sources),
        ("target", raw.targets, kept.targets),
    ):
        sentences = [column[row] for row in kept.rows]
        counts, rows = _scan(sentences, triggers)
        for row in rows:
            for kind in kinds:
                if match := kind.pattern.search(sentences[row]):
                    found[kind].setdefault(row, match)
        total, characters = _removed(normalise, counts)
        lost = "".join(filter(str.isalpha, characters))
        chunks = _codes(sentences) if lost else ()
        rows = [row for chunk in chunks for row in _rows_with(lost, *chunk)]
        example = (
            f"{raw.place(kept.rows[rows[0]])}: {_change(sentences, normalised, rows[0])}" if rows else ""
        )
        removed[side] = Removed(total, characters, len(rows), example)
    cautions = [
        _caution(kind, matches, raw, kept)
        for kind, matches in found.items()
        if len(matches) > kind.share * len(kept.rows)
    ]
    return Inspection(removed, [*cautions, *_long(raw, kept), *_losses(removed, kept)])


def _scan(sentences: Sequence[str], wanted: str) -> tuple[NDArray[np.int64], list[int]]:
    """How often each character appears, by its number, and the sentences that contain one of the wanted characters."""
    counts = np.zeros(0, dtype=np.int64)
    rows: list[int] = []
    for start, codes in _codes(sentences):
        counted = np.bincount(codes, minlength=len(counts))
        counted[: len(counts)] += counts
        counts = counted
        rows += _rows_with(wanted, start, codes)
    return counts, rows


def _codes(sentences: Sequence[str]) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Chunks of the sentences as the numbers of their characters, a line feed after each, and the first one's row."""
    for start in range(0, len(sentences), _CHUNK):
        chunk = sentences[start : start + _CHUNK]
        text = "\n".join([*chunk, ""])
        if text.count("\n") != len(chunk):
            text = "\n".join([*(sentence.replace("\n", " ") for sentence in chunk), ""])
        yield start, np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.intp)


def _rows_with(wanted: str, start: int, codes: NDArray[np.intp]) -> list[int]:
    """The sentences of a chunk that contain one of the wanted characters."""
    is_wanted = np.zeros(_CODES, dtype=bool)
    is_wanted[[*map(ord, wanted)]] = True
    at = np.flatnonzero(is_wanted[codes])
    if not len(at):
        return []
    found: list[int] = (start + np.unique(np.searchsorted(np.flatnonzero(codes == ord("\n")), at))).tolist()
    return found


def _caution(kind: _Kind, matches: dict[int, re.Match[str]], raw: RawPairs, kept: Kept) -> str:
    """What is said about the pairs of a kind."""
    row = min(matches)
    text = matches[row][0]
    shown = f" {text}" if text.isprintable() and len(text) < 20 else ""
    if len(text) == 1 and not shown:
        name = unicodedata.name(text, "").lower()
        shown = f" U+{ord(text):04X}{name and f' ({name})'}"
    sentence = shortened(matches[row].string)
    return f"{raw.place(kept.rows[row])}: {kind.what}{shown}: {sentence}, {_of(len(matches), kept)}; {kind.remedy}"


def _long(raw: RawPairs, kept: Kept) -> Iterator[str]:
    """A caution about sentences that are much longer than almost all others: translations may be as long as they are,
    so that one of them makes each evaluation slow."""
    if not len(kept.rows):
        return
    counts = [[text.count(" ") + 1 for text in side] for side in (kept.sources, kept.targets)]
    words = np.max(counts, axis=0)
    usual = int(np.quantile(words, 0.99, method="higher"))
    if len(rows := np.flatnonzero(words > max(_LONG, _TIMES_LONGER * usual))):
        yield (
            f"{raw.place(kept.rows[rows[0]])}: a sentence of {words[rows[0]]:,} words, {_of(len(rows), kept)}, where "
            f"99 % have at most {usual}; data.max_words={usual} leaves out what is longer, which makes evaluations slow"
        )


def _removed(normalise: Normalisation, counts: NDArray[np.int64]) -> tuple[int, dict[str, int]]:
    """The number of characters but white space, and how often each one was that the normalisation removes.

    Accents that it strips are not counted, as their letters stay.
    """
    total, characters = 0, {}
    for code in np.flatnonzero(counts).tolist():
        character = chr(code)
        category = unicodedata.category(character)
        if character.isspace() or (category == "Mn" and normalise.strip_accents):
            continue
        total += int(counts[code])
        before = "क" if category[0] == "M" or category == "Cf" else ""  # where such a character has a meaning
        if normalise(before + character).strip() == normalise(before).strip():
            characters[character] = int(counts[code])
    return total, dict(sorted(characters.items(), key=lambda each: -each[1]))


def _change(before: Sequence[str], after: Sequence[str], row: int) -> str:
    return f"{shortened(before[row])}, normalised {shortened(after[row])}"


def _losses(removed: dict[str, Removed], kept: Kept) -> list[str]:
    """Cautions about a normalisation that does not suit the language."""
    cautions = []
    for reason in (LETTERS, NOTHING):
        dropped = kept.dropped.get(reason)
        if dropped and dropped.pairs > _LETTERS_LOST * (dropped.pairs + len(kept.rows)):
            cautions.append(f"{dropped.example}: {dropped.pairs:,} pairs are dropped {reason}")
    for side, each in removed.items():
        if each.sentences > _LETTERS_LOST * len(kept.rows):
            letters = " ".join(list(filter(str.isalpha, each.characters))[:5])
            cautions.append(
                f"{each.example}: the {side} loses letters ({letters}), {_of(each.sentences, kept)}; "
                "data.normalise=text keeps them, or name them in data.keep"
            )
        visible = sum(count for character, count in each.characters.items() if not INVISIBLE.match(character))
        if visible > _REMOVED * each.of:
            cautions.append(
                f"the normalisation removes {visible / each.of:.0%} of the {side}'s characters; "
                "data.normalise=text keeps them, or name them in data.keep"
            )
    return cautions


def _of(count: int, kept: Kept) -> str:
    return f"in {count:,} of {len(kept.rows):,} pairs"
