"""The console command. What a command needs is imported when it is called, so that `--help` answers at once."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seq2seq_lab import __version__
from seq2seq_lab.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0 well, 1 a mistake of the user's, 2 wrong arguments, 130 Ctrl-C."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if arguments[:1] == ["train"]:  # Hydra reads these itself
            from seq2seq_lab.launch import launch

            return launch(arguments[1:])
        parsed = _parser().parse_args(arguments)
        return int(parsed.run(parsed) or 0)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read the output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="seq2seq-lab",
        description="Change how a sequence-to-sequence decoder is fed while it learns, and see what that did.",
    )
    parser.add_argument("--version", action="version", version=f"seq2seq-lab {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    commands.add_parser("train", help="train a run, or with -m a sweep of runs", add_help=False)

    data = commands.add_parser("data", help="tell what a run would train on")
    data.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="e.g. data=toy, data.max_words=8")
    data.add_argument("--json", action="store_true", help="as JSON")
    data.set_defaults(run=_data)

    translate = commands.add_parser("translate", help="translate sentences with a trained run")
    translate.add_argument("folder", metavar="RUN", help="the run's folder")
    translate.add_argument(
        "sentences", nargs="*", metavar="SENTENCE", help="default: standard input, one a line"
    )
    translate.add_argument("--best", action="store_true", help="the best checkpoint instead of the last")
    translate.add_argument("--attention", type=Path, metavar="FILE.png", help="draw where the model looked")
    translate.set_defaults(run=_translate)

    from seq2seq_lab.compare.command import add_arguments
    from seq2seq_lab.compare.command import main as compare

    comparison = commands.add_parser("compare", help="compare runs: table, plots, report, TensorBoard")
    add_arguments(comparison)
    comparison.set_defaults(run=compare)
    return parser


def _data(arguments: argparse.Namespace) -> int:
    from seq2seq_lab.config import build
    from seq2seq_lab.launch import composed

    corpus: Any = build(composed(arguments.overrides)["data"], "data").load()
    statistics = corpus.statistics()
    if arguments.json:
        print(json.dumps(statistics, indent=2))
    else:
        print(corpus.origin)
        for name, value in statistics.items():
            print(f"{name:18} {value:.4f}" if isinstance(value, float) else f"{name:18} {value:,}")
    return 0


def _translate(arguments: argparse.Namespace) -> int:
    from seq2seq_lab.translate import translate

    sentences = arguments.sentences or (line.rstrip("\n") for line in sys.stdin)
    return translate(arguments.folder, sentences, best=arguments.best, attention=arguments.attention)
