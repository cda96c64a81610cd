"""A trained model on one part of the data: scores at several beams, losses and analyses."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from seq2seq_lab.data.batches import Block, BlockLoader
from seq2seq_lab.data.corpus import Corpus
from seq2seq_lab.data.task import Distribution
from seq2seq_lab.decoding.beam import beam_search
from seq2seq_lab.evaluation import losses
from seq2seq_lab.evaluation.analysis import Analysis, Subject
from seq2seq_lab.evaluation.errors import edits
from seq2seq_lab.evaluation.evaluate import Evaluation, EvaluationMeasure, Evaluator, first_rows, measured
from seq2seq_lab.evaluation.groups import by_near_duplicates
from seq2seq_lab.evaluation.measures import REGISTRY
from seq2seq_lab.evaluation.references import streams
from seq2seq_lab.evaluation.scores import exact_match
from seq2seq_lab.models.interface import Model

GREEDY = 1  # a beam of one
_BATCH = 128  # pairs; results do not depend on it
_BEAMS = 640  # hypotheses of a batch in beam search
_LOSSES: Sequence[EvaluationMeasure] = (
    losses.LossForced(),
    losses.LossFree(),
    losses.LossForcedPerWord(),
    losses.LossFreePerWord(),
    losses.LossForcedPerCharacter(),
    losses.LossFreePerCharacter(),
    losses.ExposureGap(),
    losses.ExposureGapToOwnEnd(),
)


@dataclass(frozen=True, kw_only=True)
class Part:
    """N pairs that a model is evaluated on.

    Attributes:
        corpus: the pairs, in the model's vocabularies.
        references: the accepted translations of each, its own target first.
        predict_sos: whether `<sos>` is the first word to predict.
        max_length: maximum number of positions of a hypothesis.
        segments: the number of the segment of each pair; see `Evaluation`.
        near_duplicates: whether each has a training pair within one word on both sides; None where that is not asked.
        distribution: of the data, where it is known.
    """

    corpus: Corpus
    references: Sequence[Sequence[str]]
    predict_sos: bool
    max_length: int
    segments: Sequence[int] | None = None
    near_duplicates: Sequence[bool] | None = None
    distribution: Distribution | None = None

    def blocks(self, size: int = _BATCH) -> BlockLoader:
        """The pairs in order, one batch per block."""
        return BlockLoader(
            self.corpus, np.arange(len(self.corpus)), batch_size=size, predict_sos=self.predict_sos
        )

    def sources(self) -> list[str]:
        """The normalised sources."""
        return [self.corpus.source_text(index) for index in range(len(self.corpus))]

    def targets(self) -> list[str]:
        """The normalised targets."""
        return [self.corpus.target_text(index) for index in range(len(self.corpus))]


@dataclass(frozen=True, kw_only=True)
class Results:
    """What was found.

    Attributes:
        measures: name → value: scores of the first beam, losses, and the scalars of the analyses.
        beams: beam → the scores of its hypotheses.
        analyses: name → result.
        signature: sacreBLEU's signature of each score.
        hypotheses: of the first beam, [N].
        segments: the number of segments, which the scores are of.
    """

    measures: dict[str, float]
    beams: dict[int, dict[str, float]]
    hypotheses: list[str]
    segments: int
    signature: dict[str, str] = field(default_factory=dict)
    analyses: dict[str, Any] = field(default_factory=dict)


def limit(known: int, corpus: Corpus, *, predict_sos: bool) -> int:
    """The maximum number of positions of a hypothesis: none is cut that could be right, as of longer targets than those
    of training.

    Args:
        known: that of the model, the length of its longest training target.
        corpus: the pairs to evaluate on, in the model's vocabularies.
        predict_sos: whether `<sos>` is the first word to predict.
    """
    return max(known, int(corpus.to_predict(predict_sos=predict_sos).lengths.max(initial=0)))


def evaluate_part(
    model: Model,
    part: Part,
    *,
    beams: Sequence[int] = (GREEDY,),
    alpha: float = 1.0,
    analyses: Iterable[Analysis] = (),
    measures: Mapping[str, EvaluationMeasure] = MappingProxyType({}),
) -> Results:
    """Evaluate a model, which is in evaluation mode.

    Args:
        beams: the beams to decode with; 1 is greedy. The first one gives `Results.hypotheses`.
        alpha: length penalty of beam search.
        measures: those of the run, by its keys; the ones that are not of this package are measured.
    """
    device = next((weight.device for weight in model.parameters()), torch.device("cpu"))
    blocks = [block.to(device) for block in part.blocks()]
    evaluation = _greedy(model, part, blocks)
    by_beam = {
        beam: list(evaluation.hypotheses) if beam == GREEDY else _search(model, part, beam, alpha, device)
        for beam in dict.fromkeys(beams)
    }
    rows = first_rows(part.segments, len(part.corpus))
    references = [part.references[row] for row in rows]
    graded = part.corpus.task.graded
    scorer = Scorer(references, graded=graded)
    scored = {beam: scorer([texts[row] for row in rows]) for beam, texts in by_beam.items()}
    first = next(iter(scored))
    values = scored[first] | {
        each.facts.name: each(evaluation) for each in _LOSSES if graded or not each.facts.graded
    }
    own = {key: each for key, each in measures.items() if each.facts.name not in REGISTRY}
    of_first = replace(evaluation, hypotheses=by_beam[first])
    values |= measured(of_first, own)
    found: dict[str, Any] = {}
    if len(scored) > 1:
        names = next(iter(scored.values()))
        columns = {name: [each[name] for each in scored.values()] for name in names}
        found["beams"] = {"beam": list(scored), **columns}
    if part.near_duplicates is not None:
        found["by_near_duplicates"] = by_near_duplicates(of_first, part.near_duplicates)
    subject = _subject(model, part, blocks, of_first, evaluation.hypotheses)
    for analysis in analyses:
        if result := analysis(subject):
            values |= result.pop("measures", {})
            found[analysis.name] = result
    return Results(
        measures=values,
        beams=scored,
        hypotheses=by_beam[first],
        segments=len(rows),
        signature=scorer.signatures() if graded else {},
        analyses=found,
    )


class Scorer:
    """BLEU, chrF, exact match, error rates, and the ratio of the lengths of hypotheses and of their closest references
    in words.

    Args:
        references: the accepted translations of each segment; their n-grams are counted once for all hypotheses.
        graded: whether BLEU and chrF say something; see `data.task.Task`.
    """

    def __init__(self, references: Sequence[Sequence[str]], *, graded: bool = True) -> None:
        import sacrebleu  # imported here, as it takes 0.3 s

        self.references = references
        known = streams(references)
        self.bleu = sacrebleu.BLEU(tokenize="none", force=True, references=known)
        self.chrf = sacrebleu.CHRF(references=known) if graded else None

    def __call__(self, hypotheses: Sequence[str]) -> dict[str, float]:
        """The scores of a hypothesis for each segment."""
        found = self.bleu.corpus_score(hypotheses, None)
        nearest, exact = edits(hypotheses, self.references), exact_match(hypotheses, self.references)
        graded = {}
        if self.chrf is not None:
            graded = {"bleu": found.score, "chrf": self.chrf.corpus_score(hypotheses, None).score}
        return {
            **graded,
            "exact_match": exact,
            "symbol_error_rate": nearest.symbol_error_rate,
            "sequence_error_rate": 1 - exact,
            "edit_distance": nearest.edit_distance,
            "length_ratio": found.sys_len / found.ref_len if found.ref_len else 0.0,
        }

    def signatures(self) -> dict[str, str]:
        """SacreBLEU's signatures, which say how its scores are computed."""
        return {
            name: str(metric.get_signature())
            for name, metric in (("bleu", self.bleu), ("chrf", self.chrf))
            if metric is not None
        }


