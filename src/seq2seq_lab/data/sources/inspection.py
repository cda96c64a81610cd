"""What the normalisation removes from the pairs that are kept, and what may be wrong with their sentences."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seq2seq_lab.data.corpus import Removed
from seq2seq_lab.data.sources.filters import LETTERS, NOTHING, Kept
from seq2seq_lab.data.text import ENTITY, INVISIBLE, Normalisation, shortened

if TYPE_CHECKING:
    from seq2seq_lab.data.sources.base import RawPairs

_LETTERS_LOST = 0.01  # share of the pairs; above it a run says so
_REMOVED = 0.1  # share of the characters
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
        "ÃÂâ\ufffd",
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


def inspect(normalise: Normalisation, raw: "RawPairs", kept: Kept) -> Inspection:
    """Inspect the raw sentences of the pairs that are kept, and the reasons why others are not."""
    columns = {"source": raw.sources, "target": raw.targets}
    sides = {name: [column[row] for row in kept.rows] for name, column in columns.items()}
    counted = {name: _counts(side) for name, side in sides.items()}
    kinds = [
        *([] if normalise.unescape else [_ENTITIES]),
        *([] if normalise.strip_invisible else [_UNSEEN]),
        *_ALWAYS,
    ]
    cautions = []
    for kind in kinds:
        present = [name for name, counts in counted.items() if counts[[*map(ord, kind.triggers)]].any()]
        cautions += _found(kind, {name: sides[name] for name in present}, raw, kept) if present else []
    removed = {
        name: _removed(normalise, side, counted[name], raw, kept, getattr(kept, f"{name}s"))
        for name, side in sides.items()
    }
    return Inspection(removed, [*cautions, *_losses(removed, kept)])


def _codes(sentences: Sequence[str]) -> Iterator[tuple[int, NDArray[np.uint32]]]:
    """The characters of sentences as numbers, each sentence with a line feed: the first sentence, a chunk."""
    for start in range(0, len(sentences), _CHUNK):
        chunk = sentences[start : start + _CHUNK]
        text = "\n".join([*chunk, ""])
        if text.count("\n") != len(chunk):
            text = "\n".join([*(sentence.replace("\n", " ") for sentence in chunk), ""])
        yield start, np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def _counts(sentences: Sequence[str]) -> NDArray[np.int64]:
    """How often each character appears, by its number."""
    counts = np.zeros(_CODES, dtype=np.int64)
    for _, codes in _codes(sentences):
        counts += np.bincount(codes, minlength=_CODES)
    return counts


def _rows_with(characters: str, sentences: Sequence[str]) -> list[int]:
    """The sentences that contain one of some characters."""
    wanted = np.zeros(_CODES, dtype=bool)
    wanted[[*map(ord, characters)]] = True
    found = []
    for start, codes in _codes(sentences):
        (ends,) = np.nonzero(codes == ord("\n"))
        found.append(start + np.unique(np.searchsorted(ends, np.flatnonzero(wanted[codes]))))
    return [int(row) for rows in found for row in rows]


def _found(kind: _Kind, sides: dict[str, list[str]], raw: "RawPairs", kept: Kept) -> list[str]:
    """A caution about the pairs of a kind, if there are enough."""
    first: dict[int, re.Match[str]] = {}
    for sentences in sides.values():
        for row in _rows_with(kind.triggers, sentences):
            match = kind.pattern.search(sentences[row])
            if match:
                first.setdefault(row, match)
    if not first or len(first) <= kind.share * len(kept.rows):
        return []
    row = min(first)
    match = first[row]
    shown = f" {match[0]}" if match[0].isprintable() and len(match[0]) < 20 else ""
    if len(match[0]) == 1 and not shown:
        shown = f" U+{ord(match[0]):04X}"
        shown += f" ({name.lower()})" if (name := unicodedata.name(match[0], "")) else ""
    return [
        f"{raw.place(kept.rows[row])}: {kind.what}{shown}: {shortened(match.string)}, {_of(len(first), kept)}; "
        f"{kind.remedy}"
    ]


def _removed(
    normalise: Normalisation,
    sentences: Sequence[str],
    counts: NDArray[np.int64],
    raw: "RawPairs",
    kept: Kept,
    normalised: Sequence[str],
) -> Removed:
    """What the normalisation removes of one side. Accents that it strips are not counted, as their letters stay."""
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
    characters = dict(sorted(characters.items(), key=lambda each: -each[1]))
    lost = "".join(filter(str.isalpha, characters))
    rows = _rows_with(lost, sentences) if lost else []
    example = ""
    if rows:
        row = rows[0]
        example = (
            f"{raw.place(kept.rows[row])}: {shortened(sentences[row])}, "
            f"normalised {shortened(normalised[row])}"
        )
    return Removed(total, characters, len(rows), example)


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
        if each.share > _REMOVED:
            cautions.append(
                f"the normalisation removes {each.share:.0%} of the {side}'s characters; data.normalise=text keeps "
                "them, or name them in data.keep"
            )
    return cautions


def _of(count: int, kept: Kept) -> str:
    return f"in {count:,} of {len(kept.rows):,} pairs"
