"""The command ``seq2seq-lab evaluate``."""

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from seq2seq_lab.commands.overrides import add_checkpoint, add_length_penalty, add_trust, length_penalty
from seq2seq_lab.errors import UserError, nearest, refusal
from seq2seq_lab.runs import layout

_GRADED = ("bleu", "chrf")  # see `data.task.Task`
_LOGGED = ("val", "perf")  # what the metrics of training begin with, beside the names of the parts
_COLUMNS = ("exact_match", "loss_forced", "loss_free", "length_ratio")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Evaluates trained runs on held-out pairs. Prints a table, and writes scores, analyses of exposure bias and "
        "hypotheses into each run's folder, in evaluation/, where `compare` finds them."
    )
    parser.add_argument("folders", nargs="+", metavar="RUN", type=Path, help="folders of runs")
    parser.add_argument(
        "--split", choices=("test", "validation", "train"), help="the part of the run's pairs (default: test)"
    )
    parser.add_argument(
        "--beam", default="1", metavar="N[,N]", help="beams to decode with; 1 is greedy, the default"
    )
    add_length_penalty(parser)
    add_checkpoint(parser)
    parser.add_argument(
        "--average",
        type=int,
        metavar="K",
        help="average the weights of the newest K kept checkpoints instead",
    )
    parser.add_argument(
        "--analyses", default="all", metavar="NAME[,NAME]", help="all (the default), none, or some of them"
    )
    parser.add_argument(
        "--data",
        action="append",
        metavar="KEY=VALUE",
        help="evaluate on pairs that the run's corpus lacks, with these settings of its data, such as "
        "'data.prefixes=[]'; may be given several times. Pairs with a source or a target of the training part are "
        "left out",
    )
    parser.add_argument(
        "--name",
        metavar="NAME",
        help="name of the pairs of --data in files and metrics (default: shifted); each name keeps its own results",
    )
    parser.add_argument("--max-pairs", type=int, metavar="N", help="the most pairs, at equal distances")
    parser.add_argument(
        "--segments",
        default="source",
        choices=("source", "pair"),
        help="what counts once in scores of translations: each source, with all its translations as references (the "
        "default), or each pair, as in version 0.2",
    )
    parser.add_argument(
        "--perfect",
        action="store_true",
        help="evaluate the perfect model of the run's data in place of the run's: it has exactly the distribution of "
        "the translations, which must be known (data=toy, data=grammar)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print JSON: an object, or a list for several runs"
    )
    add_trust(parser)


def main(args: argparse.Namespace) -> int:
    """Run the command; returns its exit status: 1 if a run could not be evaluated."""
    beams = _beams(args.beam)
    for option, number in (("--max-pairs", args.max_pairs), ("--average", args.average)):
        if number is not None and number < 1:
            raise UserError(f"{option}: {number} is less than 1")
    chosen = [
        option
        for option, given in (
            ("--perfect", args.perfect),
            ("--average", args.average),
            ("--checkpoint", args.checkpoint),
        )
        if given
    ]
    if len(chosen) > 1:
        raise UserError(f"{' and '.join(chosen)}: each names another model to evaluate; give one of them")
    import torch

    from seq2seq_lab.runs.evaluate import Corpora, Request, evaluate_run
    from seq2seq_lab.runs.evaluations import as_json

    torch.set_num_threads(1)  # more are slower for steps as small as these

    request = Request(
        part=_part(args),
        data=_settings(args.data) if args.data else None,
        max_pairs=args.max_pairs,
        checkpoint=args.checkpoint,
        averaged=args.average,
        beams=beams,
        alpha=length_penalty(args, max(beams)),
        analyses=_analyses(args.analyses),
        segments=args.segments,
        perfect=args.perfect,
        trusted=args.trust,
    )
    corpora, found, failed = Corpora(), [], False
    for folder in args.folders:
        try:
            found.append({"run": str(folder), **evaluate_run(folder, request, corpora)})
        except (UserError, OSError) as error:  # also a folder that cannot be written
            if len(args.folders) == 1:
                raise
            failed = True
            print(refusal(error, str(folder)), file=sys.stderr)
    if args.json:
        flat = [_flat(each) for each in found]
        print(as_json(flat[0] if len(args.folders) == 1 else flat), end="")
    else:
        _show(found)
    return int(failed)


def _part(args: argparse.Namespace) -> str:
    """The name of what is evaluated."""
    from seq2seq_lab.runs.evaluate import PARTS, SHIFTED

    if not args.data:
        if args.name is not None:
            raise UserError(f"--name {args.name}: names the pairs of --data, which is not given")
        return str(args.split or "test")
    if args.split is not None:
        raise UserError(f"--split {args.split}: a part of the run's own pairs, and --data gives others")
    name = SHIFTED if args.name is None else str(args.name)
    if name in (*PARTS, *_LOGGED) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UserError(f"--name {name}: not a name of other pairs, such as longer (a-z, 0-9 and _)")
    return name


def _beams(text: str) -> list[int]:
    try:
        beams = [int(each) for each in text.split(",")]
    except ValueError:
        raise UserError(f"--beam: {text!r} is not numbers with commas between them, such as 1,5") from None
    if any(beam < 1 for beam in beams):
        raise UserError(f"--beam: {text}: a beam is at least 1")
    return beams


