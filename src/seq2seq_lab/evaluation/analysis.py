"""What an analysis of a trained model is given, and what it returns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seq2seq_lab.data.batches import Batch, Block
from seq2seq_lab.data.task import TRANSLATION, Distribution, Task
from seq2seq_lab.data.vocabulary import Vocabulary
from seq2seq_lab.evaluation.evaluate import Evaluation
from seq2seq_lab.models.interface import Model


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A trained model and N pairs to analyse it on.

    Attributes:
        model: in evaluation mode.
        batches: the pairs, in order, as blocks of one batch.
        sources, targets: the sentences, [N].
        references: the accepted translations of each pair, its own target first.
        greedy: greedy translations.
        evaluation: the losses, and the translations of the first beam.
        max_length: maximum number of positions of a hypothesis.
        unknown: whether the source or the target of a pair has a word that the model does not know, [N].
        vocabulary: of the target.
        task: what the pairs are.
        distribution: of the data, where it is known and the vocabulary is of words.
    """

    model: Model
    batches: Sequence[Block]
    sources: Sequence[str]
    targets: Sequence[str]
    references: Sequence[Sequence[str]]
    greedy: Sequence[str]
    evaluation: Evaluation
    max_length: int
    unknown: Sequence[bool]
    vocabulary: Vocabulary
    task: Task = TRANSLATION
    distribution: Distribution | None = None

    def few(self, most: int) -> Iterator[tuple[Batch, Tensor]]:
        """This many pairs, at equal distances, for an analysis that decodes each pair many times; all, if no more.

        Yields:
            A batch, and the rows of its pairs among all N [B].
        """
        chosen = torch.from_numpy(at_equal_distances(len(self.sources), most))
        first = 0
        for block in self.batches:
            (batch,) = block
            every = chosen[(chosen >= first) & (chosen < first + len(block))]
            rows = every - first
            first += len(block)
            if len(rows):
                yield some_pairs(batch, rows), every


def at_equal_distances(count: int, most: int) -> NDArray[np.int64]:
    """The numbers of this many of `count` pairs, the first and the last included; all, if there are no more."""
    return np.linspace(0, count - 1, most).astype(np.int64) if count > most else np.arange(count)


def some_pairs(batch: Batch, rows: Tensor) -> Batch:
    """Some of the pairs of a batch; its padding stays."""
    rows = rows.to(batch.source.device)
    lengths = (None if each is None else each[rows] for each in (batch.source_lengths, batch.target_lengths))
    source_lengths, target_lengths = lengths
    return Batch(batch.source[rows], source_lengths, batch.target[rows], target_lengths, slice(0, len(rows)))


class Analysis(Protocol):
    """An analysis of a trained model. A new class needs only this attribute and this method."""

    name: str

    def __call__(self, subject: Subject) -> dict[str, Any]:
        """Return the result as plain data for JSON; its scalars under "measures"; empty if it does not apply."""
        ...
