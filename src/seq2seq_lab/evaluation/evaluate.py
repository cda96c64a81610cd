"""Evaluation of a model on a set of pairs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from seq2seq_lab.data.batches import Batch
from seq2seq_lab.decoding.greedy import greedy
from seq2seq_lab.evaluation.measures import Measure
from seq2seq_lab.models.likelihood import sentence_losses
from seq2seq_lab.models.seq2seq import Seq2Seq


@dataclass(frozen=True)
class Evaluation:
    """The results of a model on N pairs.

    Attributes:
        hypotheses: greedy translations.
        references: the accepted translations of each pair, at least one.
        losses_forced: negative log-likelihood of each target with gold words as inputs, nats per word, float64 [N].
        losses_free: the same with the model's own words as inputs, float64 [N].
    """

    hypotheses: Sequence[str]
    references: Sequence[Sequence[str]]
    losses_forced: Tensor
    losses_free: Tensor


class EvaluationMeasure(Protocol):
    """A measure of an evaluation. A new class needs only this attribute and this method."""

    facts: Measure

    def __call__(self, evaluation: Evaluation) -> float:
        """Return the value."""
        ...


def measured(evaluation: Evaluation, measures: Mapping[str, EvaluationMeasure]) -> dict[str, float]:
    """The value of each measure, by its name."""
    return {each.facts.name: float(each(evaluation)) for each in measures.values()}


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
    forced: list[Tensor] = field(default_factory=list)
    free: list[Tensor] = field(default_factory=list)

    @torch.no_grad()
    def add(self, model: Seq2Seq, batch: Batch) -> None:
        """Evaluate the pairs of a batch."""
        length = batch.target.shape[1]
        decoded = model(batch.source, batch.target, source_lengths=batch.source_lengths)
        found = greedy(
            model, batch.source, batch.source_lengths, max(self.max_length, length), at_least=length
        )
        for logits, losses in ((decoded.logits, self.forced), (found.logits[:, :length], self.free)):
            of_pairs = sentence_losses(logits, batch.target, batch.target_lengths).cpu().double()
            positions = length if batch.target_lengths is None else batch.target_lengths.cpu()
            losses.append(of_pairs / positions)
        self.hypotheses.extend(self.to_text(ids) for ids in found.words[:, : self.max_length].tolist())

    def evaluation(self, references: Sequence[Sequence[str]]) -> Evaluation:
        """The evaluation of all added pairs, with their references; references of further pairs are ignored."""
        losses = torch.cat(self.forced), torch.cat(self.free)
        return Evaluation(self.hypotheses, references[: len(self.hypotheses)], *losses)
