"""The command ``seq2seq-lab runs note``."""

import argparse
from dataclasses import replace

from seq2seq_lab.commands.annotate import annotate
from seq2seq_lab.commands.chosen import add_chosen
from seq2seq_lab.errors import counted
from seq2seq_lab.runs.annotations import check_first
from seq2seq_lab.runs.select import require_runs, select


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Writes a note into the folders of runs, which `runs`, `compare` and its report show. It is no part of what "
        "the run is, and replaces the one before it."
    )
    parser.add_argument("text", metavar="TEXT", help='the note; "" removes it')
    add_chosen(parser, required=True)


def main(args: argparse.Namespace) -> int:
    """Run the command; returns its exit status: 1 if a run could not be noted."""
    check_first(args.text, "the note")
    note = args.text.strip()
    runs = require_runs(select(args.chosen)).runs
    _, failed = annotate(runs, lambda before: replace(before, note=note))
    print(f"{'noted' if note else 'note removed'}: {counted(len(runs) - failed, 'run')}")
    return int(bool(failed))
