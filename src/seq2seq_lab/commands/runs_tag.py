"""The command ``seq2seq-lab runs tag``."""

import argparse

from seq2seq_lab.commands.annotate import annotate
from seq2seq_lab.commands.chosen import add_chosen
from seq2seq_lab.errors import counted
from seq2seq_lab.runs.annotations import check_first, parse_tags, with_tags
from seq2seq_lab.runs.select import require_runs, select


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Adds tags to runs, or removes them: `runs`, `compare` and its report show them, and tag=TAG chooses by them. "
        "They are no part of what the run is."
    )
    parser.add_argument("tags", metavar="TAG[,TAG]")
    add_chosen(parser, required=True)
    parser.add_argument("--remove", action="store_true", help="remove these tags")


def main(args: argparse.Namespace) -> int:
    """Run the command; returns its exit status: 1 if a run could not be tagged."""
    check_first(args.tags, "the tag")
    tags = parse_tags(args.tags)
    change = {"remove": tags} if args.remove else {"add": tags}
    runs = require_runs(select(args.chosen)).runs
    changed, failed = annotate(runs, lambda before: with_tags(before, **change))
    others = len(runs) - changed - failed
    rest = f"; {counted(others, 'run')} as before" if others else ""
    print(
        f"{'no longer tagged' if args.remove else 'tagged'} {', '.join(tags)}: {counted(changed, 'run')}{rest}"
    )
    return int(bool(failed))
