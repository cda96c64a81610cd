"""The command ``seq2seq-lab train``."""

import argparse
import shlex
from pathlib import Path

from seq2seq_lab.commands.overrides import add_overrides, add_trust, show_help
from seq2seq_lab.terminal import ignore_closed

DESCRIPTION = """\
Trains one run. With -m (--multirun), trains one run for each combination of comma-separated values:
  seq2seq-lab train -m data=toy forcing=mixed forcing.ratio=0,0.5,1 seed=0,1
A finished run is not trained again. An interrupted run is resumed where it was stopped."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = DESCRIPTION
    add_overrides(parser)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("-m", "--multirun", action="store_true", help="train a sweep of runs")
    mode.add_argument(
        "-c",
        "--cfg",
        choices=("job", "hydra", "all"),
        help="show the configuration instead of training: that of the run, of Hydra, or both",
    )
    mode.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="train again what the config.yaml of a run says; OVERRIDEs change its keys",
    )
    parser.add_argument(
        "--sweep",
        nargs="+",
        action="append",
        default=[],
        metavar="OVERRIDE",
        help="with -m, may be repeated: several sweeps joined, each with these overrides beside the common ones",
    )
    parser.add_argument(
        "--zip",
        action="append",
        default=[],
        metavar="KEY,KEY",
        help="with -m, may be repeated: take the values of these keys in step",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show which runs would be trained, and write nothing"
    )
    add_trust(parser)
    parser.add_argument("-v", "--verbose", action="store_true", help="show how the updates of a run are made")
    parser.add_argument("--resolve", action="store_true", help="with --cfg: resolve interpolations")
    parser.add_argument(
        "-p", "--package", metavar="KEY", help="with --cfg: show only this key and what it contains"
    )


def main(args: argparse.Namespace) -> int:
    """Run the command; returns its exit status."""
    if args.help:
        from seq2seq_lab.config.schema import EXPERIMENT, GROUPS

        return show_help(args, [*GROUPS, EXPERIMENT])
    ignore_closed()
    if (args.resolve or args.package) and not args.cfg:
        args.parser.error("--resolve and --package require --cfg")
    if (args.sweep or args.zip) and not args.multirun:
        args.parser.error("--sweep and --zip require -m")
    if args.sweep:
        _check_common(args)
    if args.dry_run and (args.cfg or args.config):
        args.parser.error("--dry-run: not with --cfg or --config")
    if args.config and args.config_dir:
        args.parser.error("--config-dir: not with --config, whose file has the settings of every option")
    if args.config:
        from seq2seq_lab.launch.config_file import launch_file

        return launch_file(
            args.config, args.overrides, command=args.command_line, trusted=args.trust, verbose=args.verbose
        )
    from seq2seq_lab.config.trust import trust
    from seq2seq_lab.launch.launch import launch

    trust(args.trust)
    flags = ["--multirun"] if args.multirun else []
    if args.cfg:
        flags += ["--cfg", args.cfg, *(["--resolve"] if args.resolve else [])]
        flags += ["--package", args.package] if args.package else []
    return launch(
        args.overrides,
        command=args.command_line,
        folder=args.config_dir,
        flags=flags,
        zipped=args.zip,
        sweeps=args.sweep,
        dry_run=args.dry_run,
        verbose=args.verbose,
    )


def _check_common(args: argparse.Namespace) -> None:
    """Refuse overrides after `--sweep` that a flag sets apart from it: they would be common to all sweeps."""
    words = shlex.split(args.command_line)[2:]
    first = next(number for number, word in enumerate(words) if word.startswith("--s"))
    common = args.parser.parse_intermixed_args(words[:first]).overrides
    for after in args.overrides[len(common) :]:
        args.parser.error(
            f"{after}: after --sweep, but not in it; write it before the first --sweep if it is common to all, else "
            "before other flags"
        )
