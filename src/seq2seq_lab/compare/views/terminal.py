"""The comparison as text for the terminal."""

import os
import shlex
import shutil
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from seq2seq_lab.compare.corpora import by_corpus
from seq2seq_lab.compare.grouping import Group
from seq2seq_lab.compare.pairing import Pair, headline
from seq2seq_lab.compare.significance import METRIC, OverSentences, two_kinds
from seq2seq_lab.compare.tasks import WHAT as WHAT_OF_TASKS
from seq2seq_lab.compare.tasks import OverTasks
from seq2seq_lab.compare.views.columns import (
    heading,
    measured,
    metric_columns,
    setting_columns,
    task_columns,
)
from seq2seq_lab.errors import printable
from seq2seq_lab.runs import layout

_GAP = "    "
_FEW_PAIRS = 12
_NARROW = 40  # characters that a line has at least
_PLAIN = {"±": "+/-", "→": "->", "↑": "^", "↓": "v", "–": "-", "·": "-"}


def results(groups: Sequence[Group], metrics: Sequence[str], pairs: Sequence[Pair]) -> str:
    """A table of the groups on each corpus, and the differences in the metrics shown."""
    parts = []
    for corpus, on_corpus in by_corpus(groups).items():
        origin = on_corpus[0].corpus.origin
        parts.append(": ".join(filter(None, (corpus, origin if corpus else ""))))
        parts.append(render(on_corpus, metrics))
    if compared := [each for each in pairs if each.difference.n > 1]:
        parts.append(_differences(compared))
    elif pairs:
        parts.append(
            "With one seed, a difference cannot be distinguished from chance; train several seeds: seed=0,1,2"
        )
    return "\n\n".join(filter(None, parts))


def _differences(pairs: Sequence[Pair]) -> str:
    """All pairs if they are few, else the first ones of the headline metric."""
    shown = list(pairs)
    if len(shown) > _FEW_PAIRS:
        metric = headline(pairs)
        shown = [each for each in pairs if each.metric == metric][:_FEW_PAIRS]
    rest = len(pairs) - len(shown)
    head = "Difference of the last values, its 95 % interval and its test"
    head = wrapped(f"{head} ({rest} more in pairs.csv):" if rest else f"{head}:")
    lines = [
        f"  {line}"
        for line in aligned([(p.metric, p.title, p.interval, p.difference.method, p.verdict) for p in shown])
    ]
    if max(map(len, lines)) > _columns():  # the title of each above its numbers
        numbers = aligned(
            [(each.metric, each.interval, each.difference.method, each.verdict) for each in shown]
        )
        lines = [
            text
            for each, line in zip(shown, numbers, strict=True)
            for text in (wrapped(each.title, "  "), wrapped(line, "    "))
        ]
    return "\n".join([head, *lines])


def _columns() -> int:
    """The width of the terminal."""
    return max(_NARROW, shutil.get_terminal_size((100, 24)).columns)


def wrapped(text: str, indent: str = "") -> str:
    """A text in as many lines as the terminal needs, broken between words."""
    return textwrap.fill(
        text,
        _columns(),
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def over_sentences(several: Sequence[OverSentences]) -> str:
    """Groups compared over the sentences of the test part, beside the comparison over seeds."""
    if not several:
        return ""
    lines = ["", wrapped(f"{METRIC}, two kinds of chance. {two_kinds(several[0].items)}")]
    for each in several:
        lines += [
            wrapped(each.pair.title, "  "),
            wrapped(f"over {each.items}: {each.over_sentences}", "    "),
            wrapped(f"over seeds: {each.over_seeds}", "    "),
        ]
    return "\n".join(lines)


def over_tasks(several: Sequence[OverTasks]) -> str:
    """Methods compared over all tasks, metric by metric."""
    if not several:
        return ""
    lines = [
        "",
        wrapped(f"Over {len(several[0].tasks)} tasks: {', '.join(several[0].tasks)}. {WHAT_OF_TASKS}"),
    ]
    for each in several:
        names, rows = task_columns(each)
        lines += ["", each.metric, *(f"  {line}" for line in aligned([names, *rows]))]
    return "\n".join(lines)


def notes(several: Sequence[str]) -> str:
    """The notes, each from a line of its own."""
    return "".join(f"\n{wrapped(f'Note: {each}')}" for each in several)


def written(output: Path) -> str:
    """The paths of the written files, to print."""
    if output.resolve().is_relative_to(Path.cwd()):
        output = output.resolve().relative_to(Path.cwd())
    return (
        f"\nReport: {output / layout.REPORT}\n"
        f"TensorBoard: tensorboard --logdir {shlex.quote(str(output / layout.TENSORBOARD))}"
        "  (means and bands: Custom Scalars)"
    )


def render(groups: Sequence[Group], metrics: Sequence[str], *, width: int | None = None) -> str:
    """The table for a terminal: as many metrics side by side as fit its width, the others below."""
    width = width or _columns()
    left = _side_by_side("", setting_columns(groups))
    blocks: list[list[list[str]]] = []
    for metric in measured(groups, metrics):
        column = _side_by_side(heading(groups, metric), metric_columns(groups, metric))
        if blocks and sum(len(c[0]) + len(_GAP) for c in blocks[-1]) + len(column[0]) <= width:
            blocks[-1].append(column)
        else:
            blocks.append([left, column])
    lines = ([_GAP.join(row).rstrip() for row in zip(*block, strict=True)] for block in blocks)
    return "\n\n".join("\n".join(block) for block in lines)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows as lines with aligned columns."""
    sizes = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(c.ljust(n) for c, n in zip(row, sizes, strict=True)).rstrip() for row in rows]


def _side_by_side(title: str, columns: Sequence[Sequence[str]]) -> list[str]:
    """Columns joined into one under a title, with lines of equal length."""
    rows = aligned(list(zip(*columns, strict=True)))
    size = max(map(len, (title, *rows)))
    return [line.ljust(size) for line in (title, *rows)]


def write(text: str, stream: TextIO) -> None:
    """Print a text to a stream, if it is not empty; characters that the encoding does not contain are replaced."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    for sign, plain in _PLAIN.items():
        if sign.encode(encoding, errors="ignore") == b"":
            text = text.replace(sign, plain)
    text = printable(text)
    try:
        if text:
            print(text.encode(encoding, errors="replace").decode(encoding), file=stream, flush=True)
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe; the files are still written
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
