"""The argument of every command that works on several runs: folders and filters."""

import argparse

from seq2seq_lab.runs.filters import GRAMMAR


def add_chosen(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """Declare the folders and filters, as `chosen`.

    Args:
        required: whether one must be given; else all runs of the output folder are chosen.
    """
    parser.add_argument(
        "chosen",
        nargs="+" if required else "*",
        metavar="PATH|FILTER",
        help="folders that contain runs at any depth (default: $SEQ2SEQ_LAB_OUTPUTS or outputs), and filters: "
        + GRAMMAR,
    )
