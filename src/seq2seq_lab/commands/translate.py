"""The command ``seq2seq-lab translate``."""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq_lab.commands.overrides import add_checkpoint, add_length_penalty, add_trust, length_penalty
from seq2seq_lab.errors import UserError, is_utf8, printable
from seq2seq_lab.files import replacing

if TYPE_CHECKING:
    from seq2seq_lab.decoding.beam import Hypothesis
    from seq2seq_lab.models.interface import Model
    from seq2seq_lab.runs.chosen import Which
    from seq2seq_lab.runs.load import Vocabularies

_BATCH = 64  # lines of a file that are translated at a time
_MOST_DRAWN = 200  # heat maps of one picture


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Translates sentences, or what else a run was trained on, and prints one translation per line."
    )
    parser.add_argument("folder", metavar="RUN", help="the run's folder")
    parser.add_argument(
        "sentences", nargs="*", metavar="SENTENCE", help="default: standard input, one per line"
    )
    add_checkpoint(parser)
    parser.add_argument("--attention", type=Path, metavar="FILE.png", help="draw the attention weights")
    parser.add_argument(
        "--head", type=int, metavar="N", help="draw those of this head of the last layer, from 1"
    )
    parser.add_argument("--beam", type=int, default=1, metavar="N", help="beam search with N hypotheses")
    parser.add_argument(
        "--n-best", type=int, default=1, metavar="N", help="print the N best translations, with their scores"
    )
    add_length_penalty(parser)
    add_trust(parser)


def main(args: argparse.Namespace) -> int:
    """Run the command; returns its exit status."""
    for sentence in args.sentences:
        if not is_utf8(sentence):
            raise UserError(f"{sentence!r}: not UTF-8 text")
    if args.head is not None and args.attention is None:
        raise UserError("--head: it draws a head in --attention FILE, which is not given")
    return translate(
        args.folder,
        args.sentences or _lines(),
        checkpoint=args.checkpoint,
        attention=args.attention,
        head=args.head,
        search=Search(args.beam, args.n_best, length_penalty(args, args.beam)),
        trusted=args.trust,
        batch=1 if args.sentences or sys.stdin.isatty() else _BATCH,
    )


@dataclass(frozen=True)
class Search:
    """How translations are searched.

    Raises:
        UserError: a value is out of its range.
    """

    beam: int = 1
    n_best: int = 1
    alpha: float = 1.0

    def __post_init__(self) -> None:
        if self.beam < 1:
            raise UserError(f"--beam: {self.beam} is less than 1")
        if not 1 <= self.n_best <= self.beam:
            raise UserError(f"--n-best: {self.n_best} is not between 1 and --beam, which is {self.beam}")


