"""The command ``seq2seq-lab runs retry``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from seq2seq_lab.commands.chosen import add_chosen
from seq2seq_lab.commands.overrides import add_trust
from seq2seq_lab.errors import UserError, first_line
from seq2seq_lab.runs.facts import KILLED, activity
from seq2seq_lab.runs.filters import split
from seq2seq_lab.runs.run import Run
from seq2seq_lab.runs.select import require_runs, select
from seq2seq_lab.terminal import ignore_closed

_FAILED = ("failed", KILLED)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Trains again what failed or was killed, one run after the other, each in its folder: from its last "
        "checkpoint, with the settings in its config.yaml. With status=interrupted also those that were interrupted."
    )
    add_chosen(parser)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="KEY=VALUE",
        help="change a setting that does not make it another run, such as threads=1; may be repeated",
    )
    add_trust(parser)
    parser.add_argument("-v", "--verbose", action="store_true", help="show how the updates of a run are made")


def main(args: argparse.Namespace) -> int:
    """Run the command; returns its exit status: 1 if a run failed again."""
    for override in args.overrides:
        if override.partition("=")[0] in ("output_dir", "name"):
            raise UserError(
                f"--set {override}: a run is trained again in its folder; `train --config RUN {override}` trains it "
                "elsewhere"
            )
    try:
        selection = require_runs(select(args.chosen))
    except UserError as error:
        filters = split(args.chosen)[1]
        more = "; KEY=VALUE is a filter here, and --set KEY=VALUE changes a setting" if filters else ""
        raise UserError(f"{error}{more}") from None
    wanted = (
        ("interrupted", *_FAILED) if any(each.key == "status" for each in split(args.chosen)[1]) else _FAILED
    )
    chosen = [run for run in selection.runs if activity(run) in wanted]
    if not chosen:
        print(f"none of {len(selection.runs)} runs failed or was killed")
        return 0
    ignore_closed()
    trained, errors = _retry(chosen, args)
    interrupted = len(chosen) - trained - len(errors)
    more = f"; {interrupted} stopped before their end, as trainer.max_time says" if interrupted else ""
    print(
        f"{trained} of {len(chosen)} runs are trained; {len(errors)} failed again{more}",
        flush=True,
    )
    if bug := next((each for each in errors if not isinstance(each, UserError)), None):
        raise bug
    return int(bool(errors))


def _retry(chosen: Sequence[Run], args: argparse.Namespace) -> tuple[int, list[Exception]]:
    """Train runs, and tell of the end of all of them; how many are trained, and the errors of those that failed."""
    from seq2seq_lab.launch.config_file import train_file
    from seq2seq_lab.launch.notify import announced, for_all
    from seq2seq_lab.launch.register import FAILED, FINISHED, Entry, Register

    trained, errors = 0, list[Exception]()
    register = Register(Path())
    with announced(args.command_line, register):
        for number, run in enumerate(chosen, start=1):
            print(f"{number} of {len(chosen)}: {run.folder}", flush=True)
            begun = len(register.alone)
            try:
                result = train_file(
                    run.folder,
                    args.overrides,
                    register,
                    in_place=True,
                    command=args.command_line,
                    trusted=args.trust,
                    verbose=args.verbose,
                )
                trained += result == FINISHED
            except Exception as error:  # also a bug, whose traceback follows when all were tried
                errors.append(error)
                known = isinstance(error, UserError)
                why = str(error) if known else f"{run.folder}: {type(error).__name__}: {first_line(error)}"
                print(why, file=sys.stderr)
                if len(register.alone) == begun:  # refused before it could start
                    folder = str(run.folder.absolute())
                    register.alone.append(Entry(folder, False, FAILED, why, True, for_all()))
    return trained, errors
