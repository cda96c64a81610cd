"""The command ``seq2seq-lab translate``."""

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from seq2seq_lab.errors import UserError
from seq2seq_lab.files import replacing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = "Translates sentences with a trained run, and prints one translation per line."
    parser.add_argument("folder", metavar="RUN", help="the run's folder")
    parser.add_argument(
        "sentences", nargs="*", metavar="SENTENCE", help="default: standard input, one per line"
    )
    parser.add_argument("--best", action="store_true", help="the best checkpoint instead of the last")
    parser.add_argument("--attention", type=Path, metavar="FILE.png", help="draw the attention weights")


def main(args: argparse.Namespace) -> int:
    """Run the command; returns its exit status."""
    return translate(args.folder, args.sentences or _lines(), best=args.best, attention=args.attention)


def translate(
    run: str, sentences: Iterable[str], *, best: bool = False, attention: Path | None = None
) -> int:
    """Print a translation of each sentence, one per line; returns the exit status.

    Unknown words are listed on standard error and skipped. A sentence that has no known word or is too long gives an
    empty line, so that output line i always belongs to input line i, and exit status 1.

    Args:
        run: the run's folder.
        sentences: raw sentences; they are normalised as in training.
        best: use the best checkpoint instead of the last.
        attention: a PNG file for a heat map of the attention weights.

    Raises:
        UserError: the run does not exist, there is no sentence, or the model has no attention.
    """
    from seq2seq_lab.runs.load import load_run

    _, model, words = load_run(run, best=best)
    if attention is not None and model.decoder.attention is None:
        raise UserError(f"--attention: {run} has a model without attention; use a run with model=attention")
    if attention is not None and attention.suffix != ".png":
        raise UserError(f"--attention: {attention} does not end in .png")

    drawn: list[dict[str, Any]] = []
    given = answered = 0
    for sentence in sentences:
        given += bool(sentence.strip())
        sample = _translated(sentence, model, words)
        print(sample["hypothesis"] if sample else "", flush=True)
        if sample:
            answered += 1
            drawn.append(sample)
    if not given:
        raise UserError(
            "no sentence to translate; give sentences as arguments, or one per line on standard input"
        )
    if attention is not None and drawn:
        from seq2seq_lab.training.callbacks.samples import attention_figure

        with replacing(attention) as temporary:
            attention_figure(drawn).savefig(temporary, format="png", dpi=150)
    return 0 if answered == given else 1


def _lines() -> Iterator[str]:
    """The lines of standard input."""
    try:
        for line in sys.stdin:
            yield line.rstrip("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"standard input: not UTF-8 text: {error}") from error


def _translated(sentence: str, model: Any, words: Any) -> dict[str, Any] | None:
    """A sentence in the form of translations.json; None if it cannot be translated."""
    import torch

    from seq2seq_lab.data.vocabulary import EOS
    from seq2seq_lab.decoding.greedy import greedy
    from seq2seq_lab.training.callbacks.samples import word_weights

    if not sentence.strip():
        return None
    normalised = words.normalise(sentence).split(" ")
    unknown = words.source.unknown(normalised)
    if named := ", ".join(
        repr(word) for word in unknown if word
    ):  # a quotation mark at the end leaves an empty word
        print(f"{sentence.strip()}: unknown words were skipped: {named}", file=sys.stderr)
    known = [word for word in normalised if word not in unknown]
    if not any(known):
        print(f"{sentence.strip()}: no known word to translate", file=sys.stderr)
        return None
    source = torch.tensor([[*words.source.encode(known), EOS]])
    try:
        found = greedy(model, source, None, words.max_length)
    except ValueError as error:
        print(f"{sentence.strip()}: too long for this model: {error}", file=sys.stderr)
        return None
    sample: dict[str, Any] = {
        "source": " ".join(known),
        "hypothesis": " ".join(words.target.decode(found.words[0].tolist())),
    }
    if found.weights is not None:
        sample["attention"] = word_weights(found.words[0], found.weights[0], len(known) + 1)
    return sample
