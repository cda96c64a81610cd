"""The runs below some folders that were chosen, and notes on what cannot be read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seq2seq_lab.errors import UserError
from seq2seq_lab.runs import find, layout
from seq2seq_lab.runs.filters import Filter, matching, outputs, split
from seq2seq_lab.runs.run import Run


@dataclass(frozen=True)
class Selection:
    """Runs that were chosen.

    Attributes:
        root: the folder that their names are relative to.
        runs: those that match, in the natural order of their names.
        every: all that could be read.
        notes: on what could not, and on those that were chosen.
    """

    root: Path
    runs: Sequence[Run]
    every: Sequence[Run]
    notes: Sequence[str]


def select(arguments: Sequence[str | Path]) -> Selection:
    """The runs of paths and filters, as they are typed for a command; without a path, those of the output folder.

    Raises:
        UserError: a path does not exist, or no run has the key of a filter.
    """
    paths, filters = split(arguments)
    return select_below(paths or [outputs()], filters)


def select_below(paths: Sequence[Path], filters: Sequence[Filter] = ()) -> Selection:
    """The runs below some folders for which all filters hold; errors as `select`."""
    root = find.common_root(paths)
    folders, notes = find.find(paths)
    read = []
    for folder in folders:
        run = Run(folder, name=folder.relative_to(root).as_posix())
        try:
            run.config()
        except UserError as error:
            notes.append(f"{error}; skipped")
        else:
            read.append(run)
    read.sort(key=lambda run: find.natural(run.name))
    chosen = matching(read, filters)
    notes += [f"{run.name}: {note}" for run in chosen for note in run.notes]
    return Selection(root, chosen, read, notes)


def require_runs(selection: Selection) -> Selection:
    """The same selection.

    Raises:
        UserError: it has no run.
    """
    if not selection.every:
        raise UserError(
            f"{'; '.join(selection.notes[-3:])}. A run is a folder with a {layout.CONFIG}, written by `seq2seq-lab"
            " train`; give a folder that contains runs"
        )
    if not selection.runs:
        raise UserError(f"none of {len(selection.every)} runs matches; `seq2seq-lab runs` lists all")
    return selection