def _analyses(text: str) -> list[Any]:
    from seq2seq_lab.evaluation.analyses import ANALYSES

    if text in ("all", "none"):
        return list(ANALYSES.values()) if text == "all" else []
    names = text.split(",")
    for name in names:
        if name not in ANALYSES:
            raise UserError(
                f"--analyses: {name}: no such analysis{nearest(name, ANALYSES)}; all are {', '.join(ANALYSES)}"
            )
    return [ANALYSES[name] for name in names]


def _settings(given: Sequence[str]) -> dict[str, Any]:
    """Settings of the data, from `data.KEY=VALUE`."""
    from seq2seq_lab.config.texts import read_value

    settings = {}
    for each in given:
        key, equals, value = each.removeprefix("+").removeprefix("data.").partition("=")
        if not equals or not key or "." in key:
            raise UserError(f"--data: {each!r} is not of the form data.KEY=VALUE")
        try:
            settings[key] = read_value(value)
        except ValueError:
            raise UserError(f"--data: {each!r}: the value cannot be read") from None
    return settings


def _flat(found: Mapping[str, Any]) -> dict[str, Any]:
    """The results with each measure at the top."""
    rest = {name: value for name, value in found.items() if name != "measures"}
    return {"run": rest.pop("run"), **found["measures"], **rest}


def _show(found: Sequence[Mapping[str, Any]]) -> None:
    """A table with a row for each run and beam, then what the numbers are."""
    if not found:
        return
    named = [(_name(each), each) for each in found]
    rows = [
        (name, beam, {**each["measures"], **scores})
        for name, each in named
        for beam, scores in each["beams"].items()
    ]
    width = max(len(name) for name, _ in named)
    scores = _GRADED if any(each["task"]["graded"] for each in found) else ("symbol_error_rate",)
    columns = (*scores, *_COLUMNS)
    print(" ".join([f"{'run':{width}}", "beam", *(f"{name:>{_width(name)}}" for name in columns)]))
    for name, beam, values in rows:
        print(" ".join([f"{name:{width}}", f"{beam:>4}", *_cells(values, columns)]))
    _show_near_duplicates(named, width)
    said: dict[tuple[str, ...], list[str]] = {}  # what the numbers are → the runs that it is true of
    for name, each in named:
        said.setdefault(tuple(_facts(each)), []).append(name)
    for lines, names in said.items():
        print("", *([f"{', '.join(names)}:"] if len(said) > 1 else []), *lines, sep="\n")
    others = {name: value for name, value in found[0]["measures"].items() if name not in columns}
    if others and len(found) == 1:
        print(", ".join(f"{name} {value:.4g}" for name, value in others.items()))
    places = [str(Path(each["run"], _folder(each))) for each in found]
    print(f"written to {', '.join(places[:3])}", end="")
    print(f" and {len(found) - 3} more" if len(found) > 3 else "")


def _facts(found: Mapping[str, Any]) -> Iterator[str]:
    """What was evaluated, and how, in lines."""
    yield f"{found['pairs']:,} pairs of {found['part']}{_of(found)}{_left_out(found['left_out'])}"
    task = found["task"]
    symbol = task["token"] if found["units"] == "words" else found["units"].removesuffix("s")
    yield f"losses: in nats per {symbol}, with one <eos> per {task['item']}"
    segment = "source" if found["segments"] == "source" else "pair"
    yield f"scores: each {segment} is one segment, {found['segment_count']:,} in all"
    for name, signature in found["signature"].items():
        yield f"{name}: {signature}, on normalised text, all translations of a source as references"


def _show_near_duplicates(named: Sequence[tuple[str, Mapping[str, Any]]], width: int) -> None:
    """A row for the pairs with a training pair within one word on both sides, and one for the others."""
    tables = [(name, each["analyses"].get("by_near_duplicates")) for name, each in named]
    if not any(table for _, table in tables):
        return
    columns = ("bleu", "exact_match")
    print("\npairs that differ from a training pair in at most one word on each side, and the others")
    print(" ".join([f"{'run':{width}}", f"{'':15} {'pairs':>12}", *(f"{each:>12}" for each in columns)]))
    for name, table in tables:
        for row, group in enumerate(table["group"] if table else ()):
            scores = _cells({each: table[each][row] for each in columns}, columns)
            print(" ".join([f"{name:{width}}", f"{group:15} {table['sentences'][row]:12,}", *scores]))


def _cells(values: Mapping[str, float], columns: Sequence[str]) -> list[str]:
    return [f"{values[name]:{_width(name)}.4f}" if name in values else " " * _width(name) for name in columns]


def _width(name: str) -> int:
    return max(12, len(name))


def _name(found: Mapping[str, Any]) -> str:
    return f"{found['run']} (perfect)" if found["model"] == "perfect" else str(found["run"])


def _folder(found: Mapping[str, Any]) -> str:
    return layout.PERFECT if found["model"] == "perfect" else layout.EVALUATION


def _of(found: Mapping[str, Any]) -> str:
    """What was evaluated."""
    if found["model"] == "perfect":
        return ", the perfect model of its data"
    return (
        f", checkpoint: {'mean of ' + str(found['averaged']) if found['averaged'] else found['checkpoint']}"
    )


def _left_out(numbers: Mapping[str, int]) -> str:
    if not numbers:
        return ""
    return (
        f"; left out: {numbers['pairs_of_corpus']:,} pairs of the run's own corpus, and "
        f"{numbers['with_sentence_of_training']:,} with a source or a target of its training part"
    )
