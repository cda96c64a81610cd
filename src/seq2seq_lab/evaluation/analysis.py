"""What `seq2seq-lab evaluate` computes of a trained model beside its scores: a list of analyses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from seq2seq_lab.data.batches import Batch
from seq2seq_lab.data.vocabulary import Vocabulary
from seq2seq_lab.evaluation.evaluate import Evaluation
from seq2seq_lab.models.seq2seq import Seq2Seq


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A trained model and N pairs of one part of the data, in order.

    Attributes:
        model: in evaluation mode.
        batches: the pairs.
        indices: of the pairs in the corpus, [N].
        source_vocabulary, target_vocabulary: the model's.
        sources, targets: normalised sentences, [N].
        references: the accepted translations of each pair, its own target first.
        max_length: maximum number of positions of a hypothesis.
        evaluation: greedy hypotheses and losses of the pairs.
        score: rows of pairs → BLEU, chrF, exact match and losses of these pairs alone.
        recipe: the source of the corpus, for analyses that need the distribution of the data.
        predict_sos: whether `<sos>` is the first word to predict (the seminar's quirk B).
        seed: of random draws.
    """

    model: Seq2Seq
    batches: Sequence[Batch]
    indices: Sequence[int]
    source_vocabulary: Vocabulary
    target_vocabulary: Vocabulary
    sources: Sequence[str]
    targets: Sequence[str]
    references: Sequence[Sequence[str]]
    max_length: int
    evaluation: Evaluation
    score: Callable[[Sequence[int]], Mapping[str, float]]
    recipe: Any
    predict_sos: bool
    seed: int

    @property
    def hypotheses(self) -> Sequence[str]:
        """Greedy translations."""
        return self.evaluation.hypotheses

    @property
    def unknown(self) -> list[bool]:
        """Whether a source has a word that the model does not know, [N]."""
        words = self.source_vocabulary
        return [
            bool(words.unknown(symbol for word in source.split(" ") for symbol in words.units.divide(word)))
            for source in self.sources
        ]


class Analysis(Protocol):
    """An analysis of a trained model. To add one, write a class with these members and name it in `analyses.py`.

    Attributes:
        name: in results, files and on the command line.
    """

    name: str

    def __call__(self, subject: Subject) -> dict[str, Any] | None:
        """Columns and numbers as plain data, for JSON; ``None`` if it does not apply to the subject.

        The entry "measures" maps names of measures to values, which become metrics of the part.
        """
        ...
