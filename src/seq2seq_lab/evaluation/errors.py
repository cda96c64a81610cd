"""Error rates of hypotheses: by symbol, as PER of phones or WER of speech, and by sequence, as WER of words.

A symbol is what spaces separate in a normalised target: a phone, an action, a word of a sentence.
"""

from collections.abc import Sequence
from typing import NamedTuple

from seq2seq_lab.evaluation.evaluate import Evaluation
from seq2seq_lab.evaluation.measures import measure
from seq2seq_lab.evaluation.scores import exact_match


class Edits(NamedTuple):
    """The hypotheses beside the references that are nearest to them.

    Attributes:
        edits: the edit distance of all hypotheses: symbols that are inserted, left out or replaced.
        symbols: the symbols of these references.
        segments: the number of hypotheses.
    """

    edits: int
    symbols: int
    segments: int

    @property
    def symbol_error_rate(self) -> float:
        """Edits per symbol; with references of no symbol, the number of edits."""
        return self.edits / max(1, self.symbols)

    @property
    def edit_distance(self) -> float:
        """Edits per hypothesis."""
        return self.edits / self.segments


def edits(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Edits:
    """The edits of each hypothesis to the reference that needs the fewest; of equal ones, to the longest."""
    total = symbols = 0
    for hypothesis, row in zip(hypotheses, references, strict=True):
        fewest, length = min((distance(hypothesis, text), -len(text.split())) for text in row)
        total, symbols = total + fewest, symbols - length
    return Edits(total, symbols, len(hypotheses))


def distance(hypothesis: str, reference: str) -> int:
    """The Levenshtein distance of two texts, in symbols."""
    if hypothesis == reference:
        return 0
    length = len(reference.split())
    if not length:
        return len(hypothesis.split())
    # Not its `edit_distance`, which leaves out what is far from the diagonal. Imported here, as it takes two seconds.
    from torchmetrics.functional.text import word_error_rate

    return round(float(word_error_rate(hypothesis, reference)) * length)


class SymbolErrorRate:
    """Edits per symbol of the references."""

    facts = measure("symbol_error_rate")

    def __call__(self, evaluation: Evaluation) -> float:
        return edits(*evaluation.translations()).symbol_error_rate


class EditDistance:
    """Edits per hypothesis."""

    facts = measure("edit_distance")

    def __call__(self, evaluation: Evaluation) -> float:
        return edits(*evaluation.translations()).edit_distance


class SequenceErrorRate:
    """The share of hypotheses that equal none of their references."""

    facts = measure("sequence_error_rate")

    def __call__(self, evaluation: Evaluation) -> float:
        return 1 - exact_match(*evaluation.translations())
