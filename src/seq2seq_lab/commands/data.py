"""The command ``seq2seq-lab data``."""

import argparse
import json
from typing import Any

from seq2seq_lab.commands.overrides import add_overrides, show_help


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = "Shows statistics of the corpus that a run would be trained on."
    add_overrides(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace) -> int:
    """Run the command; returns its exit status."""
    if args.help:
        return show_help(args, ["data"])
    from seq2seq_lab.config.build import build
    from seq2seq_lab.config.check import check_data
    from seq2seq_lab.config.compose import composed
    from seq2seq_lab.data.splits import check_held_out, split_by_source

    config = composed(args.overrides, args.config_dir)
    check_data(config)
    loader = config["loader"]
    held_out = loader["held_out"], loader["held_out_seed"]
    check_held_out(*held_out)
    corpus: Any = build(config["data"], "data").load()
    training, _ = split_by_source(corpus, *held_out)
    statistics = corpus.statistics(training, predict_sos=loader["predict_sos"])
    if args.json:
        print(json.dumps(statistics, indent=2))
    else:
        print(corpus.origin)
        for name, value in statistics.items():
            print(f"{name:18} {value:.4f}" if isinstance(value, float) else f"{name:18} {value:,}")
    return 0
