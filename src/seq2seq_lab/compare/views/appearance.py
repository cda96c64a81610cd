"""Line styles of groups: the first swept key sets the colour, the second the dashes, the third the marker."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seq2seq_lab.compare.naming import ABSENT, determines

# Okabe and Ito's palette, which colour-blind readers can distinguish, without black and yellow, so that all colours
# are visible on a white and on a dark background.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# The lighter two thirds of matplotlib's viridis, for values with an order.
_SCALE = ("#33638D", "#287D8E", "#1F968B", "#29AF7F", "#55C667", "#95D840")
_DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1, 1.5), (6, 1.5, 1, 1.5), (9, 3))
_MARKERS = ("o", "s", "^", "D", "v", "P")


@dataclass(frozen=True)
class Look:
    """Colour, dashes (lengths on, off … in line widths; empty for a solid line) and marker.

    Markers have matplotlib's names; ○, □ and △ are hollow markers.
    """

    colour: str
    dashes: tuple[float, ...] = ()
    marker: str = ""
    line: bool = True


def keys_shown(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys that a look shows, beginning with that of the colour; without keys that another key determines."""
    keys = list(dict.fromkeys(key for each in settings for key in each))
    for key in reversed(keys):
        others = [other for other in keys if other != key]
        if any(determines(other, key, settings) for other in others):
            keys = others
    ordered = [key for key in keys if _is_ordered(key, settings)]
    if ordered:  # a scale of colours shows the order of its values
        return [ordered[0], *(key for key in keys if key != ordered[0])]
    if len(keys) > 1 and _count(keys[1], settings) > max(len(_DASHES), _count(keys[0], settings)):
        keys[:2] = keys[1], keys[0]  # as there are more colours than dashes
    return keys


def _is_ordered(key: str, settings: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a key has at least three values, all of them numbers."""
    values = [
        value for value in _distinct([each.get(key, ABSENT) for each in settings]) if value is not ABSENT
    ]
    return len(values) >= 3 and all(map(is_number, values))


def _count(key: str, settings: Sequence[Mapping[str, Any]]) -> int:
    return len(_distinct([each.get(key, ABSENT) for each in settings]))


def looks(settings: Sequence[Mapping[str, Any]]) -> list[Look]:
    """A look for each of several settings; a value of a key has the same look in all of them.

    If there are more values than colours, the colours are repeated with other dashes, and then with other markers.
    """
    columns = [[each.get(key, ABSENT) for each in settings] for key in keys_shown(settings)]
    columns += [[ABSENT] * len(settings)] * (3 - len(columns))
    colour, dashes, marker = (_distinct(column) for column in columns[:3])
    colours = _palette(colour)
    markers = _MARKERS if len(marker) > 1 else ("", *_MARKERS)
    found = []
    for row in zip(*columns[:3], strict=True):
        again, c = divmod(colour.index(row[0]), len(colours))
        again, d = divmod(dashes.index(row[1]) + len(dashes) * again, len(_DASHES))
        m = (marker.index(row[2]) + len(marker) * again) % len(markers)
        found.append(Look(colours[c], _DASHES[d], markers[m]))
    return found


def is_number(value: Any) -> bool:
    """Whether a setting is a number, which can be drawn on an axis."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _distinct(values: Sequence[Any]) -> list[Any]:
    distinct: list[Any] = []
    for value in values:
        if value not in distinct:
            distinct.append(value)
    return distinct


def _palette(values: Sequence[Any]) -> Sequence[str]:
    """Colours from a scale if the values are numbers, and another colour for a missing value; else distinct colours."""
    numbers = [value for value in values if is_number(value)]
    if len(numbers) < 3 or any(value is not ABSENT for value in values if value not in numbers):
        return _COLOURS
    scale = {value: _on_scale(n / (len(numbers) - 1)) for n, value in enumerate(sorted(numbers))}
    return [scale.get(value, _COLOURS[1]) for value in values]


def _on_scale(share: float) -> str:
    """The colour at a share of the scale, 0 to 1, interpolated between its two neighbours."""
    place = min(int(share * (len(_SCALE) - 1)), len(_SCALE) - 2)
    rest = share * (len(_SCALE) - 1) - place
    low, high = (bytes.fromhex(colour[1:]) for colour in _SCALE[place : place + 2])
    return "#" + bytes(round(a + rest * (b - a)) for a, b in zip(low, high, strict=True)).hex().upper()
