"""The command ``seq2seq-lab runs tag``."""

import argparse

from seq2seq_lab.commands.chosen import add_chosen
from seq2seq_lab.errors import counted
from seq2seq_lab.runs.annotations import (
    check_first,
    parse_tags,
    read_annotations,
    with_tags,
    write_annotations,
)
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
    """Run the command; returns its exit status."""
    check_first(args.tags, "the tag")
    tags = parse_tags(args.tags)
    selection = require_runs(select(args.chosen))
    changed = 0
    for run in selection.runs:
        before = read_annotations(run.folder)
        after = with_tags(before, **({"remove": tags} if args.remove else {"add": tags}))
        if after != before:
            write_annotations(run.folder, after)
            changed += 1
    others = len(selection.runs) - changed
    rest = f"; {counted(others, 'run')} as before" if others else ""
    print(
        f"{'no longer tagged' if args.remove else 'tagged'} {', '.join(tags)}: {counted(changed, 'run')}{rest}"
    )
    return 0