def translate(
    run: str,
    sentences: Iterable[str],
    *,
    checkpoint: "Which | None" = None,
    attention: Path | None = None,
    head: int | None = None,
    search: Search | None = None,
    batch: int = 1,
    trusted: Sequence[str] = (),
) -> int:
    """Print a translation of each sentence, one per line; returns the exit status.

    Unknown words, and letters, digits and symbols that the normalisation removes, are listed on standard error. A
    sentence of which nothing is left, or that is too long, gives an empty line, so that output line i always belongs
    to input line i, and exit status 1. With several translations of each, a line is SCORE, tab, TRANSLATION, and an
    empty line ends each sentence.

    Args:
        run: the run's folder.
        sentences: raw sentences; they are normalised as in training.
        checkpoint: the best or the last; None: the best where there is one, else the last.
        attention: a PNG file for a heat map of the attention weights.
        head: the head that is drawn, counted from 1; None: the mean of all.
        search: how translations are searched; greedily by default.
        batch: number of sentences that are translated at a time.
        trusted: modules whose code the run may name.

    Raises:
        UserError: the run does not exist, there is no sentence, or the model has no attention, or no such
            head.
    """
    from seq2seq_lab.decoding.beam import best_hypotheses
    from seq2seq_lab.evaluation.attention import check_head
    from seq2seq_lab.runs.chosen import name_of
    from seq2seq_lab.runs.load import load_model
    from seq2seq_lab.runs.run import Run

    search = search or Search()
    _, model, words = load_model(run, checkpoint=checkpoint, trusted=trusted)
    if sys.stderr.isatty():
        print(f"{run}: {name_of(run, checkpoint)} checkpoint", file=sys.stderr)
    if attention is not None and not model.has_attention:
        raise UserError(f"--attention: {run} has a model without attention; use a run with model=attention")
    if head is not None:
        check_head(model, head, run)
    if attention is not None and attention.suffix != ".png":
        raise UserError(f"--attention: {attention} does not end in .png")

    drawn: list[dict[str, Any]] = []
    given = answered = drawable = 0
    waiting = iter(sentences)
    while lines := list(islice(waiting, batch)):
        given += sum(bool(line.strip()) for line in lines)
        sources = [_encoded(line, model, words) for line in lines]
        for source, found in zip(
            sources, best_hypotheses(model, sources, words.max_length, **asdict(search)), strict=True
        ):
            _print(found, words, search)
            if found:
                answered += 1
                if attention is not None and found[0].words:  # a model that diverged gives no word
                    drawable += 1
                    if drawable <= _MOST_DRAWN:
                        drawn.append(_sample(source, found[0], model, words, head))
    if not given:
        item = Run(Path(run)).corpus.item
        raise UserError(
            f"no {item} to translate; give {item}s as arguments, or one per line on standard input"
        )
    if drawable > len(drawn):
        print(f"--attention: the first {len(drawn)} of {drawable} translations are drawn", file=sys.stderr)
    if attention is not None and drawn:
        from seq2seq_lab.evaluation.heat_maps import save_attention

        with replacing(attention) as temporary:
            save_attention(drawn, temporary)
    return 0 if answered == given else 1


def _lines() -> Iterator[str]:
    """The lines of standard input, in UTF-8 whatever the locale is. As those of a corpus they end by a line feed, alone
    or after a carriage return; where there is none, by the latter."""
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"standard input: not UTF-8 text, line {number}: {error}") from error
        if number == 1 and not text.endswith("\n"):  # the whole input
            yield from text.removesuffix("\r").split("\r")
        else:
            yield text.removesuffix("\n").removesuffix("\r")


def _encoded(line: str, model: "Model", words: "Vocabularies") -> list[int]:
    """The ids of a raw sentence; empty if it cannot be translated, and the reason is printed."""
    if not (sentence := line.strip()):
        return []
    encoded = words.encode(sentence)
    for note in encoded.notes:
        print(f"{sentence}: {note}", file=sys.stderr)
    if encoded.ids:
        try:
            model.check_lengths(source=len(encoded.ids) + 1)
        except ValueError as error:
            print(f"{sentence}: too long for this model: {error}", file=sys.stderr)
            return []
    return encoded.ids


def _print(found: Sequence["Hypothesis"], words: "Vocabularies", search: Search) -> None:
    if search.n_best == 1:
        print(printable(words.decode(found[0].words)) if found else "", flush=True)
        return
    for each in found:
        print(f"{each.score:.4f}\t{printable(words.decode(each.words))}")
    print(flush=True)


def _sample(
    ids: Sequence[int], found: "Hypothesis", model: "Model", words: "Vocabularies", head: int | None
) -> dict[str, Any]:
    """A translation with its attention weights, as in translations.json."""
    import torch

    from seq2seq_lab.data.vocabulary import EOS
    from seq2seq_lab.evaluation.attention import attention_table, attention_weights

    source, best = torch.tensor([*ids, EOS]), torch.tensor(found.words)
    weights = attention_weights(model, source, best, head)
    return attention_table(
        best, weights, source, source_vocabulary=words.source, target_vocabulary=words.target
    )
