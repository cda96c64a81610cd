"""Line styles of groups: the key that matters most sets the colour, the next the dashes, all others the marker."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from seq2seq_lab.compare.grouping import Group
from seq2seq_lab.compare.naming import ABSENT, differing, independent

# Okabe and Ito's palette, which colour-blind readers can distinguish, without black and yellow, so that all colours
# are visible on a white and on a dark background; then two of Tol's.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#AA4499", "#999933")
# The lighter two thirds of matplotlib's viridis, for values with an order.
_SCALE = ("#33638D", "#287D8E", "#1F968B", "#29AF7F", "#55C667", "#95D840")
_DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1, 1.5), (6, 1.5, 1, 1.5), (9, 3))
_LARGEST = 1e300  # a number that an axis can have
# Of the nodes of a configuration: which of them the colour shows.
_RANK = {"objective": 0, "target": 0, "forcing": 0, "model": 1}
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


def keys_shown(
    settings: Sequence[Mapping[str, Any]], nodes: Mapping[str, str] | None = None
) -> tuple[list[str], list[str], list[str]]:
    """The keys that the colour shows, those of the dashes and those of the marker; none that another key determines.

    The colour shows what is compared most: objective, target and forcing, then the model, then the rest; of equal ones
    a key of numbers, as a scale of colours shows their order. Of more than three keys, equal ones are shown together.

    Args:
        nodes: the node of the configuration that each key is in, where it is not its first part.
    """
    keys = independent(settings)

    def rank(key: str) -> int:
        return _RANK.get((nodes or {}).get(key, key.partition(".")[0]), len(_RANK))

    keys.sort(key=lambda key: (rank(key), not _is_ordered(key, settings)))
    ranks = sorted(set(map(rank, keys)))
    if len(keys) > 3 and len(ranks) > 1:
        first, second, *rest = [[key for key in keys if rank(key) == each] for each in ranks]
        return first, second, [key for several in rest for key in several]
    if len(keys) > 1 and not _is_ordered(keys[0], settings) and _needs_colour(keys[1], keys[0], settings):
        keys[:2] = keys[1], keys[0]
    return keys[:1], keys[1:2], keys[2:]


def _needs_colour(key: str, other: str, settings: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a key has more values than there are dashes, and than another key has."""
    return _count(key, settings) > max(len(_DASHES), _count(other, settings))


def _is_ordered(key: str, settings: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a key has at least three values, all of them numbers."""
    values = [
        value for value in _distinct([each.get(key, ABSENT) for each in settings]) if value is not ABSENT
    ]
    return len(values) >= 3 and all(map(is_number, values))


def _count(key: str, settings: Sequence[Mapping[str, Any]]) -> int:
    return len(_distinct([each.get(key, ABSENT) for each in settings]))


def nodes_of(groups: Sequence[Group]) -> dict[str, str]:
    """The node of the configuration that each key of the groups' settings is in, such as `forcing` for `ratio`."""
    full = differing([group.config for group in groups])
    keys = dict.fromkeys(key for group in groups for key in group.settings)
    found = {key: next((each for each in full if f".{key}." in f".{each}."), key) for key in keys}
    return {key: each.partition(".")[0] for key, each in found.items()}


def looks_of(groups: Sequence[Group]) -> dict[Group, Look]:
    """A look for each group, with its own colour if the user gave it one."""
    found = looks([group.settings for group in groups], nodes_of(groups))
    return {
        group: replace(look, colour=group.colour or look.colour)
        for group, look in zip(groups, found, strict=True)
    }


def looks(settings: Sequence[Mapping[str, Any]], nodes: Mapping[str, str] | None = None) -> list[Look]:
    """A look for each of several settings, see `keys_shown`.

    A value of a key has the same look in all of them. If there are more values than colours, the colours are repeated
    with other dashes, and then with other markers.

    Args:
        nodes: see `keys_shown`.
    """
    columns = [[_together(each, keys) for each in settings] for keys in keys_shown(settings, nodes)]
    colour, dashes, marker = map(_distinct, columns)
    colours = _palette(colour)
    markers = _MARKERS if len(marker) > 1 else ("", *_MARKERS)
    found = []
    for row in zip(*columns, strict=True):
        again, c = divmod(colour.index(row[0]), len(colours))
        again, d = divmod(dashes.index(row[1]) + len(dashes) * again, len(_DASHES))
        m = (marker.index(row[2]) + len(marker) * again) % len(markers)
        found.append(Look(colours[c], _DASHES[d], markers[m]))
    return found


def _together(settings: Mapping[str, Any], keys: Sequence[str]) -> Any:
    """The value of a key, or the values of several."""
    values = tuple(settings.get(key, ABSENT) for key in keys)
    return values[0] if len(values) == 1 else values


def is_number(value: Any) -> bool:
    """Whether a setting is a number that can be drawn on an axis, so no infinite one."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST


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
