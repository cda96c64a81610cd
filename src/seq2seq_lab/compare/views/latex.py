"""Tables for a paper as LaTeX, which fit a page of the class `article` in width and in height."""

import re
import textwrap
from collections.abc import Iterator, Sequence

from seq2seq_lab.compare.views.table import Cell, Column, Table, text_of

_WIDE = 78  # characters of a line in \footnotesize, with two for the space between columns
_TALL = 46  # lines on a page
_HEAD = 4  # lines of a heading, its rules and the space above it
_CAPTION = 90  # characters of a line of a caption
_NARROWEST = 16  # characters of a column whose cells are wrapped
_PACKAGES = "% \\usepackage{array,booktabs}"
_OTHER_SCRIPTS = "% Compile it with XeLaTeX or LuaLaTeX, and a font that has all of its characters."
_SIGNS = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "→": r"$\rightarrow$",
    "±": r"$\pm$",
    "·": r"$\cdot$",
    "√": r"$\surd$",
    "…": r"\ldots{}",
    "–": "--",
    "−": "$-$",
    '"': "''",
}
_SIGN = re.compile("[" + re.escape("".join(_SIGNS)) + "]")
_MINUS = re.compile(r"(?<![\w.)\]-])-(?=\d)")  # of a number, not a hyphen


def latex(table: Table) -> str:
    """A table as one float of LaTeX, or as several where its rows do not fit a page.

    Columns that do not fit beside each other stand below each other, each time with those that name the row; where the
    table can be brief, it is so before that.
    """
    blocks = list(_blocks(table))
    if len(blocks) > 1 and table.brief is not None:
        return latex(table.brief)
    floats: list[list[str]] = [[]]
    caption = _lines(table.caption, _CAPTION)
    room = _TALL - caption
    for names, values in blocks:
        for rows in _pages([*names, *values], len(table.rows), room):
            tall = _HEAD + sum(_height([*names, *values], row) for row in rows)
            if tall > room and floats[-1]:
                floats.append([])
                room = _TALL - caption
            floats[-1].append(_tabular([*names, *values], rows, table))
            room -= tall
    return "\n".join(_float(table, several, number) for number, several in enumerate(floats))


def _pages(columns: Sequence[Column], count: int, room: int) -> Iterator[range]:
    """The rows of one tabular after the other: as many as fit into the room that is left, else a page."""
    start, left = 0, room
    if sum(_height(columns, row) for row in range(count)) + _HEAD > room:
        left = _TALL - _HEAD
    for row in range(count):
        height = _height(columns, row)
        if height > left and row > start:
            yield range(start, row)
            start, left = row, _TALL - 2 * _HEAD
        left -= height
    yield range(start, count)


def _height(columns: Sequence[Column], row: int) -> int:
    """The lines of a row."""
    return max(_lines(text_of(each.cells[row]), each.wrapped) if each.wrapped else 1 for each in columns)


def _lines(text: str, width: int) -> int:
    return len(textwrap.wrap(text, max(8, int(0.85 * width)))) or 1


def _blocks(table: Table) -> Iterator[tuple[Sequence[Column], Sequence[Column]]]:
    """The columns that name the rows, and as many others as fit beside them."""
    names = list(table.names)
    left = sum(map(_width, names))
    widest = max((_width(column) for column in table.values), default=0)
    if left > _WIDE // 2 or left + widest > _WIDE:  # one wrapped column for all of them
        room = max(_NARROWEST, min(_WIDE // 2, _WIDE - widest - 2))
        if len(table.values) > 1 and sum(map(_width, table.values)) + _NARROWEST <= _WIDE:
            room = max(_NARROWEST, _WIDE - sum(map(_width, table.values)) - 2)
        names = [Column(table.title, table.rows, wrapped=room)]
        left = room + 2
    block: list[Column] = []
    for column in table.values:
        if block and left + sum(map(_width, block)) + _width(column) > _WIDE:
            yield names, block
            block = []
        block.append(column)
    yield names, block


def _width(column: Column) -> int:
    return (column.wrapped or max(map(len, (column.name, *map(text_of, column.cells))))) + 2


def _tabular(columns: Sequence[Column], rows: range, table: Table) -> str:
    kinds = "".join(
        rf">{{\raggedright\arraybackslash}}p{{{column.wrapped / _WIDE:.2f}\linewidth}}"
        if column.wrapped
        else "l"
        for column in columns
    )
    lines = [
        rf"\begin{{tabular}}{{@{{}}{kinds}@{{}}}}",
        r"  \toprule",
        _line([_tex(each.name) for each in columns]),
    ]
    section = None
    for row in rows:
        if table.sections and table.sections[row] != section:
            section = table.sections[row]
            lines += [r"  \midrule", rf"  \multicolumn{{{len(columns)}}}{{@{{}}l}}{{{_tex(section)}}} \\"]
        if row == rows.start:
            lines.append(r"  \midrule")
        lines.append(_line([_cell(column.cells[row], wrapped=bool(column.wrapped)) for column in columns]))
    return "\n".join([*lines, r"  \bottomrule", r"\end{tabular}"])


def _line(cells: Sequence[str]) -> str:
    # After the \\ of the line before, a bracket or a star would be its argument.
    return "  " + re.sub(r"^(?=[\[*])", "{}", " & ".join(cells)) + r" \\"


def _cell(cell: Cell | str, *, wrapped: bool) -> str:
    text = _tex(text_of(cell))
    if wrapped:  # a line may also be broken within key=value
        text = re.sub(r"=|\\_|/", lambda found: rf"{found[0]}\allowbreak{{}}", text)
    return rf"\textbf{{{text}}}" if isinstance(cell, Cell) and cell.best else text


def _float(table: Table, tabulars: Sequence[str], number: int) -> str:
    caption = f"{table.caption}" if number == 0 else "Continued from the table before it."
    label = table.label if number == 0 else f"{table.label}-{number + 1}"
    text = "\n".join([*"\n\\medskip\n".join(tabulars).splitlines(), rf"\caption{{{_tex(caption)}}}"])
    packages = [_PACKAGES] + ([_OTHER_SCRIPTS] if re.search("[^\x00-\u017f]", text) else [])
    head = [r"\begin{table}", r"\centering\footnotesize", r"\setlength{\tabcolsep}{4pt}"]
    return "\n".join([*packages, *head, text, rf"\label{{{label}}}", r"\end{table}", ""])


def label(*parts: str) -> str:
    """The label of a table, of characters that LaTeX allows in one."""
    return "tab:" + "-".join(re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") for part in parts if part)


def _tex(text: str) -> str:
    """A text as LaTeX prints it; the minus of a number is one."""
    text = _MINUS.sub("−", text)
    return _SIGN.sub(lambda found: _SIGNS[found[0]], text)
