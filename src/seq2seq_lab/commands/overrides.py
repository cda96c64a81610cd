"""The arguments of every command that composes a configuration."""

import argparse
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from seq2seq_lab.decoding import LARGEST_ALPHA
from seq2seq_lab.errors import UserError


class _Lines(argparse.HelpFormatter):
    """Help whose description keeps its lines; each is wrapped, but for a command, which is indented."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = text.splitlines()
        return "\n".join(
            line if line.startswith(" ") else super(_Lines, self)._fill_text(line, width, indent)
            for line in lines
        )


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Declare the overrides and `--config-dir`; they may come in any order."""
    parser.formatter_class = _Lines
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="OVERRIDE",
        help="GROUP=OPTION or KEY=VALUE, such as data=toy or seed=1",
    )
    parser.add_argument(
        "--config-dir",
        "-cd",
        type=Path,
        metavar="DIR",
        help="a folder with your own options, in the same groups",
    )
    # Not argparse's own help: the groups in the help text depend on the other arguments.
    parser.add_argument("-h", "--help", action="store_true", help="show this help and exit")
    parser.set_defaults(parser=parser)


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Declare `--checkpoint`, of the commands that load a model."""
    parser.add_argument(
        "--checkpoint",
        choices=("best", "last"),
        help="default: the one with the best validation where the run kept one, else the last",
    )
    # The earlier spelling.
    parser.add_argument(
        "--best", dest="checkpoint", action="store_const", const="best", help=argparse.SUPPRESS
    )


def add_length_penalty(parser: argparse.ArgumentParser) -> None:
    """Declare `--length-penalty`, of the commands that translate."""
    parser.add_argument(
        "--length-penalty",
        type=_length_penalty,
        metavar="ALPHA",
        help="of beam search: 0 prefers short translations (default: 1)",
    )


def length_penalty(args: argparse.Namespace, beam: int) -> float:
    """The length penalty of a search with a beam.

    Raises:
        UserError: it was given, but greedy decoding has none.
    """
    if args.length_penalty is not None and beam == 1:
        raise UserError("--length-penalty: it is of a beam search; add --beam 5")
    return 1.0 if args.length_penalty is None else float(args.length_penalty)


def _length_penalty(text: str) -> float:
    with suppress(ValueError):
        if abs(alpha := float(text)) <= LARGEST_ALPHA:
            return alpha
    raise UserError(
        f"--length-penalty: {text!r} is not a number between -{LARGEST_ALPHA} and {LARGEST_ALPHA}"
    )


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Declare `--trust`, of the commands that load a run of somebody else."""
    parser.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="MODULE",
        help="let the run name code of this module, such as a model of your own, or data at this address; may be "
        "repeated",
    )


def show_help(args: argparse.Namespace, groups: Sequence[str]) -> int:
    """Print the help of a command with the options of some groups; returns the exit status.

    Raises:
        UserError: `--config-dir` is not a folder.
    """
    from seq2seq_lab.config.compose import search_path
    from seq2seq_lab.config.explain import describe_groups

    _, extra = search_path(args.overrides, args.config_dir)
    print(f"{args.parser.format_help()}\nGroups and their options:\n{describe_groups(groups, extra)}", end="")
    return 0
