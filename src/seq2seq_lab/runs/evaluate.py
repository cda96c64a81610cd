"""Evaluate a run on a part of its data, or on other pairs."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seq2seq_lab.config.build import build, call
from seq2seq_lab.config.check import check_node
from seq2seq_lab.config.trust import check_targets, registered
from seq2seq_lab.data.corpus import Corpus
from seq2seq_lab.data.near_duplicates import near_duplicates
from seq2seq_lab.data.splits import Parts, components_of, parts_of
from seq2seq_lab.data.vocabulary import Vocabulary
from seq2seq_lab.errors import UserError
from seq2seq_lab.evaluation.analysis import Analysis, at_equal_distances
from seq2seq_lab.evaluation.part import Part, evaluate_part, limit
from seq2seq_lab.evaluation.perfect import Perfect
from seq2seq_lab.files import write_text
from seq2seq_lab.models.interface import check_model
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.addresses import check_addresses
from seq2seq_lab.runs.checkpoint import epoch_of
from seq2seq_lab.runs.chosen import Which, find_checkpoint
from seq2seq_lab.runs.evaluations import SOURCE, as_json, contents_of, write_evaluation
from seq2seq_lab.runs.load import Vocabularies, load_model
from seq2seq_lab.runs.read import has_same_parts
from seq2seq_lab.runs.run import Run

if TYPE_CHECKING:
    from seq2seq_lab.models.interface import Model

SHIFTED = "shifted"  # the name of pairs that are not of the run's corpus
PARTS = Parts._fields


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to evaluate, and how.

    Attributes:
        part: `train`, `validation` or `test`; of other pairs a name, such as `shifted`.
        data: settings of the run's data that are changed, to evaluate on the pairs that the run's corpus lacks.
        max_pairs: the most pairs, which are then taken at equal distances.
        checkpoint: the best or the last; None: the best where there is one, else the last.
        averaged: the number of kept checkpoints to average instead.
        beams: the beams to decode with.
        alpha: length penalty of beam search.
        analyses: what else to compute.
        segments: what counts once in scores of translations, each `source` or each `pair`.
        perfect: whether to evaluate the perfect model of the run's data in place of its model.
        trusted: modules whose code a run may name.
    """

    part: str = "test"
    data: Mapping[str, Any] | None = None
    max_pairs: int | None = None
    checkpoint: Which | None = None
    averaged: int | None = None
    beams: Sequence[int] = (1,)
    alpha: float = 1.0
    analyses: Sequence[Analysis] = ()
    segments: str = SOURCE
    perfect: bool = False
    trusted: Sequence[str] = ()


class Corpora:
    """The corpora of runs, each loaded once."""

    def __init__(self) -> None:
        self._loaded: dict[str, Corpus] = {}

    def load(self, node: Mapping[str, Any]) -> Corpus:
        """The corpus of a configuration's node."""
        key = repr(node)
        if key not in self._loaded:
            check_node(node, "data")
            self._loaded[key] = build(node, "data").load()
        return self._loaded[key]


def _loaded(
    path: Path, request: Request
) -> "tuple[tuple[dict[str, Any], Model, Vocabularies], Path, int | None]":
    """What a run's checkpoint contains, which one it is, and its epoch: a run that is being trained replaces it."""

    def found() -> tuple[Path, int | None]:
        run, checkpoint = find_checkpoint(path, request.checkpoint)
        averaged = run.kept_checkpoints if request.averaged is not None else []
        return checkpoint, epoch_of([checkpoint, *averaged][-1])

    how: dict[str, Any] = {
        "checkpoint": request.checkpoint,
        "averaged": request.averaged,
        "trusted": request.trusted,
    }
    while True:
        before = found()
        loaded = load_model(path, **how)
        if found() == before:
            return loaded, *before


@dataclass(frozen=True)
class _Chosen:
    """The pairs to evaluate on.

    Attributes:
        corpus: where they are, with every word numbered.
        indices: which of them.
        training: the pairs that the run was trained on.
        left_out: the numbers of pairs that are not evaluated, and why.
        components: the number of each pair's component; None where the split does not deal components.
    """

    corpus: Corpus
    indices: NDArray[np.int64]
    training: Corpus
    left_out: Mapping[str, int] = field(default_factory=dict)
    components: NDArray[np.int64] | None = None


def evaluate_run(path: Path, request: Request, corpora: Corpora) -> dict[str, Any]:
    """Evaluate a run, and write the results in its folder; returns them as plain data, where a number may be infinite.

    Raises:
        UserError: the run or its data cannot be loaded, or the part has no pair.
    """
    (config, model, words), checkpoint, epoch = _loaded(path, request)
    if "split" not in config:
        raise UserError(f"{path} is of an earlier version, whose runs have no test part")
    for node in ("data", "split"):
        check_targets(config[node], node, request.trusted)
    check_addresses(config["data"], "data", request.trusted)
    chosen = _chosen(config, request, corpora, path)
    model, part = (
        _perfect(config, request, chosen, path)
        if request.perfect
        else (model, _part(config, request, chosen, words, path))
    )
    lengths = part.corpus.to_predict(predict_sos=part.predict_sos).lengths
    call(check_model, f"{path}: model", model=model, source=part.corpus.source.lengths, target=lengths)
    results = evaluate_part(
        model,
        part,
        beams=request.beams,
        alpha=request.alpha,
        analyses=request.analyses,
        measures=_own_measures(config, request),
    )
    contents = contents_of(
        part,
        results,
        name=request.part,
        checkpoint=checkpoint.stem,
        epoch=epoch,
        averaged=request.averaged,
        length_penalty=request.alpha,
        segments=request.segments,
        perfect=request.perfect,
        left_out=chosen.left_out,
    )
    if request.perfect:  # not where a comparison would take it for the run's
        write_text(path / layout.PERFECT / f"{request.part}.json", as_json(contents))
        return contents
    write_evaluation(
        path,
        request.part,
        contents,
        sources=part.sources(),
        references=part.references,
        hypotheses=results.hypotheses,
        components=None if chosen.components is None else chosen.components.tolist(),
    )
    return contents


