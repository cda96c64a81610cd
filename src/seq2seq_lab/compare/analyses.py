"""The curves of the analyses of trained models, over seeds."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seq2seq_lab.compare.grouping import Group
from seq2seq_lab.compare.statistics import Bounds, Estimate, average
from seq2seq_lab.files import LARGEST

_FARTHEST = 2**53  # position of a point; a plot computes with floats
_FEWEST = 5  # sentences of a point, on average over seeds; of fewer, the point is not drawn


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A column of an analysis, drawn as a curve.

    Attributes:
        analysis: the name of the analysis.
        x, y: the names of two of its columns; a dot leads into a mapping.
        title: what is drawn.
        xlabel, ylabel: the labels of the axes.
        count: the column with the number of sentences of each point, if it has one.
        even: a value that means no bias, drawn as a thin line.
        bounds: the lowest and the highest value of y, if it has such.
        log: whether the axis of x is logarithmic.
    """

    analysis: str
    x: str
    y: str
    title: str
    xlabel: str
    ylabel: str
    count: str = ""
    even: float | None = None
    bounds: Bounds | None = None
    log: bool = False


@dataclass(frozen=True)
class Curves:
    """A column of an analysis in the runs of a group.

    Attributes:
        points: number of a point → mean and standard deviation over the seeds.
        labels: number of a point → its label, where the values of x are names.
    """

    points: Mapping[int, Estimate]
    labels: Mapping[int, str]


def curves(group: Group, part: str, drawn: Drawn, places: dict[str, int] | None = None) -> Curves:
    """A column of an analysis on a part of the data, averaged over the runs of a group that have it.

    Args:
        places: name → number of its point; new ones are added. Curves that are drawn together share it.
    """
    several: list[dict[int, float]] = []
    labels: dict[int, str] = {}
    places = {} if places is None else places
    for run in group.runs:
        evaluated = run.evaluations.get(part)
        columns = _columns(evaluated.analyses.get(drawn.analysis) if evaluated else None, drawn)
        if columns is None:
            continue
        values: dict[int, float] = {}
        for x, y, n in zip(*columns, strict=True):
            if isinstance(x, int) and abs(x) > _FARTHEST:
                continue
            place = x if isinstance(x, int) else places.setdefault(str(x), len(places))
            labels |= {} if isinstance(x, int) else {place: str(x)}
            if _is_value(y) and (n is None or (_is_value(n) and n >= _FEWEST)):
                values[place] = float(y)
        several.append(values)
    return Curves(average(several), labels)


def in_order(labels: Mapping[int, str]) -> list[int]:
    """The numbers of points with labels as they are drawn: ranges such as "5–6" in their order, before other names."""

    def start(place: int) -> float:
        found = re.fullmatch(r"(\d{1,15})(–\d+| or more)?", labels[place])
        return int(found[1]) if found else math.inf

    return sorted(labels, key=lambda place: (start(place), place))


def _columns(analysis: Any, drawn: Drawn) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]] | None:
    """The columns x, y and count of an analysis; None if it has no such columns."""
    x, y = _column(analysis, drawn.x), _column(analysis, drawn.y)
    if x is None or y is None or len(x) != len(y):
        return None
    counts = _column(analysis, drawn.count) if drawn.count else None
    return x, y, counts if counts is not None and len(counts) == len(x) else [None] * len(x)


def _column(analysis: Any, path: str) -> Sequence[Any] | None:
    for name in path.split("."):
        analysis = analysis.get(name) if isinstance(analysis, Mapping) else None
    return analysis if isinstance(analysis, list) else None


def _is_value(y: Any) -> bool:
    return isinstance(y, int | float) and abs(y) <= LARGEST
