"""The command ``seq2seq-lab runs``."""

import argparse
import shutil
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seq2seq_lab.errors import printable
from seq2seq_lab.launch.startup import write_control
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.lock import is_locked
from seq2seq_lab.runs.run import Run

_EVERY = 2.0  # seconds between two looks of --watch
_FEW = 5  # reasons of failures
_NARROW = 40  # characters that the settings have at least


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Shows the runs below some folders: status, epochs, time to go, the last value of the main measure, age, and "
        "what sets them apart."
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
    """The table, and a line that counts the runs by status.

    Args:
        height: the most lines of the table; the newest runs are shown.
    """
    from seq2seq_lab.compare.comparison import read_runs
    from seq2seq_lab.compare.grouping import group
    from seq2seq_lab.compare.views.terminal import aligned
    from seq2seq_lab.launch.sweep import under_way
    from seq2seq_lab.runs.find import common_root

    runs, notes = read_runs(paths, common_root(paths))
    groups, _ = group(runs)
    labels = {run: each.label for each in groups for run in (*each.runs, *each.others)}
    now = time.time()
    newest = sorted(runs, key=changed)[-height:] if height else runs
    shown = [run for run in runs if run in newest]
    rows = [("status", "epoch", "to go", "measure", "age", "seed", "settings")]
    for run in shown:
        summary, status = run.summary(), activity(run)
        metric = (run.config().get("monitor") or {}).get("metric", "train/loss")
        value = run.last(metric)
        rows.append(
            (
                status,
                f"{run.epochs}/{run.config().get('trainer', {}).get('max_epochs', '?')}",
                _to_go(run.epochs, summary, run.config()) if status == "running" else "",
                f"{metric} {value:.4g}" if value is not None else "",
                duration(now - changed(run)),
                str(run.seed),
                labels.get(run, "a repeated run"),
            )
        )
    width = shutil.get_terminal_size((120, 24)).columns
    lines = [line if len(line) <= width else f"{line[: max(width, _NARROW) - 1]}…" for line in aligned(rows)]
    states = Counter(activity(run) for run in runs)
    count = f"{len(runs)} runs: {', '.join(f'{number} {status}' for status, number in states.most_common())}"
    failed = [run for run in runs if activity(run) == "failed"]
    reasons = [f"  {run.name}: {run.summary().get('stopped') or 'see its output'}" for run in failed[:_FEW]]
    reasons += [f"  and {len(failed) - _FEW} more"] if len(failed) > _FEW else []
    reasons += [f"a sweep is under way: {progress}" for path in paths for progress in under_way(path)]
    reasons += [f"Note: {note}" for note in notes]
    return printable("\n".join([*lines, "", count, *reasons]))


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


def duration(seconds: float) -> str:
    """A time in one unit, such as 40 s, 12 min, 3 h or 5 d."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"