def _own_measures(config: Mapping[str, Any], request: Request) -> dict[str, Any]:
    """The measures of a run that are not of this package; of those that are not trusted, a line says so."""
    found, nodes = {}, config.get("measures")
    for name, node in nodes.items() if isinstance(nodes, Mapping) else ():
        if not isinstance(node, Mapping) or str(node.get("_target_")) in registered()["measures"]:
            continue
        try:
            check_targets(node, f"measures.{name}", request.trusted)
        except UserError as error:
            print(f"not measured: {error}", file=sys.stderr, flush=True)
            continue
        found[name] = build(node, f"measures.{name}")
    return found


def _chosen(config: Mapping[str, Any], request: Request, corpora: Corpora, path: Path) -> _Chosen:
    corpus = corpora.load(config["data"])
    own = Run(path).summary().get("corpus") or {}
    if own.get("complete") not in (None, corpus.fingerprint) or not has_same_parts(own, corpus):
        raise UserError(f"{path}: its data has changed since it was trained; evaluate it on the same file")
    check_node(config["split"], "split")
    split = build(config["split"], "split")
    parts = parts_of(corpus, split)
    training = corpus.select(parts.train)
    if request.data is None:
        indices = parts._asdict()[request.part]
        chosen = _Chosen(corpus, indices, training, components=components_of(corpus, indices, split))
        if not len(chosen.indices):
            raise UserError(f"{path} has no {request.part} part (split={config['choices']['split']})")
    else:
        try:
            others = corpora.load({**config["data"], **request.data})
        except UserError as error:  # of several runs not all need have these settings
            raise UserError(f"{path}: --data: {error}") from None
        chosen = _shifted(others, corpus, training)
        if not len(chosen.indices):
            raise UserError(
                f"{path}: --data gives no pair that the run's own corpus lacks and whose source and target its "
                "training part lacks"
            )
    if request.max_pairs is None:
        return chosen
    rows = at_equal_distances(len(chosen.indices), request.max_pairs)
    components = None if chosen.components is None else chosen.components[rows]
    return _Chosen(chosen.corpus, chosen.indices[rows], training, chosen.left_out, components)


def _shifted(shifted: Corpus, own: Corpus, training: Corpus) -> _Chosen:
    """The pairs of another corpus that are not of the run's own, and have no sentence of its training part."""
    pairs = {(own.source_text(index), own.target_text(index)) for index in range(len(own))}
    sources, targets = (
        {text(index) for index in range(len(training))}
        for text in (training.source_text, training.target_text)
    )
    others, equal, shared = [], 0, 0
    for index in range(len(shifted)):
        source, target = shifted.source_text(index), shifted.target_text(index)
        if (source, target) in pairs:
            equal += 1
        elif source in sources or target in targets:
            shared += 1
        else:
            others.append(index)
    left_out = {"pairs_of_corpus": equal, "with_sentence_of_training": shared}
    return _Chosen(shifted, np.array(others, dtype=np.int64), training, left_out)


def _part(
    config: Mapping[str, Any], request: Request, chosen: _Chosen, words: Vocabularies, path: Path
) -> Part:
    """The pairs, in the vocabularies of a run."""
    pairs = chosen.corpus.select(chosen.indices)
    try:
        encoded = pairs.encoded(words.source, words.target)
    except ValueError as error:
        raise UserError(
            f"{path}: the model has no <unk> for unknown words (it was trained with split=none): {error}"
        ) from None
    by_source, predict_sos = request.segments == SOURCE, config["loader"]["predict_sos"]
    is_training = request.part == Parts._fields[0]
    return Part(
        corpus=encoded,
        references=chosen.corpus.references(chosen.indices),
        predict_sos=predict_sos,
        max_length=limit(words.max_length, encoded, predict_sos=predict_sos),
        segments=chosen.corpus.source_groups()[chosen.indices].tolist() if by_source else None,
        near_duplicates=None
        if is_training or not pairs.task.graded
        else near_duplicates(pairs, chosen.training).tolist(),
        distribution=chosen.corpus.distribution if words.target.units.name == "words" else None,
    )


def _perfect(
    config: Mapping[str, Any], request: Request, chosen: _Chosen, path: Path
) -> "tuple[Model, Part]":
    """The perfect model, and the pairs in its own vocabularies, which are of words and know all of them."""
    distribution = chosen.corpus.distribution
    if distribution is None:
        raise UserError(
            f"{path}: --perfect: the distribution of its data is not known; those of data=toy and data=grammar are"
        )
    references = chosen.corpus.references(chosen.indices)
    sources, targets = chosen.corpus.source_vocabulary, chosen.corpus.target_vocabulary
    known = dict.fromkeys(
        [*targets.words, *(word for row in references for text in row for word in text.split())]
    )
    target = Vocabulary(list(known))
    longest = max(len(text.split()) for row in references for text in row)
    words = Vocabularies(sources, target, chosen.corpus.normalise, longest + 2)
    model = Perfect(
        distribution=distribution,
        source_vocabulary=sources,
        target_vocabulary=target,
        predict_sos=config["loader"]["predict_sos"],
    )
    return model, _part(config, request, chosen, words, path)
