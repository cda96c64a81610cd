"""Pairs as they are written, before normalisation and filters."""

from collections.abc import Sequence
from dataclasses import dataclass

from seq2seq_lab.errors import UserError

PARTS = ("train", "validation", "test")  # what the numbers in `RawPairs.parts` mean


@dataclass(frozen=True, kw_only=True)
class RawPairs:
    """Pairs of raw sentences.

    Attributes:
        sources: the source sentences, ``[N]``.
        targets: their translations, ``[N]``.
        prefixed: the sentences that the setting ``prefixes`` is about, ``[N]``; ``None`` = the targets.
        available: number of pairs that these were chosen from; ``None`` = N.
        parts: the part of each pair, 0 train, 1 validation, 2 test, if the source gives parts, ``[N]``; ``None`` = the
            parts are made by the split.
        origins: for messages: each file and the row of its first pair, in order; ``None`` = one without a name.
        lines: for messages: the line of each pair in its file, ``[N]``; ``None`` = one line a pair.
        cautions: what may be wrong with the pairs, each in one line; shown by `data` and `train`.

    Raises:
        UserError: the lists differ in length, or hold something else than texts.
    """

    sources: Sequence[str]
    targets: Sequence[str]
    prefixed: Sequence[str] | None = None
    available: int | None = None
    parts: Sequence[int] | None = None
    origins: Sequence[tuple[str, int]] | None = None
    lines: Sequence[int] | None = None
    cautions: Sequence[str] = ()

    def __post_init__(self) -> None:
        third = self.sources if self.prefixed is None else self.prefixed
        if not len(self.sources) == len(self.targets) == len(third):
            lengths = f"{len(self.sources)} sources and {len(self.targets)} targets"
            also = "" if self.prefixed is None else f" and {len(self.prefixed)} sentences for prefixes"
            raise UserError(f"data: the source returned {lengths}{also}; the numbers must be equal")
        sides = {"source": self.sources, "target": self.targets, "sentence for prefixes": self.prefixed or ()}
        for side, texts in sides.items():
            if (
                row := next((i for i, text in enumerate(texts) if not isinstance(text, str)), None)
            ) is not None:
                raise UserError(f"data: the {side} of {self.place(row)} must be a text, not {texts[row]!r}")

    def place(self, row: int) -> str:
        """The file and line of a pair, for messages."""
        name, first = "", 0
        for each, start in self.origins or ():
            if start <= row:
                name, first = each, start
        line = row - first + 1 if self.lines is None else self.lines[row]
        return f"{name} line {line}" if name else f"pair {row + 1}"
