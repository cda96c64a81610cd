"""Evaluate a run on a part of its data, or on other pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seq2seq_lab.config.build import build
from seq2seq_lab.config.check import check_node
from seq2seq_lab.config.trust import check_targets
from seq2seq_lab.data.corpus import Corpus
from seq2seq_lab.data.splits import Parts, parts_of
from seq2seq_lab.errors import UserError
from seq2seq_lab.evaluation.analysis import Analysis
from seq2seq_lab.evaluation.part import Part, evaluate, to_dict
from seq2seq_lab.runs.addresses import check_addresses
from seq2seq_lab.runs.evaluations import write_evaluation
from seq2seq_lab.runs.load import Vocabularies, load_model
from seq2seq_lab.runs.run import Run

SHIFTED = "shifted"  # the name of pairs that are not of the run's corpus
PARTS = Parts._fields


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to evaluate, and how.

    Attributes:
        part: `train`, `validation`, `test`, or `shifted` for other pairs.
        data: settings of the run's data that are changed, to evaluate on the pairs that the run's corpus lacks.
        max_pairs: the most pairs, which are then taken at equal distances.
        best: whether to load the best checkpoint instead of the last.
        averaged: the number of kept checkpoints to average instead.
        beams: the beams to decode with.
        alpha: length penalty of beam search.
        analyses: what else to compute.
        trusted: modules whose code a run may name.
    """

    part: str = "test"
    data: Mapping[str, Any] | None = None
    max_pairs: int | None = None
    best: bool = True
    averaged: int | None = None
    beams: Sequence[int] = (1,)
    alpha: float = 1.0
    analyses: Sequence[Analysis] = ()
    trusted: Sequence[str] = ()


class Corpora:
    """The corpora of runs, each loaded once."""

    def __init__(self) -> None:
        self._loaded: dict[str, tuple[Any, Corpus]] = {}

    def load(self, node: Mapping[str, Any]) -> tuple[Any, Corpus]:
        """The source of a configuration's node, and its corpus."""
        key = repr(node)
        if key not in self._loaded:
            source = build(node, "data")
            self._loaded[key] = source, source.load()
        return self._loaded[key]


def evaluate_run(path: Path, request: Request, corpora: Corpora) -> dict[str, Any]:
    """Evaluate a run, and write the results in its folder; returns them as plain data.

    Raises:
        UserError: the run or its data cannot be loaded, or the part has no pair.
    """
    config, model, words = load_model(
        path, best=request.best, averaged=request.averaged, trusted=request.trusted
    )
    if "split" not in config:
        raise UserError(f"{path} is of an earlier version, whose runs have no test part")
    for node in ("data", "split"):
        check_targets(config[node], node, request.trusted)
    check_addresses(config["data"], "data", request.trusted)
    source, corpus, indices = _pairs(config, request, corpora, path)
    if request.max_pairs is not None and len(indices) > request.max_pairs:
        indices = indices[np.linspace(0, len(indices) - 1, request.max_pairs).astype(int)]
    part = Part(
        corpus=_encoded(corpus, words, indices, path),
        indices=np.arange(len(indices)),
        references=corpus.references(indices),
        predict_sos=config["loader"]["predict_sos"],
        max_length=words.max_length,
        distribution=source.translations() if words.target.units.name == "words" else None,
    )
    results = evaluate(
        model, part, beams=request.beams, alpha=request.alpha, analyses=request.analyses, seed=0
    )
    contents = {
        "part": request.part,
        "pairs": len(indices),
        "checkpoint": "best" if request.best else "last",
        "averaged": request.averaged,
        "beam": next(iter(results.beams)),
        "length_penalty": request.alpha,
        **to_dict(results),
    }
    write_evaluation(
        path,
        request.part,
        contents,
        sources=part.sources(),
        references=part.references,
        hypotheses=results.hypotheses,
    )
    return contents


def _pairs(
    config: Mapping[str, Any], request: Request, corpora: Corpora, path: Path
) -> tuple[Any, Corpus, NDArray[np.int64]]:
    """The source, its corpus, and the indices of the pairs to evaluate on."""
    source, corpus = corpora.load(config["data"])
    own = (Run(path).summary().get("corpus") or {}).get("complete")
    if own not in (None, corpus.fingerprint):
        raise UserError(f"{path}: its data has changed since it was trained; evaluate it on the same file")
    if request.data is None:
        indices = parts_of(corpus, build(config["split"], "split"))._asdict()[request.part]
        if not len(indices):
            raise UserError(f"{path} has no {request.part} part (split={config['choices']['split']})")
        return source, corpus, indices
    known = {(corpus.source_text(index), corpus.target_text(index)) for index in range(len(corpus))}
    shifted_data = {**config["data"], **request.data}
    check_node(shifted_data, "data")
    source, shifted = corpora.load(shifted_data)
    texts = [(shifted.source_text(index), shifted.target_text(index)) for index in range(len(shifted))]
    others = np.array([index for index, text in enumerate(texts) if text not in known], dtype=np.int64)
    if not len(others):
        raise UserError(f"{path}: --data gives no pair that the run's own corpus lacks")
    return source, shifted, others


def _encoded(corpus: Corpus, words: Vocabularies, indices: NDArray[np.int64], path: Path) -> Corpus:
    """Some pairs, in the vocabularies of a run."""
    try:
        return corpus.select(indices).encoded(words.source, words.target)
    except ValueError as error:
        raise UserError(
            f"{path}: the model has no <unk> for unknown words (it was trained with split=none): {error}"
        ) from None
