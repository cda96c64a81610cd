"""Evaluation of a model on a set of pairs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from seq2seq_lab.data.batches import Batch
from seq2seq_lab.decoding.greedy import before_end, greedy
from seq2seq_lab.decoding.unroll import encode
from seq2seq_lab.errors import UserError
from seq2seq_lab.evaluation.measures import Measure
from seq2seq_lab.models.interface import Model
from seq2seq_lab.models.likelihood import position_losses, sum_of_first


@dataclass(frozen=True)
class Evaluation:
    """The results of a model on N pairs. A symbol is what a target position predicts.

    Attributes:
        hypotheses: translations; greedy ones, where nothing else is said.
        references: the accepted translations of each pair, at least one, its own target first.
        losses_forced: negative log-likelihood of each target with gold words as inputs, nats per symbol, float64 [N].
        losses_free: the same with the model's own words as inputs, float64 [N].
        gaps_to_own_end: the second minus the first over the positions up to the hypothesis' own `<eos>`, which is
            included, float64 [N].
        positions: target positions of each pair, float64 [N].
        segments: the number of the segment of each pair, [N]: scores of translations count a segment once, with the
            hypothesis and the references of its first pair; None: each pair is a segment.
    """

    hypotheses: Sequence[str]
    references: Sequence[Sequence[str]]
    losses_forced: Tensor
    losses_free: Tensor
    gaps_to_own_end: Tensor
    positions: Tensor
    segments: Sequence[int] | None = None

    def select(self, rows: Sequence[int]) -> "Evaluation":
        """The results on some of the pairs alone."""
        chosen = list(rows)
        return Evaluation(
            [self.hypotheses[row] for row in chosen],
            [self.references[row] for row in chosen],
            self.losses_forced[chosen],
            self.losses_free[chosen],
            self.gaps_to_own_end[chosen],
            self.positions[chosen],
            None if self.segments is None else [self.segments[row] for row in chosen],
        )

    def translations(self) -> tuple[list[str], list[Sequence[str]]]:
        """The hypothesis and the references of each segment."""
        rows = first_rows(self.segments, len(self.hypotheses))
        return [self.hypotheses[row] for row in rows], [self.references[row] for row in rows]


def first_rows(segments: Sequence[int] | None, count: int) -> list[int]:
    """The first pair of each segment of this number of pairs."""
    if segments is None:
        return list(range(count))
    first: dict[int, int] = {}
    for row, segment in enumerate(segments):
        first.setdefault(segment, row)
    return list(first.values())


class EvaluationMeasure(Protocol):
    """A measure of an evaluation. A new class needs only this attribute and this method."""

    facts: Measure

    def __call__(self, evaluation: Evaluation) -> float:
        """Return the value."""
        ...


def measured(evaluation: Evaluation, measures: Mapping[str, EvaluationMeasure]) -> dict[str, float]:
    """The value of each measure, by its name.

    Raises:
        UserError: it is no number.
    """
    found = {}
    for key, each in measures.items():
        value = each(evaluation)
        try:
            found[each.facts.name] = float(value)
        except (TypeError, ValueError, RuntimeError):
            raise UserError(f"measures.{key}: it must give a number, not {value!r}") from None
    return found


@dataclass
class Evaluator:
    """Evaluates batches one by one and returns one evaluation of all pairs.

    Args:
        to_text: target ids up to and without `<eos>` → sentence.
        max_length: maximum number of positions of a hypothesis.
    """

    to_text: Callable[[list[int]], str]
    max_length: int
    hypotheses: list[str] = field(default_factory=list)
    columns: list[tuple[Tensor, ...]] = field(default_factory=list)

    @torch.no_grad()
    def add(self, model: Model, batch: Batch) -> None:
        """Evaluate the pairs of a batch."""
        length = batch.target.shape[1]
        source, lengths = batch.source, batch.source_lengths
        encoded = encode(model, source, lengths)
        decoded = model(source, batch.target, source_lengths=lengths, memory=encoded.memory)
        ends = batch.lengths
        longest = max(self.max_length, length)
        found = greedy(model, source, lengths, longest, at_least=ends, encoded=encoded, gold=batch.target)
        own_ends = before_end(found.words[:, :length]).sum(dim=1).minimum(ends)
        forced = position_losses(decoded.logits, batch.target)
        free = found.losses  # of fewer positions where all of the rest is padding
        assert free is not None

        def means(losses: Tensor, lengths: Tensor) -> Tensor:
            return sum_of_first(losses, lengths).cpu().double() / lengths.cpu()

        self.columns.append(
            (
                means(forced, ends),
                means(free, ends),
                means(free, own_ends) - means(forced, own_ends),
                ends.cpu().double(),
            )
        )
        self.hypotheses.extend(self.to_text(ids) for ids in found.words[:, : self.max_length].tolist())

    def evaluation(
        self, references: Sequence[Sequence[str]], segments: Sequence[int] | None = None
    ) -> Evaluation:
        """The evaluation of all added pairs, with their references and segments; those of further pairs are ignored."""
        done = len(self.hypotheses)
        forced, free, gaps, positions = (torch.cat(each) for each in zip(*self.columns, strict=True))
        own = None if segments is None else segments[:done]
        return Evaluation(self.hypotheses, references[:done], forced, free, gaps, positions, own)
