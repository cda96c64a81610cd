"""Where a comparison is written, so that it replaces no other one, and no file of the user."""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from seq2seq_lab.errors import UserError
from seq2seq_lab.runs import find, layout
from seq2seq_lab.runs.foreign import check_contents, is_inside
from seq2seq_lab.runs.run import Run

SUMMARY, PAIRS = "summary.csv", "pairs.csv"
# The tables of a comparison, and how their first lines begin.
TABLES = {
    layout.RESULTS: "run,group,",
    SUMMARY: "group,",
    PAIRS: "first,second,metric,",
    layout.TASKS: "metric,tasks,method,",
}


def default_output(root: Path, runs: Sequence[Run], *, given: int) -> Path:
    """`comparison` where all runs below a folder are compared, else a name for these runs, with any seeds.

    So a sweep that adds seeds to some runs does not replace the comparison of all. Runs of several output folders are
    compared in the first one: what is above these may be anything, and is not looked through.

    Args:
        root: the folder that was given, or what several have in common.
        runs: those that are compared.
        given: the number of folders that were given.
    """
    compared = [run.folder.resolve() for run in runs]
    home = _home(compared[0])
    inside = given < 2 or root.resolve().is_relative_to(home)
    if inside and set(compared).issuperset(find.find([root])[0]):
        return root / layout.COMPARISON
    names = sorted({os.path.relpath(folder.parent, root.resolve()) for folder in compared})
    code = hashlib.sha256(json.dumps(names).encode()).hexdigest()[:8]
    return (root if inside else home) / f"{layout.COMPARISON}~{code}"


def _home(folder: Path) -> Path:
    """The output folder that a run is in; where none is known, as of copied runs, two folders above it."""
    return next(
        (above for above in folder.parents if (above / layout.NOTES).is_dir()), [*folder.parents][:2][-1]
    )


def checked(output: Path, tables: Iterable[str], *, within: Path | None = None) -> Path:
    """The same folder, if a comparison can be written there.

    Args:
        output: the folder.
        tables: the names of those that will be written.
        within: the folder that it must be in, where nobody named it.

    Raises:
        UserError: it cannot be written, or has what is of no comparison and would be replaced.
    """
    with find.explain_unreachable(output):
        if within is not None and not is_inside(output, within):
            raise UserError(f"{output}: it is a link out of {within}; give --output a folder")
        check_contents(output)
        if not (output / layout.REPORT).exists() and (own := _own_table(output, tables)):
            raise UserError(
                f"{own}: it is of no comparison, and would be replaced; give --output another folder"
            )
        if (output / layout.CONFIG).exists():
            raise UserError(f"{output}: this is the folder of a run; give --output another folder")
        if output.exists() and not output.is_dir():
            raise UserError(
                f"{output}: this is a file; give --output a folder, or a path that does not exist"
            )
    return output


def _own_table(output: Path, tables: Iterable[str]) -> Path | None:
    """A table in a folder that has a name of ours and is not ours."""
    for name in tables:
        columns = TABLES[name]
        with suppress(OSError, ValueError):
            with (output / name).open(encoding="utf-8") as file:
                head = file.read(len(columns))
            if head not in ("", columns):
                return output / name
    return None
