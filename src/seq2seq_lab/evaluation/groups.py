"""Results by groups of sentences: by source length, by unknown words, and by how near they are to training pairs."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from seq2seq_lab.evaluation.analysis import Subject
from seq2seq_lab.evaluation.errors import SymbolErrorRate
from seq2seq_lab.evaluation.evaluate import Evaluation
from seq2seq_lab.evaluation.losses import ExposureGap, ExposureGapToOwnEnd, LossForced, LossFree
from seq2seq_lab.evaluation.scores import Bleu, Chrf, ExactMatch

_MEASURES = (
    Bleu(),
    Chrf(),
    ExactMatch(),
    SymbolErrorRate(),
    LossForced(),
    LossFree(),
    ExposureGap(),
    ExposureGapToOwnEnd(),
)
# Fixed, so that corpora and runs have the same groups.
_LENGTHS = {
    2: "1–2",
    4: "3–4",
    6: "5–6",
    8: "7–8",
    10: "9–10",
    15: "11–15",
    20: "16–20",
    30: "21–30",
    50: "31–50",
    math.inf: "51 or more",
}


class BySourceLength:
    """Results by the number of words of the source."""

    name = "by_source_length"

    def __call__(self, subject: Subject) -> dict[str, Any]:
        return _by_length(subject, subject.sources)


class ByTargetLength:
    """Results by the number of words of the target: of the output that is right."""

    name = "by_target_length"

    def __call__(self, subject: Subject) -> dict[str, Any]:
        return _by_length(subject, subject.targets)


class ByForm:
    """Results by the form of the source, such as that of a command; empty where sources have no forms."""

    name = "by_form"

    def __call__(self, subject: Subject) -> dict[str, Any]:
        if subject.task.form is None:
            return {}
        names = [subject.task.form(source) for source in subject.sources]
        return by_group(names, _score(subject), order=sorted(set(names))) | {"measures": {}}


class ByUnknownWords:
    """Results on the sentences without unknown words, and on those with an unknown word in the source or the target."""

    name = "by_unknown_words"

    def __call__(self, subject: Subject) -> dict[str, Any]:
        names = ["with" if unknown else "without" for unknown in subject.unknown]
        found = by_group(names, _score(subject), order=("without", "with"))
        return found | {"measures": {}}


def by_near_duplicates(evaluation: Evaluation, near: Sequence[bool]) -> dict[str, Any]:
    """Results on the pairs that have a training pair within one word on both sides, and on the others."""
    names = ["near-duplicates" if each else "others" for each in near]
    return by_group(names, partial(_results, evaluation), order=("near-duplicates", "others"))


def _by_length(subject: Subject, texts: Sequence[str]) -> dict[str, Any]:
    names = [length_group(len(text.split())) for text in texts]
    return by_group(names, _score(subject), order=tuple(_LENGTHS.values())) | {"measures": {}}


def _score(subject: Subject) -> Callable[[Sequence[int]], dict[str, float]]:
    return partial(_results, subject.evaluation, graded=subject.task.graded)


def _results(evaluation: Evaluation, rows: Sequence[int], *, graded: bool = True) -> dict[str, float]:
    """All measures of some of the sentences alone; without those of graded targets where they say nothing."""
    part = evaluation.select(rows)
    return {each.facts.name: each(part) for each in _MEASURES if graded or not each.facts.graded}


def by_group(
    names: Sequence[str],
    score: Callable[[Sequence[int]], Mapping[str, float]],
    *,
    order: Sequence[str] = (),
) -> dict[str, Any]:
    """The results of each group of sentences.

    Args:
        names: the group of each sentence.
        score: rows of sentences → measure → value on these sentences alone.
        order: names that come first, if there are such sentences.

    Returns:
        "group", in the given order, then in that of first appearance, "sentences": their numbers, and each measure, one
        value per group.
    """
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        rows.setdefault(name, []).append(row)
    rows = {name: rows[name] for name in dict.fromkeys((*order, *rows)) if name in rows}
    found = [score(each) for each in rows.values()]
    values = {name: [each[name] for each in found] for name in (found[0] if found else ())}
    return {"group": list(rows), "sentences": [len(each) for each in rows.values()], **values}


def length_group(words: int) -> str:
    """The name of the group of a sentence with this number of words, such as "5–6"."""
    return next(name for longest, name in _LENGTHS.items() if words <= longest)
