"""The command ``seq2seq-lab data``."""

import argparse
import json
from typing import Any

from seq2seq_lab.commands.overrides import add_overrides, show_help


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = "Shows the statistics of what a run would train on."
    add_overrides(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def main(args: argparse.Namespace) -> int:
    """Run the command; returns its exit status."""
    if args.help:
        return show_help(args, ["data"])
    from seq2seq_lab.config.build import build
    from seq2seq_lab.config.check import check_group
    from seq2seq_lab.config.compose import composed

    config = composed(args.overrides, args.config_dir)
    check_group(config, "data")
    corpus: Any = build(config["data"], "data").load()
    statistics = corpus.statistics()
    if args.json:
        print(json.dumps(statistics, indent=2))
    else:
        print(corpus.origin)
        for name, value in statistics.items():
            print(f"{name:18} {value:.4f}" if isinstance(value, float) else f"{name:18} {value:,}")
    return 0
