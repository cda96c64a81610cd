"""Results by groups of sentences: by source length, and with and without unknown words."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

# Fixed, so that corpora and runs have the same groups.
_LENGTHS = ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 15), (16, 20), (21, 30), (31, 50), (51, None))


def by_group(
    names: Sequence[str | None], score: Callable[[Sequence[int]], Mapping[str, float]]
) -> dict[str, Any]:
    """The results of each group of sentences.

    Args:
        names: the group of each sentence; None: of no group.
        score: rows of sentences → measure → value on these sentences alone.

    Returns:
        "group", in order of first appearance, "sentences": their numbers, and each measure, one value per group.
    """
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        if name is not None:
            rows.setdefault(name, []).append(row)
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
