"""Columns of a text that are separated by tabs: plain ones, and those that a spreadsheet has quoted."""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from seq2seq_lab.data.sources.tsv import check_lengths, line_ends, read_lines
from seq2seq_lab.data.text import shortened
from seq2seq_lab.errors import UserError

_SAMPLE = 1000  # lines that show what kind of column it is
_FEW = 10  # lines, of which nothing can be said
_MOSTLY = 0.9
# All fields are quoted as spreadsheets do, or contain no quotation mark. Possessive, so that it takes linear time.
_FIELD = r'(?:"(?:[^"]++|"")*+"|[^"\t\r\n]*+)'
_QUOTED = re.compile(rf"{_FIELD}(?:[\t\r\n]{_FIELD})*+")
_DOUBLED = re.compile(r'(?:^|[\t\n])"(?:[^"]++""|""[^"\t\n])')
_BREAKS = re.compile(r"[\t\r\n]+")
_NUMBER = re.compile(r"\s*[0-9]+\s*")


class Columns(NamedTuple):
    """Columns of a text.

    Attributes:
        fields: for each column that was asked for, its fields, one a line; a blank line has empty fields.
        cautions: what may be wrong with the text, each in one line, and what would be right.
        lines: the line of each field where fields contain line ends; ``None`` = field i is in line i + 1.
    """

    fields: list[list[str]]
    cautions: list[str]
    lines: list[int] | None = None


def read_columns(text: str, name: str | Path, columns: Sequence[int]) -> Columns:
    """Take columns of a tab-separated text.

    A text whose fields are quoted as spreadsheets quote them is read as they read it: ``"a ""b"" c"`` is ``a "b" c``,
    and tabs and line ends inside a field are spaces.

    Args:
        text: one pair per line, see `read_lines`.
        name: the name of the text, for messages.
        columns: numbers of the columns, counted from 1; the first two are those of the source and of the target.

    Raises:
        UserError: a line has too few columns.
    """
    if quoted := _unquoted(text, name, max(columns)):
        rows, lines = quoted
        cautions = _doubtful_columns(rows, lines, name, columns)
        fields = [[row[column - 1] if row else "" for row in rows] for column in columns]
        return Columns(fields, cautions, lines if lines[-1] != len(lines) else None)
    whole = read_lines(text, name)
    widths = [line.count("\t") + 1 for line in whole]
    _check_widths(whole, widths, name, max(columns))
    sample = [line.split("\t") if line.strip() else [] for line in whole[:_SAMPLE]]
    cautions = _doubtful_columns(sample, range(1, len(sample) + 1), name, columns)
    if min(widths) == max(widths):  # one split is several times as fast as a split of each line
        every = "\t".join(whole).split("\t")
        return Columns([every[column - 1 :: widths[0]] for column in columns], cautions)
    rows = [line.split("\t", max(columns)) if line.strip() else [""] * max(columns) for line in whole]
    cautions = [*_ragged(whole, widths, name), *cautions]
    return Columns([[row[column - 1] for row in rows] for column in columns], cautions)


def _check_widths(lines: Sequence[str], widths: Sequence[int], name: str | Path, needed: int) -> None:
    for number, width in enumerate(widths, 1) if min(widths) < needed else ():
        line = lines[number - 1]
        if width >= needed or not line.strip():
            continue
        if width > 1:
            raise UserError(f"{name} line {number}: {width} columns, but column {needed} is needed")
        other = next((what for mark, what in _OTHER_SEPARATORS.items() if mark in line), "")
        raise UserError(
            f"{name} line {number}: no tab; the columns of a line must be separated by tabs{other}"
        )


_OTHER_SEPARATORS = {
    "|||": ", not by |||",
    ";": ", not by semicolons",
    ",": ", not by commas; save a table as text with tabs",
}


