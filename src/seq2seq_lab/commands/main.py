"""The console command. What a command needs is imported when it is called, so that `--help` answers at once."""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from seq2seq_lab import __version__
from seq2seq_lab.errors import UserError
from seq2seq_lab.launch.startup import forgiving_output


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0 well, 1 a mistake, 2 wrong arguments, 130 Ctrl-C."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    forgiving_output()
    try:
        if arguments[:1] == ["train"]:  # Hydra reads these itself
            from seq2seq_lab.launch.job import launch

            return launch(arguments[1:])
        parser = _parser()
        parsed, rest = parser.parse_known_args(arguments)
        words = getattr(parsed, "sentences", getattr(parsed, "overrides", None))
        if rest and (words is None or any(word.startswith("-") for word in rest)):
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        if (
            rest and words is not None
        ):  # argparse takes no more positional arguments once an option has stood between them
            words.extend(rest)
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

    from seq2seq_lab.commands.compare import add_arguments
    from seq2seq_lab.commands.compare import main as compare

    comparison = commands.add_parser("compare", help="compare runs: table, plots, report, TensorBoard")
    add_arguments(comparison)
    comparison.set_defaults(run=compare)
    return parser


def _data(arguments: argparse.Namespace) -> int:
    from seq2seq_lab.config.check import build, check_data
    from seq2seq_lab.data.splits import check_held_out, split_by_source
    from seq2seq_lab.launch.job import composed

    config = composed(arguments.overrides)
    check_data(config)
    loader = config["loader"]
    held_out = loader["held_out"], loader["held_out_seed"]
    check_held_out(*held_out)
    corpus: Any = build(config["data"], "data").load()
    training, _ = split_by_source(corpus, *held_out)
    statistics = corpus.statistics(training, predict_sos=loader["predict_sos"])
    if arguments.json:
        print(json.dumps(statistics, indent=2))
    else:
        print(corpus.origin)
        for name, value in statistics.items():
            print(f"{name:18} {value:.4f}" if isinstance(value, float) else f"{name:18} {value:,}")
    return 0


def _translate(arguments: argparse.Namespace) -> int:
    from seq2seq_lab.commands.translate import translate

    sentences = arguments.sentences or _lines()
    return translate(arguments.folder, sentences, best=arguments.best, attention=arguments.attention)


def _lines() -> Iterator[str]:
    """The lines of standard input."""
    try:
        for line in sys.stdin:
            yield line.rstrip("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"standard input: not UTF-8 text: {error}") from error
