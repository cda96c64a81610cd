"""The command ``seq2seq-lab compare``."""

import argparse
from pathlib import Path

from seq2seq_lab.commands.chosen import add_chosen
from seq2seq_lab.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Compare runs: group those that differ only in seed, and show mean ± standard deviation, differences"
        " over seeds, curves, translations and attention. Prints a table and writes a report."
    )
    add_chosen(parser, required=True)
    parser.add_argument(
        "--metric",
        action="append",
        dest="metrics",
        metavar="NAME",
        help="a metric to show, such as val/bleu or 'val/*'; may be repeated",
    )
    _add_presentation(parser)
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


def _add_presentation(parser: argparse.ArgumentParser) -> None:
    """Declare what says how groups are shown, and what each is compared with."""
    parser.add_argument(
        "--baseline",
        metavar="GROUP",
        help="the group that all others are compared with, by its label or by filters, such as "
        "'model=attention, ratio=0.5'; without it, groups that differ in one setting are. Over several tasks, the "
        "reference method",
    )
    parser.add_argument(
        "--group",
        action="append",
        dest="group",
        default=[],
        metavar="'GROUP: LABEL'",
        help="show a group with a label of your own, and a colour of your own if one follows, as in "
        "'forcing=full: teacher forcing #0072B2'; may be repeated, and this is their order",
    )
    parser.add_argument(
        "--groups",
        type=Path,
        metavar="FILE.yaml",
        help="labels, order and colours of groups, and the baseline, from a file; see docs/runs.md",
    )
    parser.add_argument(
        "--checkpoints",
        metavar="best,last",
        help="compare these checkpoints of each run with each other, as far as `evaluate` or training evaluated them",
    )


def main(args: argparse.Namespace) -> int:
    """Run the command; returns its exit status."""
    from seq2seq_lab.compare import compare  # imported here, so that `--help` is fast
    from seq2seq_lab.compare.presentation import Presentation, parse_group, read_presentation
    from seq2seq_lab.evaluation.measures import TRAINING_LOSS
    from seq2seq_lab.runs.at_checkpoint import parse_checkpoints
    from seq2seq_lab.runs.reference import read_curves

    if args.reference_metric and not args.references:
        raise UserError(
            "--reference-metric: the metric of the curves of --reference FILE, which is not given"
        )
    presentation = read_presentation(args.groups) if args.groups else Presentation()
    presentation = Presentation(
        [*map(parse_group, args.group), *presentation.groups],
        presentation.baseline if args.baseline is None else args.baseline,
    )
    of_references = args.reference_metric or TRAINING_LOSS
    references = [each for path in args.references for each in read_curves(path, of_references)]
    compare(
        args.chosen,
        metrics=args.metrics,
        references=references,
        significance=args.significance,
        output=args.output,
        presentation=presentation,
        checkpoints=parse_checkpoints(args.checkpoints),
        form=args.format,
    )
    return 0
