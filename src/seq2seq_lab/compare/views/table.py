"""A table for a paper, before it is written in a format."""

from collections.abc import Sequence
from typing import NamedTuple


class Cell(NamedTuple):
    """The text of a cell, and whether it is the best of its column."""

    text: str
    best: bool = False


def text_of(cell: Cell | str) -> str:
    """The text of a cell."""
    return cell.text if isinstance(cell, Cell) else cell


class Column(NamedTuple):
    """A column.

    Attributes:
        wrapped: characters of its lines, where its cells are wrapped; 0 where they are not.
    """

    name: str
    cells: Sequence[Cell | str]
    wrapped: int = 0


class Table(NamedTuple):
    """A table, with what stands below it.

    Attributes:
        names: the columns that name a row.
        values: the other columns.
        rows: the name of each row as one text, where its columns do not fit.
        title: what these names are.
        caption: what the table shows.
        label: by which the text of a paper refers to it.
        sections: what several rows have in common, for each row; empty where there are no sections.
        brief: the same table with shorter cells.
    """

    names: Sequence[Column]
    values: Sequence[Column]
    rows: Sequence[str]
    title: str
    caption: str
    label: str
    sections: Sequence[str] = ()
    brief: "Table | None" = None
