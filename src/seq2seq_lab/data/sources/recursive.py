"""The corpus of the recursive grammar: long targets, in which own errors have the time to accumulate."""

import random
from dataclasses import dataclass
from typing import Literal

from seq2seq_lab.data.sources.base import PairSource, Provenance, RawPairs, require_positive
from seq2seq_lab.data.sources.clauses import SHORTEST, Clauses, sentence
from seq2seq_lab.errors import UserError


@dataclass(frozen=True, kw_only=True)
class RecursiveCorpus(PairSource):
    """Independent draws from the grammar of `clauses`: a length, then a sentence of it, then one of its translations.

    Args:
        pairs: number of pairs.
        shortest: words of the shortest target, at least 5.
        longest: words of the longest target.
        ambiguous: the most nouns of a source without a mark of their number, each of which doubles the translations.
        seed: seed of the draws; not the run's seed.

    Raises:
        UserError: a number is out of its range.
    """

    pairs: int = 10_000
    shortest: int = 5
    longest: int = 40
    ambiguous: int = 2
    seed: int = 0
    normalise: Literal["seminar", "text", "none"] = "none"

    def __post_init__(self) -> None:
        for name in ("pairs", "shortest", "longest"):
            require_positive(name, getattr(self, name))
        if self.shortest < SHORTEST:
            raise UserError(
                f"data.shortest={self.shortest}: the shortest sentence of the grammar has {SHORTEST} words"
            )
        if self.longest < self.shortest:
            raise UserError(f"data.longest={self.longest}: it is less than data.shortest={self.shortest}")
        if not isinstance(self.ambiguous, int) or not 0 <= self.ambiguous <= 6:
            raise UserError(f"data.ambiguous={self.ambiguous}: it must be a whole number from 0 to 6")
        if self.prefixes:
            raise UserError(
                "data.prefixes: this grammar takes none, as its distribution would not be that of the pairs that are "
                "kept; data=toy takes them"
            )
        super().__post_init__()

    def provenance(self) -> Provenance:
        """The grammar. Its pairs are not cached, as making them takes seconds."""
        return Provenance(
            origin=f"the recursive grammar, targets of {self.shortest} to {self.longest} words",
        )

    def read(self) -> RawPairs:
        """Draw the pairs."""
        draw, grammar = random.Random(self.seed), Clauses()
        sources = [
            sentence(draw, draw.randint(self.shortest, self.longest), self.ambiguous)
            for _ in range(self.pairs)
        ]
        return RawPairs(sources=sources, targets=[grammar.draw(draw, source) for source in sources])

    def distribution(self) -> Clauses:
        """The distribution of the translations of every sentence of the grammar, of any length."""
        return Clauses()
