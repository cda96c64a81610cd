"""How groups look: a colour for the first key that was swept, dashes for the second, a marker for the third."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seq2seq_lab.compare.naming import ABSENT

# Okabe and Ito's palette, which colour-blind readers tell apart, less black and yellow: these are seen on
# white paper and on a dark screen alike.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# The lighter two thirds of matplotlib's viridis, for values that have an order.
_SCALE = ("#33638D", "#287D8E", "#1F968B", "#29AF7F", "#55C667", "#95D840")
_DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1, 1.5), (6, 1.5, 1, 1.5), (9, 3))
_MARKERS = ("o", "s", "^", "D", "v", "P")


@dataclass(frozen=True)
class Look:
    """Colour, dashes (on, off … in line widths; none for a solid line) and marker, as matplotlib names it."""

    colour: str
    dashes: tuple[float, ...] = ()
    marker: str = ""
    line: bool = True


def looks(settings: Sequence[Mapping[str, Any]]) -> list[Look]:
    """A look for each of several settings; the same value of a key looks the same in all of them."""
    keys = dict.fromkeys(key for each in settings for key in each)
    columns = [[each.get(key, ABSENT) for each in settings] for key in keys]
    values = [_distinct(column) for column in columns]
    colours = _palette(values[0]) if values else _COLOURS

    def choose(options: Sequence[Any], place: int, row: int) -> Any:
        index = values[place].index(columns[place][row]) if place < len(columns) else 0
        return options[index % len(options)]

    markers = _MARKERS if len(columns) > 2 else ("",)
    rows = range(len(settings))
    return [Look(choose(colours, 0, n), choose(_DASHES, 1, n), choose(markers, 2, n)) for n in rows]


def is_number(value: Any) -> bool:
    """Whether a setting has a place on an axis."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _distinct(values: Sequence[Any]) -> list[Any]:
    distinct: list[Any] = []
    for value in values:
        if value not in distinct:
            distinct.append(value)
    return distinct


def _palette(values: Sequence[Any]) -> Sequence[str]:
    """Colours in order for numbers, colours as different as can be for names."""
    if len(values) < 3 or not all(map(is_number, values)):
        return _COLOURS
    return [_SCALE[round(n * (len(_SCALE) - 1) / (len(values) - 1))] for n in range(len(values))]
