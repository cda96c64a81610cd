"""The embedded corpus: pairs of a small grammar, which need no file and no network."""

import random
from dataclasses import dataclass, replace
from functools import cache

from seq2seq_lab.data.corpus import Corpus
from seq2seq_lab.data.sources import grammar
from seq2seq_lab.data.sources.base import PairSource, Provenance, RawPairs, require_positive
from seq2seq_lab.data.sources.filters import keep_pairs
from seq2seq_lab.data.text import Normalisation, words
from seq2seq_lab.errors import UserError

_MAX_WORDS = 6  # on each side, as in the seminar
_LAST: dict[str, Corpus] = {}  # by the settings of its source


@dataclass(frozen=True, kw_only=True)
class ToyCorpus(PairSource):
    """French–English pairs of the embedded grammar, with at most six words on each side.

    The same settings give the same pairs, in the same order, on every machine.

    Args:
        pairs: number of pairs to draw from those of the grammar.
        seed: seed of the draw.

    Raises:
        UserError: ``pairs`` is less than 1.
    """

    pairs: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        require_positive("pairs", self.pairs)
        super().__post_init__()

    def provenance(self) -> Provenance:
        """The grammar. Its pairs are not cached, as making them takes little time."""
        return Provenance(origin="the embedded French–English grammar")

    def read(self) -> RawPairs:
        """Draw pairs of the grammar.

        Raises:
            UserError: the grammar has fewer pairs than ``pairs``.
        """
        available, distinct = _distinct()
        if self.pairs > len(distinct):
            raise UserError(f"data.pairs={self.pairs}: the grammar has only {len(distinct):,}")
        drawn = random.Random(self.seed).sample(distinct, self.pairs)
        return RawPairs(
            sources=[source for source, _ in drawn],
            targets=[target for _, target in drawn],
            available=available,
        )

    def load(self) -> Corpus:
        """The corpus; the last one stays in memory, as the runs of a sweep mostly have the same."""
        if (settings := repr(self)) not in _LAST:
            _LAST.clear()
            _LAST[settings] = super().load()
        return _LAST[settings]

    def distribution(self) -> grammar.Translations:
        """The distribution that the pairs are drawn from: of a source, each pair that the filters keep is as probable
        as each other."""
        sources, targets = zip(*_distinct()[1], strict=True)
        kept = keep_pairs(replace(self, max_pairs=None), RawPairs(sources=sources, targets=targets))
        return grammar.Translations(zip(kept.sources, kept.targets, strict=True))


@cache
def _distinct() -> tuple[int, list[tuple[str, str]]]:
    """The number of pairs of the grammar, and those that can be drawn, as written.

    "Heureux" is singular and plural, and "tu" is masculine and feminine: pairs that are equal after normalisation count
    once. The draw does not depend on a corpus's own normalisation.
    """
    raw = list(dict.fromkeys(grammar.sentences()))
    french, english = (Normalisation().lines(side) for side in zip(*raw, strict=True))
    distinct: dict[tuple[str, str], tuple[str, str]] = {}
    for normalised, pair in zip(zip(french, english, strict=True), raw, strict=True):
        if all(len(words(side)) <= _MAX_WORDS for side in normalised):
            distinct.setdefault(normalised, pair)
    return len(raw), list(distinct.values())
