"""The command ``seq2seq-lab compare``."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Compare runs: group those that differ only in seed, and show mean ± standard deviation, differences"
        " over seeds, curves, translations and attention. Prints a table and writes a report."
    )
    parser.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="a folder that contains runs, such as outputs or the folder of one sweep",
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
        help="reference curves, such as published losses: a CSV file with a column `epoch` and one column per curve,"
        " headed by its name; may be repeated",
    )
    parser.add_argument(
        "--reference-metric",
        default="train/loss",
        metavar="NAME",
        help="the metric of the reference curves (default: train/loss)",
    )
    parser.add_argument(
        "--significance",
        action="store_true",
        help="compare all pairs of groups over the sentences of the test part too: a paired bootstrap, which draws the"
        " components of the split; without it, only two groups alone",
    )
    parser.add_argument(
        "--format",
        choices=("latex", "markdown", "csv"),
        help="print tables for a paper in this format, with seeds, intervals and corrected p-values",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="the output folder (default: comparison in the folder of the runs; if only some of its runs are compared,"
        " comparison~ and a code for them)",
    )


def main(args: argparse.Namespace) -> int:
    """Run the command; returns its exit status."""
    from seq2seq_lab.compare import compare  # imported here, so that `--help` is fast
    from seq2seq_lab.runs.reference import read_curves

    references = [each for path in args.references for each in read_curves(path, args.reference_metric)]
    compare(
        args.paths,
        metrics=args.metrics,
        references=references,
        significance=args.significance,
        output=args.output,
        form=args.format,
    )
    return 0
