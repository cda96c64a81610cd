"""The command ``seq2seq-lab export``."""

import argparse
from pathlib import Path

from seq2seq_lab.commands.overrides import add_checkpoint, add_trust


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Exports the model of a run: the encoder and one step of the decoder as ONNX, with the vocabularies and "
        "about.json, which also says the most positions of a source and a translation (null: any number). Needs the "
        "extra [onnx]."
    )
    parser.add_argument("folder", type=Path, metavar="RUN", help="the run's folder")
    parser.add_argument("--format", choices=("onnx",), default="onnx", help="default: onnx")
    parser.add_argument(
        "--output", type=Path, default=Path("exported"), metavar="DIR", help="default: exported"
    )
    add_checkpoint(parser)
    add_trust(parser)


def main(args: argparse.Namespace) -> int:
    """Run the command; returns its exit status."""
    from seq2seq_lab.runs.chosen import name_of
    from seq2seq_lab.runs.export import export_onnx

    for path in export_onnx(args.folder, args.output, checkpoint=args.checkpoint, trusted=args.trust):
        print(path)
    print(f"of the {name_of(args.folder, args.checkpoint)} checkpoint of {args.folder}")
    return 0
