"""Results by groups of sentences: by source length, and with and without unknown words."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from seq2seq_lab.evaluation.analysis import Subject
from seq2seq_lab.evaluation.evaluate import Evaluation
from seq2seq_lab.evaluation.losses import ExposureGap, LossForced, LossFree
from seq2seq_lab.evaluation.scores import Bleu, Chrf, ExactMatch

_MEASURES = (Bleu(), Chrf(), ExactMatch(), LossForced(), LossFree(), ExposureGap())
# Fixed, so that corpora and runs have the same groups.
_LENGTHS = ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 15), (16, 20), (21, 30), (31, 50), (51, None))


class BySourceLength:
    """Results by the number of words of the source."""

    name = "by_source_length"

    def __call__(self, subject: Subject) -> dict[str, Any]:
        names = [length_group(len(source.split())) for source in subject.sources]
        return in_order_of_length(by_group(names, partial(_results, subject.evaluation))) | {"measures": {}}


class ByUnknownWords:
    """Results on the sentences without unknown words, and on those with an unknown word in the source or the target."""

    name = "by_unknown_words"

    def __call__(self, subject: Subject) -> dict[str, Any]:
        names = ["with" if unknown else "without" for unknown in subject.unknown]
        found = by_group(names, partial(_results, subject.evaluation), order=("without", "with"))
        return found | {"measures": {}}


def _results(evaluation: Evaluation, rows: Sequence[int]) -> dict[str, float]:
    """All measures of some of the sentences alone."""
    part = Evaluation(
        [evaluation.hypotheses[row] for row in rows],
        [evaluation.references[row] for row in rows],
        evaluation.losses_forced[list(rows)],
        evaluation.losses_free[list(rows)],
    )
    return {each.facts.name: each(part) for each in _MEASURES}


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
    low, high = next(each for each in _LENGTHS if each[1] is None or max(1, words) <= each[1])
    return f"{low}–{high}" if high else f"{low} or more"


def in_order_of_length(groups: Mapping[str, Any]) -> dict[str, Any]:
    """The result of `by_group` for names of `length_group`, sorted by length."""
    order = sorted(
        range(len(groups["group"])), key=lambda i: int(groups["group"][i].replace("–", " ").split()[0])
    )
    return {name: [column[i] for i in order] for name, column in groups.items()}
