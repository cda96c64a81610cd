"""The command ``seq2seq-lab page``."""

import argparse
import sys
from pathlib import Path

from seq2seq_lab.commands.overrides import add_checkpoint, add_trust
from seq2seq_lab.errors import UserError, counted
from seq2seq_lab.files import write_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Writes a translator as one HTML file that opens in any browser, without a server or a network: the runs "
        "side by side, word by word, with the probabilities of the next words and the attention."
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="RUN", help="folders of runs")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("translator.html"),
        metavar="FILE.html",
        help="default: translator.html",
    )
    add_checkpoint(parser)
    add_trust(parser)


def main(args: argparse.Namespace) -> int:
    """Run the command; returns its exit status: 1 if a run was left out."""
    from seq2seq_lab.page.bundle import page
    from seq2seq_lab.runs.chosen import name_of

    if args.output.suffix.lower() not in (
        ".html",
        ".htm",
    ):  # a file of the user's that is named by mistake is kept
        raise UserError(f"--output: {args.output} does not end in .html")
    left_out: list[tuple[Path, str]] = []
    text = page(
        args.folders,
        checkpoint=args.checkpoint,
        trusted=args.trust,
        left_out=lambda folder, error: left_out.append((folder, error)),
    )
    shown = [folder for folder in args.folders if folder not in dict(left_out)]
    for folder in shown:
        print(f"{folder}: {name_of(folder, args.checkpoint)} checkpoint")
    for _, error in left_out:
        print(f"{error}; left out", file=sys.stderr)
    write_text(args.output, text)
    print(f"{args.output}: {len(text.encode()) / 2**20:.1f} MiB, {counted(len(shown), 'run')}")
    return int(bool(left_out))
