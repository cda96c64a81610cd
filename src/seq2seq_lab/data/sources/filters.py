"""Which raw pairs are kept: normalisation, filters, and what they drop."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from seq2seq_lab.data.corpus import Dropped
from seq2seq_lab.data.sources.raw import RawPairs
from seq2seq_lab.data.text import INVISIBLE, Normalisation

HEADER = "that are a header row"
EMPTY = "with an empty side"
LETTERS = "with a side that loses all its letters; use data.normalise=text or another data.keep"
NOTHING = "with a side that loses all its characters; use data.normalise=text or another data.keep"
LONG = "with more than data.max_words words on a side"
PREFIX = "that begin with none of data.prefixes"
EQUAL = "equal to an earlier one (data.drop_duplicates)"
LATER = "after the first data.max_pairs"

# Names of columns: of the sides, and of languages and their codes.
_NAMES = frozenset({
    "source", "target", "src", "tgt", "trg", "input", "output", "sentence", "translation", "text", "original",
    "reference", "english", "french", "german", "spanish", "italian", "portuguese", "dutch", "russian", "chinese",
    "japanese", "korean", "hindi", "arabic", "turkish", "polish", "czech", "swedish", "finnish", "hungarian",
    "ukrainian", "vietnamese", "indonesian", "hebrew", "greek", "romanian", "danish", "norwegian", "thai",
    "en", "fr", "de", "es", "it", "pt", "nl", "ru", "zh", "ja", "ko", "hi", "ar", "tr", "pl", "cs", "sv", "fi", "hu",
    "uk", "vi", "id", "he", "el", "ro", "da", "no", "th", "eng", "fra", "deu", "spa", "ita", "por", "nld", "rus",
    "zho", "jpn", "kor", "hin", "ara", "tur",
})  # fmt: skip
_LETTER = re.compile(r"[^\W\d_]")


@dataclass
class Kept:
    """The pairs that are kept, and those that are not.

    Attributes:
        rows: their rows among the raw pairs.
        sources, targets: their normalised sentences.
        dropped: each reason, with the pairs that it dropped.
    """

    rows: list[int] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    dropped: dict[str, Dropped] = field(default_factory=dict)

    def drop(self, reason: str, example: str) -> None:
        """Count a pair; the first one of each reason is the example."""
        before = self.dropped.get(reason, Dropped(0, example))
        self.dropped[reason] = before._replace(pairs=before.pairs + 1)


class Filters(Protocol):
    """The settings of a source that say which pairs are kept; see `data.sources.base.PairSource`."""

    @property
    def prefixes(self) -> Sequence[str] | None: ...
    @property
    def max_words(self) -> int | None: ...
    @property
    def max_pairs(self) -> int | None: ...
    @property
    def drop_duplicates(self) -> bool: ...
    @property
    def normalisation(self) -> Normalisation: ...


def keep_pairs(source: Filters, raw: RawPairs) -> Kept:
    """Normalise raw pairs and apply the filters of their source."""
    kept = Kept()
    rows = range(len(raw.sources)) if not source.prefixes else list(_with_prefix(source, raw, kept))
    sides = [[column[row] for row in rows] for column in (raw.sources, raw.targets)]
    normalised = [source.normalisation.lines(side) for side in sides]
    most = source.max_words or float("inf")
    trained = 0
    most_pairs = source.max_pairs or float("inf")
    seen: set[tuple[str, str]] = set()
    first = {row for _, row in raw.origins or ()}
    headers: list[list[str]] = []  # where files were joined, a header is repeated
    for row, *pair, one, other in zip(rows, *sides, *normalised, strict=True):
        reason = None
        to_train = raw.parts is None or raw.parts[row] == 0  # a given part for validation or test stays whole
        if (row in first or pair in headers) and _is_header(*pair):
            reason = HEADER
            headers.append(pair)
        elif not (one and other and one.strip() and other.strip()):
            reason = _why_empty(pair)
        elif one.count(" ") >= most or other.count(" ") >= most:
            reason = LONG
        elif not (_has_letter(one) and _has_letter(other)) and all(map(_has_letter, pair)):
            reason = LETTERS
        elif to_train and source.drop_duplicates and (one, other) in seen:
            reason = EQUAL
        elif to_train and trained >= most_pairs:
            reason = LATER
        if reason is None:
            trained += to_train
            if to_train and source.drop_duplicates:
                seen.add((one, other))
            kept.rows.append(row)
            kept.sources.append(one)
            kept.targets.append(other)
        else:
            after = f", normalised {one!r} → {other!r}" if reason in (LETTERS, NOTHING) else ""
            kept.drop(reason, f"{raw.place(row)}: {pair[0]!r} → {pair[1]!r}{after}")
    return kept


def _has_letter(sentence: str) -> bool:
    return sentence[0].isalpha() or _LETTER.search(sentence) is not None  # most begin with one


def _is_header(source: str, target: str) -> bool:
    """Whether both sides are names that columns have; "no" twice is a sentence."""
    names = {each.strip().casefold() for each in (source, target)}
    return len(names) == 2 and names <= _NAMES


def _why_empty(pair: Sequence[str]) -> str:
    if not all(INVISIBLE.sub("", side).strip() for side in pair):
        return EMPTY
    return LETTERS if all(map(_has_letter, pair)) else NOTHING


def _with_prefix(source: Filters, raw: RawPairs, kept: Kept) -> Iterator[int]:
    """The rows that the prefixes keep. This filter is the first one, as few pairs pass it."""
    prefixes = tuple(source.prefixes or ())
    prefixed = source.normalisation.lines(raw.targets if raw.prefixed is None else raw.prefixed)
    for row, sentence in enumerate(prefixed):
        # "i' m" of `text` begins as "i m" of the seminar does, whose spelling has no apostrophe.
        if sentence.startswith(prefixes) or sentence.replace("' ", " ").startswith(prefixes):
            yield row
        else:
            kept.drop(PREFIX, f"{raw.place(row)}: {raw.sources[row]!r} → {raw.targets[row]!r}")


def why_none(dropped: dict[str, Dropped]) -> list[str]:
    """The reasons why no pair is kept, the most frequent one first, each with its first pair."""
    reasons = sorted(dropped.items(), key=lambda each: -each[1].pairs)
    return [f"{each.pairs:,} {reason}: {each.example}" for reason, each in reasons]
