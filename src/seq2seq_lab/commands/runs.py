"""The command ``seq2seq-lab runs``."""

import argparse
import math
import shutil
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import sleep
from typing import Any

from seq2seq_lab.commands.chosen import add_chosen
from seq2seq_lab.errors import UserError, counted, printable
from seq2seq_lab.runs.annotations import read_annotations
from seq2seq_lab.runs.facts import (
    OF_ALL,
    activity,
    better_of,
    changed,
    epoch_seconds,
    max_epochs,
    monitored,
    seconds_to_go,
    values,
)
from seq2seq_lab.runs.filters import check_key, outputs, split
from seq2seq_lab.runs.run import Run
from seq2seq_lab.runs.select import Selection, require_runs, select
from seq2seq_lab.terminal import duration, typed, write_control

_EVERY = 2.0  # seconds between two looks of --watch
_FEW = 5  # reasons of failures
_HEADS = ("status", "epoch", "speed", "to go", "measure", "age", "seed", "tags", "note", "run")
_LONGEST = 40  # characters of a note in a list


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Shows the runs below some folders: what sets them apart, then for each run its status, epochs, speed, time to "
        "go, the last value of the main measure, age, and its path, for translate, evaluate and page. `runs rm`, `runs "
        "retry`, `runs note` and `runs tag` change runs that are chosen in the same way."
    )
    add_chosen(parser)
    parser.add_argument("--watch", action="store_true", help="look again every two seconds, until Ctrl-C")
    parser.add_argument(
        "--columns",
        metavar="KEY[,KEY]",
        help="show a list with these columns instead, such as status,lr,val/bleu; a KEY is that of a filter",
    )
    parser.add_argument(
        "--sort", metavar="KEY", help="show a list in this order: best first, else from the lowest"
    )
    parser.add_argument("--reverse", action="store_true", help="reverse the order of --sort")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON, described in docs/runs.md")
    form.add_argument("--csv", action="store_true", help="print CSV, a row a run")


def main(args: argparse.Namespace) -> int:
    """Run the command; returns its exit status."""
    if args.reverse and not args.sort:
        raise UserError("--reverse: it reverses the order of --sort KEY, which is not given")
    if args.watch and (args.json or args.csv):
        raise UserError("--watch shows a table; leave out --json and --csv")
    if args.columns and (args.json or args.csv):
        raise UserError("--columns: those of the table; --json and --csv have all")
    if args.json or args.csv:
        from seq2seq_lab.compare import listing

        selection = _sorted(select(args.chosen), args.sort, reverse=args.reverse)
        print(listing.as_json(selection) if args.json else listing.as_csv(selection).rstrip("\n"))
        return 0
    if not args.watch:
        print(_shown(args))
        return 0
    while True:
        try:
            text = _shown(args, height=shutil.get_terminal_size().lines - 2)
        except (UserError, OSError) as error:  # runs come and go, and may be removed while they are read
            text = str(error)
        if sys.stdout.isatty():
            write_control("\x1b[H\x1b[2J")
        print(text, flush=True)
        sleep(_EVERY)


def _shown(args: argparse.Namespace, *, height: int | None = None) -> str:
    if args.columns is not None or args.sort is not None:
        selection = _sorted(require_runs(select(args.chosen)), args.sort, reverse=args.reverse)
        columns = [key.strip() for key in args.columns.split(",")] if args.columns is not None else None
        return flat(selection, columns, height=height)
    return table(args.chosen, height=height)


def table(chosen: Sequence[str | Path], *, height: int | None = None) -> str:
    """The runs below what sets them apart, and a line that counts them by status.

    Args:
        chosen: folders and filters.
        height: the most lines of the table on a terminal; the newest runs are shown.
    """
    from seq2seq_lab.compare.grouping import group

    selection = require_runs(select(chosen))
    groups, _ = group(selection.runs)
    together = {each.label: [*each.runs, *each.others] for each in groups}
    known = {run for several in together.values() for run in several}
    together["repeated runs, which are not compared"] = [run for run in selection.runs if run not in known]
    newest = sorted(selection.runs, key=changed)
    lines = _lines(together, newest)
    while height and len(newest) > 1 and (more := _rows_on_screen(lines) - height) > 0:
        newest = newest[min(more, len(newest) - 1) :]
        lines = _lines(together, newest)
    return printable("\n".join([*lines, "", *_below(selection, chosen)]))


