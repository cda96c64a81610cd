"""How the groups of a comparison are shown: own labels, order and colours, and the group that others are compared with.

A group is named by its label, by its method (see `method`), or by filters that all of its runs match, such as
`model=attention, ratio=0.5`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from seq2seq_lab.compare.corpora import by_corpus, corpus_name
from seq2seq_lab.compare.grouping import Group
from seq2seq_lab.errors import UserError, nearest
from seq2seq_lab.files import read_limited
from seq2seq_lab.runs.facts import values
from seq2seq_lab.runs.filters import parse_several

_MOST_BYTES = 2**20
_MOST_LISTED = 8
_COLOUR = re.compile("#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class Shown:
    """How some groups are shown.

    Attributes:
        where: which groups: a label or filters.
        label: instead of their settings; then it is one group of each corpus.
        colour: as `#0072B2`.
    """

    where: str
    label: str | None = None
    colour: str | None = None


@dataclass(frozen=True)
class Presentation:
    """How the groups are shown.

    Attributes:
        groups: in this order; the others follow.
        baseline: which group all others on its corpus are compared with, over several tasks the reference method: a
            label or filters.
    """

    groups: Sequence[Shown] = ()
    baseline: str | None = None


def read_presentation(path: Path) -> Presentation:
    """The presentation in a YAML file: `baseline: WHERE`, and `groups:`, a list of `{where, label, colour}`.

    Raises:
        UserError: the file cannot be read, or has another form.
    """
    try:
        found = yaml.safe_load(read_limited(path, _MOST_BYTES))
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(
            f"--groups {path}: cannot be read ({getattr(error, 'strerror', None) or error})"
        ) from None
    _check_keys(found, Presentation, str(path))
    entries = found.get("groups") or []
    if not isinstance(entries, list):
        raise UserError(f"--groups {path}: groups: it is not a list of {{where, label, colour}}")
    for entry in entries:
        _check_keys(entry, Shown, f"{path}: groups")
        if "where" not in entry:
            raise UserError(f"--groups {path}: groups: where is missing in {entry}")
        if empty := next((key for key, value in entry.items() if value is None), None):
            raise UserError(
                f"--groups {path}: groups: {empty} of {entry['where']} is empty; a text that begins with # needs "
                "quotation marks"
            )
    groups = [
        Shown(str(entry["where"]), _text(entry.get("label")), _text(entry.get("colour"))) for entry in entries
    ]
    return Presentation(groups, _text(found.get("baseline")))


def parse_group(text: str) -> Shown:
    """What `--group 'WHERE: LABEL'` says; a colour may follow the label, `LABEL #0072B2`.

    Raises:
        UserError: it has no label.
    """
    where, _, rest = (part.strip() for part in text.partition(": "))
    label, _, colour = rest.rpartition(" ") if _COLOUR.fullmatch(rest.rpartition(" ")[2]) else (rest, "", "")
    if not where or not label.strip():
        raise UserError(
            f"--group {text!r}: it should be 'WHERE: LABEL', such as 'forcing=full: teacher forcing'"
        )
    return Shown(where, label.strip(), colour or None)


def arranged(groups: Sequence[Group], presentation: Presentation) -> list[Group]:
    """The groups with their own labels and colours, in their order; those of a corpus stay together.

    Raises:
        UserError: no group matches, several on one corpus would have one label, a label is empty, or a colour is none.
    """
    rank: dict[int, int] = {}
    labels: dict[int, str] = {}
    colours: dict[int, str] = {}
    for number, shown in enumerate(presentation.groups):
        if shown.colour is not None and not _COLOUR.fullmatch(shown.colour):
            raise UserError(
                f"colour {shown.colour!r} of {shown.where}: it should be six digits, as '#0072B2'"
            )
        if shown.label is not None and not shown.label.strip():
            raise UserError(f"label of {shown.where}: it is empty")
        found = matching(groups, shown.where)
        for on_corpus in by_corpus(found).values():
            if shown.label is not None and len(on_corpus) > 1:
                raise UserError(
                    f"{shown.label}: {shown.where} matches {_listed(on_corpus)}; a label is of one group"
                )
        for each in found:
            place = groups.index(each)
            rank.setdefault(place, number)
            if shown.label is not None:
                labels[place] = " ".join(shown.label.split())  # a line break would end a row of a table
            if shown.colour is not None:
                colours[place] = shown.colour
    return _ordered(_labelled(groups, labels, colours), rank)


def _labelled(groups: Sequence[Group], labels: Mapping[int, str], colours: Mapping[int, str]) -> list[Group]:
    found = []
    for place, each in enumerate(groups):
        own = labels.get(place)
        alike = {groups[other].corpus.fingerprint for other, label in labels.items() if label == own}
        label = f"{own}, {corpus_name(each, groups)}" if len(alike) > 1 else own or each.label
        found.append(replace(each, label=label, own_label=own, colour=colours.get(place)))
    names = [each.label for each in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UserError(f"{twice}: two groups have this label")
    return found


def _ordered(groups: Sequence[Group], rank: Mapping[int, int]) -> list[Group]:
    corpora = list(dict.fromkeys(each.corpus.fingerprint for each in groups))
    places = sorted(
        range(len(groups)),
        key=lambda place: (
            corpora.index(groups[place].corpus.fingerprint),
            rank.get(place, len(groups)),
            place,
        ),
    )
    return [groups[place] for place in places]


def method(group: Group) -> str:
    """What tells a group apart from the others on its corpus, and is the same on every corpus: its own label, else its
    settings."""
    return group.own_label or ", ".join(f"{key}={text}" for key, text in group.shown.items())


def matching(groups: Sequence[Group], where: str, *, of: str = "") -> list[Group]:
    """The groups of a label or a method, or whose runs all match filters.

    Args:
        of: what an error's line begins with, such as the option that has the filters.

    Raises:
        UserError: there is none.
    """
    if not where:
        raise UserError(f"{of}'': the name of a group is empty")
    named = [each for each in groups if where in (each.label, each.own_label)]
    if named := named or [each for each in groups if where == method(each)]:
        return named
    if not re.search("[=<>]", where):
        raise UserError(f"{of}{where}: no group has this label; there are {_methods(groups)}")
    filters = parse_several(where)
    found = [
        each
        for each in groups
        if all(its.holds(values(run, its.key)) for its in filters for run in (*each.runs, *each.others))
    ]
    if not found:
        raise UserError(f"{of}{where}: no group matches; there are {_methods(groups)}")
    return found


def baselines(groups: Sequence[Group], where: str) -> list[Group]:
    """The group of each corpus that all others there are compared with.

    Raises:
        UserError: no group matches, or several on one corpus do.
    """
    found = matching(groups, where, of="--baseline ")
    for on_corpus in by_corpus(found).values():
        if len(on_corpus) > 1:
            raise UserError(f"--baseline {where}: it matches {_listed(on_corpus)}; it should be one group")
    return found


def _listed(groups: Sequence[Group]) -> str:
    return listed([each.label for each in groups])


def _methods(groups: Sequence[Group]) -> str:
    return listed(list(dict.fromkeys(method(each) or each.label for each in groups)))


def listed(names: Sequence[str]) -> str:
    """The first names, for a message."""
    return "; ".join(names[:_MOST_LISTED]) + (" …" if len(names) > _MOST_LISTED else "")


def _check_keys(found: Any, kind: type, where: str) -> None:
    known = get_type_hints(kind)
    if not isinstance(found, dict):
        raise UserError(f"--groups {where}: it should have the keys {', '.join(known)}")
    for key in found:
        if key not in known:
            raise UserError(f"--groups {where}: {key}: no such key{nearest(str(key), known)}")


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
