"""The command ``seq2seq-lab compare``."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Compare runs: group those that differ only in seed, and show mean ± standard deviation, differences"
        " paired by seed, curves, translations and attention. Prints a table and writes a report."
    )
    parser.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="a folder under which runs lie: one sweep, or all of outputs",
    )
    parser.add_argument(
        "--metric",
        action="append",
        dest="metrics",
        metavar="NAME",
        help="a metric to show, such as val/bleu or 'val/*'; may be repeated (default: those that say most)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="the folder to write (default: comparison/ beside the runs)",
    )


def main(args: argparse.Namespace) -> int:
    """Run the command; give its exit status."""
    from seq2seq_lab.compare import compare  # late, so that the command line starts at once

    compare(args.paths, metrics=args.metrics, output=args.output)
    return 0