def flat(selection: Selection, columns: Sequence[str] | None, *, height: int | None = None) -> str:
    """The runs as one list, in their order.

    Args:
        columns: the keys to show beside the path; by default, what `table` shows.
        height: the most lines of the list on a terminal.
    """
    from seq2seq_lab.compare.views.terminal import aligned

    runs = selection.runs[: max(1, height - 4)] if height else selection.runs
    for key in columns or ():
        check_key(key, selection.every, f"--columns {key}")
    rows = [_row(run) for run in runs]
    if columns:
        rows = [
            (
                *(_cell([run.name] if key == "name" else values(run, key)) for key in columns),
                typed(run.folder),
            )
            for run in runs
        ]
    lines = aligned(_used([(*columns, "run") if columns else _HEADS, *rows]))
    rest = len(selection.runs) - len(runs)
    more = [f"and {rest} more"] if rest else []
    return printable("\n".join([*lines, *more, "", _count(selection), *_notes(selection)]))


def _sorted(selection: Selection, key: str | None, *, reverse: bool) -> Selection:
    """The runs in the order of a key: of a metric the best first; those without a number are always the last."""
    if key is None:
        return selection
    check_key(key, selection.every, f"--sort {key}")
    first = {run: found[0] for run in selection.runs if (found := values(run, key)) and not _is_nan(found[0])}
    metric = key.removeprefix("best ")
    falling = any(better_of(run, metric) == "higher" for run in first) and key not in OF_ALL
    known = sorted(first, key=lambda run: _order(first[run]), reverse=falling != reverse)
    without = [run for run in selection.runs if run not in first]
    return Selection(selection.root, [*known, *without], selection.every, selection.notes)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _order(value: Any) -> tuple[int, float, list[Any]]:
    from seq2seq_lab.runs.find import natural

    if isinstance(value, int | float):
        return (0, float(value), [])
    return (1, 0.0, natural(str(value)))


def _below(selection: Selection, chosen: Sequence[str | Path]) -> list[str]:
    """What stands below the table: counts, why runs failed, sweeps that are under way, and notes."""
    from seq2seq_lab.launch.register import under_way

    failed = [run for run in selection.runs if activity(run) == "failed"]
    lines = [f"  {run.name}: {run.summary().get('stopped') or 'see its output'}" for run in failed[:_FEW]]
    lines += [f"  and {len(failed) - _FEW} more"] if len(failed) > _FEW else []
    paths, _ = split(chosen)
    lines += [
        f"a sweep is under way: {progress}" for path in paths or [outputs()] for progress in under_way(path)
    ]
    return [_count(selection), *lines, *_notes(selection)]


def _count(selection: Selection) -> str:
    states = Counter(activity(run) for run in selection.runs)
    of = f" of {len(selection.every)}" if len(selection.every) > len(selection.runs) else ""
    counts = ", ".join(f"{number} {status}" for status, number in states.most_common())
    number = f"{len(selection.runs)}{of} runs" if of else counted(len(selection.runs), "run")
    return f"{number}: {counts}"


def _notes(selection: Selection) -> list[str]:
    return [f"Note: {note}" for note in selection.notes]


def _lines(together: Mapping[str, Sequence[Run]], shown: Sequence[Run]) -> list[str]:
    """What sets apart the runs of each group, then a line for each of them; only of those that are shown."""
    from seq2seq_lab.compare.views.terminal import aligned, wrapped

    visible = set(shown)
    rows = [_HEADS, *(_row(run) for runs in together.values() for run in runs if run in visible)]
    head, *rest = (f"  {line}" for line in aligned(_used(rows)))
    lines = [head]
    for label, runs in together.items():
        if number := sum(run in visible for run in runs):
            lines += [*wrapped(label).splitlines(), *rest[:number]]
            rest = rest[number:]
    return lines


def _used(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """The rows below their headings, without columns that are empty."""
    kept = [column for column, cells in enumerate(zip(*rows, strict=True)) if any(cells[1:])]
    return [[row[column] for column in kept] for row in rows]


def _row(run: Run) -> tuple[str, ...]:
    status, metric, annotations = activity(run), monitored(run), read_annotations(run.folder)
    value, each, to_go = run.last(metric), epoch_seconds(run), seconds_to_go(run)
    note = " ".join(annotations.note.split())
    return (
        status,
        f"{run.epochs}/{max_epochs(run) or '?'}",
        f"{each:.3g} s/epoch" if status == "running" and each is not None else "",
        "" if to_go is None else duration(to_go),
        f"{metric} {value:.4g}" if value is not None else "",
        duration(time.time() - changed(run)),
        "" if run.folder.name == f"seed-{run.seed}" else str(run.seed),
        ", ".join(annotations.tags),
        note if len(note) <= _LONGEST else f"{note[: _LONGEST - 1]}…",
        typed(run.folder),
    )


def _cell(found: Sequence[Any]) -> str:
    from seq2seq_lab.compare.naming import show

    return ", ".join(f"{each:.4g}" if isinstance(each, float) else show(each) for each in found)


def _rows_on_screen(lines: Sequence[str]) -> int:
    width = shutil.get_terminal_size((120, 24)).columns
    return sum(max(1, math.ceil(len(line) / width)) for line in lines)
