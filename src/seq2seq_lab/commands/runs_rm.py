"""The command ``seq2seq-lab runs rm``."""

import argparse
import os
import sys
from pathlib import Path

from seq2seq_lab.commands.chosen import add_chosen
from seq2seq_lab.errors import UserError, refusal
from seq2seq_lab.runs.facts import activity
from seq2seq_lab.runs.filters import outputs, split
from seq2seq_lab.runs.remove import TRAINED, remove_run, size
from seq2seq_lab.runs.run import Run
from seq2seq_lab.runs.select import require_runs, select

_FEW = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Removes the folders of runs, after it has shown them and asked. A run that is being trained stays."
    )
    add_chosen(parser, required=True)
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def main(args: argparse.Namespace) -> int:
    """Run the command; returns its exit status: 1 if a run could not be removed, or the answer was no."""
    for path in split(args.chosen)[0] or [outputs()]:
        if (target := path.resolve()) != Path(os.path.normpath(Path.cwd() / path)):
            raise UserError(f"runs rm: {path} leads through a link; give {target} itself")
    selection = require_runs(select(args.chosen))
    running = [run for run in selection.runs if activity(run) == "running"]
    chosen = [run for run in selection.runs if run not in running]
    for run in running:
        print(f"{run.name}: {TRAINED}", file=sys.stderr)
    if not chosen:
        return 1
    for run in chosen[:_FEW]:
        print(f"  {activity(run):12} {run.epochs:>5} epochs  {run.folder}")
    if len(chosen) > _FEW:
        print(f"  and {len(chosen) - _FEW} more")
    what = f"{len(chosen)} run{'s' if len(chosen) > 1 else ''} ({_megabytes(chosen)})"
    if not args.yes and not _agreed(what):
        print("nothing is removed")
        return 1
    failed = 0
    for run in chosen:
        try:
            remove_run(run, selection.root)
        except (UserError, OSError) as error:  # such as the folder of somebody else
            failed += 1
            print(refusal(error, run.name), file=sys.stderr)
    print(f"{len(chosen) - failed} removed")
    return int(bool(failed or running))


def _agreed(what: str) -> bool:
    """Whether the user says yes.

    Raises:
        UserError: nobody can be asked.
    """
    if not sys.stdin.isatty():
        raise UserError(f"runs rm: {what} would be removed; there is no terminal to ask on, so give --yes")
    try:
        return input(f"remove {what}? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _megabytes(runs: list[Run]) -> str:
    return f"{sum(map(size, runs)) / 2**20:,.1f} MiB"