def _unquoted(text: str, name: str | Path, needed: int) -> tuple[list[list[str]], list[int]] | None:
    """The rows of a text that is quoted as a table, and the line of each; ``None``: it is not.

    Sentences may begin and end with quotation marks of their own. So each mark must belong to a quoted field, all rows
    must have as many fields, and there must be a sign of a table: doubled marks, a mark around every field, or a line
    that is not a row.
    """
    first = text.find('"')
    if first < 0 or text[max(first - 1, 0)] not in '"\t\n\r':
        return None
    if not _QUOTED.fullmatch(text):
        return None
    text = line_ends(text).rstrip("\n")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t")
    lines, rows = [1], []
    try:
        for row in reader:
            rows.append([_BREAKS.sub(" ", field) for field in row])
            lines.append(reader.line_num + 1)
    except csv.Error:  # a carriage return outside of quotes, or a very long field
        return None
    widths = {len(row) for row in rows if any(row)}
    if len(widths) != 1 or min(widths) < needed:
        return None
    every_field = text.count('"') == 2 * sum(map(len, rows))
    ragged = len({line.count("\t") for line in text.split("\n") if line}) > 1
    if not (every_field or ragged or _DOUBLED.search(text)):
        return None
    check_lengths([max(row, key=len) for row in rows if row], name)
    return [row if any(row) else [] for row in rows], lines[:-1]


def _ragged(lines: Sequence[str], widths: Sequence[int], name: str | Path) -> list[str]:
    """A caution if lines differ in their numbers of columns, as where a sentence contains a tab."""
    counted = Counter(width for width, line in zip(widths, lines, strict=True) if line.strip())
    usual = max(counted, key=lambda width: counted[width])
    others = counted.total() - counted[usual]
    if not others:
        return []
    number = next(
        number
        for number, (width, line) in enumerate(zip(widths, lines, strict=True), 1)
        if width != usual and line.strip()
    )
    return [
        f"{name} line {number}: {widths[number - 1]} columns, where most lines have {usual}, as in {others:,} "
        f"of {counted.total():,} lines: {shortened(lines[number - 1])}; "
        "if a sentence contains a tab, replace it by a space"
    ]


def _doubtful_columns(
    rows: Sequence[Sequence[str]], lines: Sequence[int], name: str | Path, columns: Sequence[int]
) -> list[str]:
    """A caution for each side whose column is empty, contains numbers or is always the same: it may be another one.

    Args:
        rows: the fields of each line; none for a blank line.
        lines: the number of each line.
        name: the name of the text.
        columns: those of the source and of the target.
    """
    first = next((line for row, line in zip(rows, lines, strict=True) if row), None)
    rows = [row for row in rows if row][:_SAMPLE]
    if first is None:
        return []
    kinds = {column: _kind(rows, column) for column in range(1, min(map(len, rows)) + 1)}
    doubtful = [(side, column) for side, column in zip(_SIDES, columns[:2], strict=False) if kinds[column]]
    if not doubtful:
        return []
    remedy = f"choose others with {' and '.join(f'data.{side}_column' for side in _SIDES)}"
    of_text = [column for column, kind in kinds.items() if not kind]
    if len(of_text) >= 2:
        chosen = of_text[:2] if columns[0] < columns[1] else of_text[1::-1]
        settings = " ".join(
            f"data.{side}_column={column}" for side, column in zip(_SIDES, chosen, strict=True)
        )
        remedy = f"columns {of_text[0]} and {of_text[1]} contain text: set {settings}"
    return [
        f"{name}: column {column}, of the {side}, {kinds[column]} (line {first}: {shortened(rows[0][column - 1])}); "
        f"{remedy}"
        for side, column in doubtful
    ]


_SIDES = ("source", "target")


def _kind(rows: Sequence[Sequence[str]], column: int) -> str:
    """What a column contains instead of sentences; empty if it contains sentences."""
    fields = [row[column - 1] for row in rows]
    if not any(field.strip() for field in fields):
        return "is empty"
    if len(fields) < _FEW:
        return ""
    if sum(map(bool, map(_NUMBER.fullmatch, fields))) >= _MOSTLY * len(fields):
        return "contains only numbers, such as those of sentences"
    return "is the same in each line" if len(set(fields)) == 1 else ""
