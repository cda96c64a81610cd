"""The command ``seq2seq-lab data``."""

import argparse
import json
import sys
import unicodedata
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq_lab.commands.overrides import add_overrides, show_help
from seq2seq_lab.config.tree import leaves
from seq2seq_lab.errors import UserError, printable
from seq2seq_lab.files import write_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from seq2seq_lab.data.corpus import Corpus, Removed
    from seq2seq_lab.data.splits import Parts

_SHOWN = 3  # pairs, and words
_REMOVED = 8  # characters
_HEADER = "part\tsource\ttarget\n"  # of the table of --parts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Shows the corpus that a run would be trained on: its parts, some pairs, and what was dropped."
    )
    add_overrides(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--parts",
        type=Path,
        metavar="FILE.tsv",
        help="write each kept pair, normalised, with its part: part, source, target",
    )


def main(args: argparse.Namespace) -> int:
    """Run the command; returns its exit status."""
    if args.help:
        return show_help(args, ["data"])
    from seq2seq_lab.config.build import build
    from seq2seq_lab.config.check import check_data
    from seq2seq_lab.config.compose import composed
    from seq2seq_lab.data.splits import has_unknown, holds_out_validation, parts_of

    config = composed(args.overrides, args.config_dir)
    check_data(config)
    if args.parts is not None:
        _refuse_other_file(args.parts, config["data"])
    complete: Any = build(config["data"], "data").load()
    for caution in complete.cautions:
        print(f"caution: {printable(caution)}", file=sys.stderr, flush=True)
    split = build(config["split"], "split")
    parts = parts_of(complete, split)
    corpus = complete.numbered(parts.train, unknown=has_unknown(complete, split))
    if not holds_out_validation(
        complete, split
    ):  # what is evaluated is trained on, and belongs to no other part
        parts = parts._replace(validation=parts.validation[:0])
    holds_out = bool(len(parts.validation) or len(parts.test))
    facts = {
        **corpus.statistics(parts.train, predict_sos=config["loader"]["predict_sos"]),
        "parts": {name: len(indices) for name, indices in parts._asdict().items()},
        **({} if complete.given is None else {"given": _given(complete.given)}),
        "unknown_rate": _unknown_rates(corpus, parts) if holds_out else {},
        "shared": _shared(complete, parts) if holds_out else {},
        "near_duplicates": _near_duplicates(complete, parts) if holds_out and complete.task.graded else {},
        "dropped": {reason: each.pairs for reason, each in corpus.dropped.items()},
        "removed": {
            side: {"share": each.share, "characters": each.characters, "sentences": each.sentences}
            for side, each in corpus.removed.items()
        },
        "cautions": list(corpus.cautions),
    }
    if args.parts is not None:
        write_text(args.parts, _table(corpus, parts))
    if args.json:
        print(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        _show(corpus, parts, facts)
    return 0


def _refuse_other_file(parts: Path, data: Any) -> None:
    """Raise an error if the file to write would replace one that the pairs are read from, or that is no such table."""
    for key, value in leaves(data, "data"):
        with suppress(RuntimeError):  # of somebody's home that is not known: no pairs were read from there
            if isinstance(value, str) and Path(value).expanduser().resolve() == parts.resolve():
                raise UserError(f"--parts {parts}: the pairs are read from it ({key}); name another file")
    if parts.is_file():
        with parts.open("rb") as file:
            if file.read(len(_HEADER)) != _HEADER.encode():
                raise UserError(f"--parts {parts}: it is there, and is no table of parts; name another file")


def _show(corpus: "Corpus", parts: "Parts", facts: dict[str, Any]) -> None:
    print(corpus.origin)
    for name, value in facts.items():
        if not isinstance(value, dict | list):
            print(f"{name:18} {value:.4f}" if isinstance(value, float) else f"{name:18} {value:,}")
    print("parts             ", ", ".join(f"{name} {count:,}" for name, count in facts["parts"].items()))
    if "given" in facts:
        given = ", ".join(f"{name} {count:,}" for name, count in facts["given"].items())
        made = facts["parts"]["validation"] and "validation" not in facts["given"]
        of_train = "; the validation part is made of train by the split" if made else ""
        print(f"given parts        {given}{of_train}")
    for name, sides in facts["unknown_rate"].items():
        rates = ", ".join(f"{side} {rate:.1%}" for side, rate in sides.items())
        print(f"unknown symbols in {name}: {rates}")
    for side, words in _unknown_words(corpus, parts).items():
        print(f"such words of the {side}: {', '.join(map(printable, words))}")
    for name, sides in facts["shared"].items():
        counts = ", ".join(f"{side} {count:,}" for side, count in sides.items())
        share = sides["either"] / facts["parts"][name]
        print(f"pairs of {name} whose {corpus.task.item} is also in train: {counts} ({share:.1%})")
    for name, share in facts["near_duplicates"].items():
        print(f"pairs of {name} with a pair of train within one word on both sides: {share:.1%}")
    for reason, each in corpus.dropped.items():
        print(f"dropped: {each.pairs:,} pairs {reason}\n  first: {each.example}")
    for side, removed in corpus.removed.items():
        _show_removed(side, removed)
    print("the first pairs: as they are, normalised, and as ids")
    for index, (source, target) in enumerate(corpus.raw[:_SHOWN]):
        print(f"  {printable(source)} → {printable(target)}")
        print(f"    {corpus.source_text(index)} → {corpus.target_text(index)}")
        print(f"    {corpus.source[index].tolist()} → {corpus.target[index].tolist()}")


def _given(given: "NDArray[np.int8]") -> dict[str, int]:
    """The number of pairs of each part that the corpus itself gives."""
    from seq2seq_lab.data.splits import Parts

    counts = {name: int((given == part).sum()) for part, name in enumerate(Parts._fields)}
    return {name: count for name, count in counts.items() if count}


def _show_removed(side: str, removed: "Removed") -> None:
    """The share of a side's characters that the normalisation removes, the most frequent ones, and the lost letters."""
    often = list(removed.characters.items())[:_REMOVED]
    shown = "  ".join(f"{_visible(character)} {count:,}" for character, count in often)
    print(
        f"characters of the {side} that the normalisation removes: {removed.share:.2%}{shown and f' ({shown})'}"
    )
    if removed.sentences:
        print(f"  {removed.sentences:,} lose letters, the first: {printable(removed.example)}")


def _visible(character: str) -> str:
    alone = character.isprintable() and unicodedata.category(character)[0] != "M"
    return character if alone else f"U+{ord(character):04X}"


def _unknown_rates(corpus: "Corpus", parts: "Parts") -> dict[str, dict[str, float]]:
    """The share of symbols in the held-out parts, without ``<eos>``, that the training part lacks."""
    sides = {
        "source": (corpus.source, corpus.source_vocabulary),
        "target": (corpus.target, corpus.target_vocabulary),
    }
    return {
        name: {side: _rate(rows.select(indices).values, words.unk) for side, (rows, words) in sides.items()}
        for name, indices in parts._asdict().items()
        if name != "train" and len(indices)
    }


def _unknown_words(corpus: "Corpus", parts: "Parts") -> dict[str, list[str]]:
    """A few words of each side with a symbol that the training part lacks."""
    sides = {
        "source": (corpus.source_vocabulary, corpus.source_text),
        "target": (corpus.target_vocabulary, corpus.target_text),
    }
    found: dict[str, list[str]] = {}
    for side, (vocabulary, text) in sides.items():
        held_out = (text(index).split() for part in (parts.validation, parts.test) for index in part.tolist())
        words = dict.fromkeys(word for said in held_out for word in said)
        unknown = [word for word in words if vocabulary.unknown(vocabulary.units.divide(word))]
        found[side] = unknown[:_SHOWN]
    return {side: words for side, words in found.items() if words}


def _rate(ids: Any, unknown: int | None) -> float:
    from seq2seq_lab.data.vocabulary import EOS

    symbols = ids[ids != EOS]
    return float((symbols == unknown).mean()) if len(symbols) else 0.0


def _shared(corpus: "Corpus", parts: "Parts") -> dict[str, dict[str, int]]:
    """The number of pairs in the held-out parts whose source, target, or either is also in the training part."""
    import numpy as np

    sides = {"source": corpus.source.groups, "target": corpus.target.groups}
    shared = {}
    for name, indices in parts._asdict().items():
        if name != "train" and len(indices):
            found = {side: np.isin(group[indices], group[parts.train]) for side, group in sides.items()}
            found["either"] = found["source"] | found["target"]
            shared[name] = {side: int(pairs.sum()) for side, pairs in found.items()}
    return shared


def _near_duplicates(corpus: "Corpus", parts: "Parts") -> dict[str, float]:
    """The share of the pairs in the held-out parts that have a training pair within one word on both sides."""
    from seq2seq_lab.data.near_duplicates import near_duplicates

    training = corpus.select(parts.train)
    return {
        name: float(near_duplicates(corpus.select(indices), training).mean())
        for name, indices in parts._asdict().items()
        if name != "train" and len(indices)
    }


def _table(corpus: "Corpus", parts: "Parts") -> str:
    """Each kept pair with its part, in the order of the source."""
    rows = sorted((index, name) for name, part in parts._asdict().items() for index in part.tolist())
    lines = (f"{name}\t{corpus.source_text(index)}\t{corpus.target_text(index)}\n" for index, name in rows)
    return _HEADER + "".join(lines)
