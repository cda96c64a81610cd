"""The command ``seq2seq-lab runs``."""

import argparse
import math
import shlex
import shutil
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seq2seq_lab.errors import counted, printable
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.lock import is_locked
from seq2seq_lab.runs.run import Run
from seq2seq_lab.terminal import duration, write_control

_EVERY = 2.0  # seconds between two looks of --watch
_FEW = 5  # reasons of failures
_HEADS = ("status", "epoch", "to go", "measure", "age", "seed", "run")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Shows the runs below some folders: what sets them apart, then for each run its status, epochs, time to go, "
        "the last value of the main measure, age, and its path, for translate, evaluate and page."
    )
    parser.add_argument(
        "paths",
        nargs="*",
        type=Path,
        default=[Path("outputs")],
        metavar="PATH",
        help="folders (default: outputs)",
    )
    parser.add_argument("--watch", action="store_true", help="look again every two seconds, until Ctrl-C")


def main(args: argparse.Namespace) -> int:
    """Run the command; returns its exit status."""
    if not args.watch:
        print(table(args.paths))
        return 0
    while True:
        text = table(args.paths, height=shutil.get_terminal_size().lines - 2)
        if sys.stdout.isatty():
            write_control("\x1b[H\x1b[2J")
        print(text, flush=True)
        time.sleep(_EVERY)


def table(paths: Sequence[Path], *, height: int | None = None) -> str:
    """The runs below what sets them apart, and a line that counts them by status.

    Args:
        height: the most lines of the table on a terminal; the newest runs are shown.
    """
    from seq2seq_lab.compare.comparison import read_runs
    from seq2seq_lab.compare.grouping import group
    from seq2seq_lab.launch.register import under_way
    from seq2seq_lab.runs.find import common_root

    runs, notes = read_runs(paths, common_root(paths))
    groups, _ = group(runs)
    together = {each.label: [*each.runs, *each.others] for each in groups}
    known = {run for several in together.values() for run in several}
    together["repeated runs, which are not compared"] = [run for run in runs if run not in known]
    newest = sorted(runs, key=changed)
    lines = _lines(together, newest)
    while height and len(newest) > 1 and (more := _rows_on_screen(lines) - height) > 0:
        newest = newest[min(more, len(newest) - 1) :]
        lines = _lines(together, newest)
    states = Counter(activity(run) for run in runs)
    count = f"{counted(len(runs), 'run')}: {', '.join(f'{number} {status}' for status, number in states.most_common())}"
    failed = [run for run in runs if activity(run) == "failed"]
    reasons = [f"  {run.name}: {run.summary().get('stopped') or 'see its output'}" for run in failed[:_FEW]]
    reasons += [f"  and {len(failed) - _FEW} more"] if len(failed) > _FEW else []
    reasons += [f"a sweep is under way: {progress}" for path in paths for progress in under_way(path)]
    reasons += [f"Note: {note}" for note in notes]
    return printable("\n".join([*lines, "", count, *reasons]))


def _lines(together: Mapping[str, Sequence[Run]], shown: Sequence[Run]) -> list[str]:
    """What sets apart the runs of each group, then a line for each of them; only of those that are shown."""
    from seq2seq_lab.compare.views.terminal import aligned, wrapped

    rows = [_HEADS, *(_row(run) for runs in together.values() for run in runs if run in shown)]
    unused = [column for column, cells in enumerate(zip(*rows, strict=True)) if not any(cells[1:])]
    kept = [[cell for column, cell in enumerate(row) if column not in unused] for row in rows]
    head, *rest = (f"  {line}" for line in aligned(kept))
    lines = [head]
    for label, runs in together.items():
        if number := sum(run in shown for run in runs):
            lines += [*wrapped(label).splitlines(), *rest[:number]]
            rest = rest[number:]
    return lines


def _row(run: Run) -> tuple[str, ...]:
    summary, status = run.summary(), activity(run)
    metric = (run.config().get("monitor") or {}).get("metric", "train/loss")
    value = run.last(metric)
    return (
        status,
        f"{run.epochs}/{run.config().get('trainer', {}).get('max_epochs', '?')}",
        _to_go(run.epochs, summary, run.config()) if status == "running" else "",
        f"{metric} {value:.4g}" if value is not None else "",
        duration(time.time() - changed(run)),
        "" if run.folder.name == f"seed-{run.seed}" else str(run.seed),
        typed(run.folder),
    )


def typed(folder: Path) -> str:
    """The path of a run as one would type it for another command: from the working folder, if it is below it."""
    absolute, here = folder.absolute(), Path.cwd()
    return shlex.quote(str(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute))


def _rows_on_screen(lines: Sequence[str]) -> int:
    width = shutil.get_terminal_size((120, 24)).columns
    return sum(max(1, math.ceil(len(line) / width)) for line in lines)


def activity(run: Run) -> str:
    """The status of a run; `killed` if it says that it is running and no process trains it."""
    if run.status == "running" and not is_locked(run.folder / layout.LOCK):
        return "killed"
    return run.status


def changed(run: Run) -> float:
    """When the summary or configuration of a run was last written, in seconds since 1970."""
    paths = (run.folder / layout.SUMMARY, run.folder / layout.CONFIG)
    return max((path.stat().st_mtime for path in paths if path.exists()), default=0.0)


def _to_go(epochs: int, summary: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    wanted, seconds = config.get("trainer", {}).get("max_epochs"), summary.get("seconds")
    if not epochs or not isinstance(wanted, int) or not isinstance(seconds, int | float):
        return ""
    return duration(seconds / epochs * max(0, wanted - epochs))