def _greedy(model: Model, part: Part, blocks: Sequence[Block]) -> Evaluation:
    evaluator = Evaluator(part.corpus.target_vocabulary.text, part.max_length)
    for block in blocks:
        for batch in block:
            evaluator.add(model, batch)
    return evaluator.evaluation(part.references, part.segments)


def _search(model: Model, part: Part, beam: int, alpha: float, device: torch.device) -> list[str]:
    hypotheses = []
    for block in part.blocks(max(1, _BEAMS // beam)):
        for batch in block.to(device):
            found = beam_search(
                model, batch.source, batch.source_lengths, part.max_length, beam=beam, alpha=alpha
            )
            hypotheses += [part.corpus.target_vocabulary.text(best.words) for best, *_ in found]
    return hypotheses


def _subject(
    model: Model,
    part: Part,
    blocks: Sequence[Block],
    evaluation: Evaluation,
    greedy: Sequence[str],
) -> Subject:
    return Subject(
        model=model,
        batches=blocks,
        sources=part.sources(),
        targets=part.targets(),
        references=part.references,
        greedy=greedy,
        evaluation=evaluation,
        max_length=part.max_length,
        unknown=_unknown(part),
        vocabulary=part.corpus.target_vocabulary,
        task=part.corpus.task,
        distribution=part.distribution,
    )


def _unknown(part: Part) -> list[bool]:
    """Whether a pair has a symbol that the model does not know, [N]."""
    corpus = part.corpus
    sides = ((corpus.source, corpus.source_vocabulary.unk), (corpus.target, corpus.target_vocabulary.unk))
    return [
        any(unk is not None and bool((rows[index] == unk).any()) for rows, unk in sides)
        for index in range(len(corpus))
    ]
