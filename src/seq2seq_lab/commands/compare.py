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
        help="a folder that contains runs: one sweep, or all of outputs",
    )
    parser.add_argument(
        "--metric",
        action="append",
        dest="metrics",
        metavar="NAME",
        help="a metric to show, such as val/bleu or 'val/*'; may be repeated",
    )
    parser.add_argument(
        "--reference",
        action="append",
        dest="references",
        type=Path,
        metavar="FILE.csv",
        default=[],
        help="curves to show beside the runs, such as published ones: a column `epoch`, and one for each curve with"
        " its name as the heading; may be repeated",
    )
    parser.add_argument(
        "--reference-metric",
        default="train/loss",
        metavar="NAME",
        help="the metric that the references are values of (default: train/loss)",
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
    from seq2seq_lab.runs.reference import read_curves

    references = [each for path in args.references for each in read_curves(path, args.reference_metric)]
    compare(args.paths, metrics=args.metrics, references=references, output=args.output)
    return 0
