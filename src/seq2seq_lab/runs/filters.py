"""How runs are chosen: filters such as `status=failed`, `model=attention`, `val/bleu>30`; the same for all commands."""

import math
import operator
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from seq2seq_lab.errors import UserError, nearest
from seq2seq_lab.runs.facts import OF_ALL, STATUSES, keys, values
from seq2seq_lab.runs.run import Run

GRAMMAR = (
    "KEY=VALUE, or with != < <= > >=. A KEY is status, seed, epochs, name, tag, note, a metric (its last value; 'best "
    "METRIC' is its best), a group with options, or a key of the configuration or its last parts, such as lr. A VALUE "
    "may have * and ?, or be several with commas (\\, is one of its own). All filters hold. < and > need quotes in a "
    "shell: 'val/bleu>30'"
)
_COMPARISONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_FILTER = re.compile(r"\s*(?P<key>[^=<>!\n]+?)\s*(?P<sign>>=|<=|!=|==?|>|<)\s*(?P<value>.*?)\s*", re.DOTALL)
_START = re.compile(r",\s*(?=[\w./@ -]+(?:>=|<=|!=|=|>|<))")  # of the next of several filters in one text


@dataclass(frozen=True)
class Filter:
    """One condition on a run.

    Attributes:
        key: see `facts.values`.
        sign: `=`, `!=`, `<`, `<=`, `>` or `>=`.
        value: as it was typed.
    """

    key: str
    sign: str
    value: str

    def __str__(self) -> str:
        return f"{self.key}{self.sign}{self.value}"

    def holds(self, found: Sequence[Any]) -> bool:
        """Whether it holds for the values that a run has for the key; without one, only `!=` does."""
        if self.sign not in _COMPARISONS:
            return any(map(self.equals, found)) == (self.sign == "=")
        compares, bound = _COMPARISONS[self.sign], float(self.value)
        return any(compares(float(each), bound) for each in found if _is_number(each))

    def equals(self, found: Any) -> bool:
        """Whether a value is the one that was typed, or one of those between its commas."""
        parts = re.split(r"(?<!\\),(?! )", self.value)
        return any(_same(found, text.replace("\\,", ",")) for text in dict.fromkeys([self.value, *parts]))


def _same(found: Any, text: str) -> bool:
    if isinstance(found, str):
        return found == text or fnmatchcase(found, text.replace("[", "[[]"))
    if _is_number(found) and ("*" in text or "?" in text):
        return any(fnmatchcase(written, text.replace("[", "[[]")) for written in (str(found), f"{found:g}"))
    try:
        wanted = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return False
    if isinstance(wanted, str) and _is_number(found):  # 1e-3, which is a text for YAML
        wanted = _number(text)
    return bool(found == wanted) and isinstance(found, bool) == isinstance(wanted, bool)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def parse(text: str) -> Filter | None:
    """The filter of a text; None if it has no sign of one.

    Raises:
        UserError: what is compared by size is no number.
    """
    if not (found := _FILTER.fullmatch(text)):
        return None
    given = Filter(found["key"], found["sign"].replace("==", "="), found["value"])
    bound = _number(given.value)
    if given.sign in _COMPARISONS and (bound is None or math.isnan(bound)):
        raise UserError(f"{text}: {given.value!r} is not a number; {given.sign} compares numbers")
    return given


def parse_several(text: str) -> list[Filter]:
    """The filters of a text with commas between them, such as `model=attention, ratio=0.5`.

    Raises:
        UserError: a part is no filter.
    """
    found = []
    for part in _START.split(text):
        if (each := parse(part)) is None:
            raise UserError(f"{part!r} is no filter, such as model=attention or 'ratio>0.5'")
        found.append(each)
    return found


def split(arguments: Iterable[str | Path]) -> tuple[list[Path], list[Filter]]:
    """Arguments of a command as paths and filters: a text that is no path and has a sign is a filter.

    Raises:
        UserError: one is empty, as an unset variable of a shell is; as a path it would be the working folder.
    """
    paths: list[Path] = []
    filters: list[Filter] = []
    for argument in arguments:
        if argument == "":
            raise UserError("an argument is empty; it should be a folder, or a filter such as status=failed")
        is_path = isinstance(argument, Path) or _exists(Path(argument))
        given = None if is_path else parse(str(argument))
        if given is None:
            paths.append(Path(argument))
        else:
            filters.append(given)
    return paths, filters


def outputs() -> Path:
    """The folder of runs where none is given."""
    return Path(os.environ.get("SEQ2SEQ_LAB_OUTPUTS") or "outputs")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long for a name; with a NUL
        return False


def matching(runs: Sequence[Run], filters: Sequence[Filter]) -> list[Run]:
    """The runs for which all filters hold.

    Raises:
        UserError: no run has the key of a filter.
    """
    for each in filters:
        check_key(each.key, runs, str(each))
        if each.key == "status" and each.sign in ("=", "!="):
            _check_status(each, runs)
    return [run for run in runs if all(each.holds(values(run, each.key)) for each in filters)]


def _check_status(given: Filter, runs: Sequence[Run]) -> None:
    known = dict.fromkeys([*STATUSES, *(value for run in runs for value in values(run, "status"))])
    if not any(given.equals(status) for status in known):
        raise UserError(f"{given}: no such status; there are {', '.join(known)}")


def check_key(key: str, runs: Sequence[Run], where: str) -> None:
    """Refuse a key that no run has, which is a misspelt one.

    Raises:
        UserError: it is one.
    """
    if not key:
        raise UserError(f"{where.strip()}: a key is empty")
    if key in OF_ALL or not runs or any(values(run, key) for run in runs):
        return
    known = dict.fromkeys(each for run in runs for each in keys(run))
    short = dict.fromkeys(each.rpartition(".")[2] for each in known)
    hint = nearest(key, known) or ("" if os.sep in key else nearest(key, short))
    place = ", and there is no such folder" if os.sep in where else ""
    raise UserError(f"{where}: no run has {key}{place}{hint}")
