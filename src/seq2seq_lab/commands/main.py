"""The console command: its parser and its exit status.

The imports of a command are in its function, so that `--help` is fast.
"""

import argparse
import os
import shlex
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from seq2seq_lab import __version__
from seq2seq_lab.commands import (
    compare,
    data,
    evaluate,
    export,
    page,
    runs,
    runs_note,
    runs_retry,
    runs_rm,
    runs_tag,
    train,
    translate,
)
from seq2seq_lab.config import modules
from seq2seq_lab.errors import UserError, of_files, printable
from seq2seq_lab.launch.startup import safe_path
from seq2seq_lab.terminal import clean_output

# Command → the module with its arguments and its function, and one line of help.
COMMANDS = {
    "train": (train, "train a run, or a sweep of runs with -m"),
    "data": (data, "show statistics of the training data"),
    "evaluate": (evaluate, "evaluate trained runs on the test part: scores, losses, exposure bias"),
    "translate": (translate, "translate sentences, commands, words, … with a trained run"),
    "runs": (runs, "list runs: status, epochs, time to go, main measure"),
    "runs rm": (runs_rm, "remove runs, after asking"),
    "runs retry": (runs_retry, "train again what failed"),
    "runs note": (runs_note, "write a note about runs"),
    "runs tag": (runs_tag, "add tags to runs, or remove them"),
    "page": (page, "write a translator as one HTML file"),
    "export": (export, "write the model of a run as ONNX"),
    "compare": (compare, "compare runs: table, plots, report, TensorBoard"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit status: 0 for success, 1 for an error, 2 for wrong arguments, 130 for Ctrl-C.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    clean_output()
    try:
        modules.set_folder(_working_folder())
        args = _parsed(_command_first(arguments))
        with safe_path():
            return int(args.main(args))
    except UserError as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            traceback.print_exception(error)
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the process that reads the output has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        said = _explained(error)
        if said is None or os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        print(printable(said), file=sys.stderr)
        return 1


def _explained(error: Exception) -> str | None:
    """What an error is that is none of this package's code; None if it may be one."""
    if isinstance(error, MemoryError):
        return "the machine's memory is full: take fewer or shorter pairs, or end other programs"
    return modules.blame(error) or (of_files(error) if isinstance(error, OSError) else None)


def _working_folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise UserError("the working folder has been removed; change to another one") from None


def _command_first(arguments: list[str]) -> list[str]:
    """The arguments with a folder of configurations that comes before the command moved behind it."""
    first = arguments[0] if arguments else ""
    count = 2 if first in ("--config-dir", "-cd") else 1 if first.startswith("--config-dir=") else 0
    if not count or len(arguments) <= count:
        return arguments
    return [arguments[count], *arguments[:count], *arguments[count + 1 :]]


def _joined(arguments: list[str]) -> list[str]:
    """The arguments with a command of two words, such as `runs rm`, as one."""
    two = " ".join(arguments[:2])
    return [two, *arguments[2:]] if len(arguments) > 1 and two in COMMANDS else arguments


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="seq2seq-lab",
        description="Change how a sequence-to-sequence decoder is fed during training, and see the effect.",
    )
    parser.add_argument("--version", action="version", version=f"seq2seq-lab {__version__}")
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    commands = {}
    for name, (module, line) in COMMANDS.items():
        commands[name] = subparsers.add_parser(name, help=line, conflict_handler="resolve")
        module.add_arguments(commands[name])
        commands[name].set_defaults(main=module.main)
    arguments = _joined(arguments)
    if arguments and arguments[0] in commands:
        known = argparse.Namespace(
            command_line=f"seq2seq-lab {arguments[0]} {shlex.join(arguments[1:])}".rstrip()
        )
        # Options may come before, between and after the other arguments.
        return commands[arguments[0]].parse_intermixed_args(arguments[1:], known)
    return parser.parse_args(arguments)
