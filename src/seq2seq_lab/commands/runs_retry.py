"""The command ``seq2seq-lab runs retry``."""

import argparse
import sys

from seq2seq_lab.commands.chosen import add_chosen
from seq2seq_lab.commands.overrides import add_trust
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs.facts import KILLED, activity
from seq2seq_lab.runs.filters import split
from seq2seq_lab.runs.select import require_runs, select

_FAILED = ("failed", KILLED)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Trains again what failed or was killed, one run after the other, each in its folder: from its last "
        "checkpoint, with the settings in its config.yaml. With status=interrupted also those that were interrupted."
    )
    add_chosen(parser)
    add_trust(parser)
    parser.add_argument("-v", "--verbose", action="store_true", help="show how the updates of a run are made")


def main(args: argparse.Namespace) -> int:
    """Run the command; returns its exit status: 1 if a run failed again."""
    selection = require_runs(select(args.chosen))
    wanted = (
        ("interrupted", *_FAILED) if any(each.key == "status" for each in split(args.chosen)[1]) else _FAILED
    )
    chosen = [run for run in selection.runs if activity(run) in wanted]
    if not chosen:
        print(f"none of {len(selection.runs)} runs failed or was killed")
        return 0
    from seq2seq_lab.launch.config_file import launch_file

    failed = []
    for number, run in enumerate(chosen, start=1):
        print(f"{number} of {len(chosen)}: {run.folder}", flush=True)
        try:
            launch_file(run.folder, [], command=args.command_line, trusted=args.trust, verbose=args.verbose)
        except UserError as error:
            failed.append(run)
            print(error, file=sys.stderr)
    print(f"{len(chosen) - len(failed)} of {len(chosen)} runs are trained; {len(failed)} failed again")
    return int(bool(failed))
