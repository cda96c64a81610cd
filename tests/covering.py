"""Covering designs: few rows of settings in which each level, or each two levels of two factors, occur."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence

Row = dict[str, str | None]  # factor → its level; None: the factor does not exist beside the other levels
Item = tuple[str, str | None]


def covering(
    factors: Mapping[str, Sequence[str | None]],
    allowed: Callable[[Row], bool],
    strength: int,
    rows: Iterable[Row] = (),
) -> list[Row]:
    """Rows that contain each combination of `strength` levels that an allowed row can contain; the same in each call.

    Each row begins with a combination that no row contains yet. Each further factor takes the level that adds most
    such combinations to the row; of equal ones, the first.

    Args:
        factors: the levels of each factor.
        allowed: whether a row may be; also asked for rows that lack factors.
        strength: how many levels are combined: 1 or 2.
        rows: those that the result begins with.
    """
    rows = list(rows)
    wanted = {  # in order, and so a dictionary
        frozenset(items): None
        for names in itertools.combinations(factors, strength)
        for items in itertools.product(*([(name, level) for level in factors[name]] for name in names))
        if None not in dict(items).values()
    }

    def note(row: Row) -> None:
        for items in itertools.combinations(row.items(), strength):
            wanted.pop(frozenset(items), None)

    def gain(row: Row, item: Item) -> int:
        others = itertools.combinations(row.items(), strength - 1)
        return sum(frozenset({item, *each}) in wanted for each in others)

    def completed(row: Row) -> Row | None:
        """The row with a level of each factor that it lacks; None if there is no such row."""
        name = next((each for each in factors if each not in row), None)
        if name is None or not allowed(row):
            return {each: row[each] for each in factors} if allowed(row) else None
        best_first = sorted(factors[name], key=lambda level: gain(row, (name, level)), reverse=True)
        return next(filter(None, (completed({**row, name: level}) for level in best_first)), None)

    for row in rows:
        note(row)
    while wanted:
        first = next(iter(wanted))
        row = completed(dict(first))
        if row is None:
            del wanted[first]
        else:
            rows.append(row)
            note(row)
    return rows
