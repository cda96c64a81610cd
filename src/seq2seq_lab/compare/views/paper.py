"""The comparison as tables for a paper: LaTeX, Markdown or CSV."""

import csv
import html
import io
import math
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from seq2seq_lab.compare.grouping import Group, by_corpus
from seq2seq_lab.compare.pairing import METHODS, Pair
from seq2seq_lab.compare.statistics import INTERVALS
from seq2seq_lab.compare.tasks import WHAT, OverTasks
from seq2seq_lab.compare.views.columns import (
    formatted,
    heading,
    intervals,
    p_value,
    setting,
    setting_keys,
    task_columns,
)
from seq2seq_lab.compare.views.csv import plain_text

Format = Literal["latex", "markdown", "csv"]
FORMATS: tuple[Format, ...] = ("latex", "markdown", "csv")
_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "→": r"$\rightarrow$",
    "±": r"$\pm$",
    "–": "--",
    "−": "$-$",
}


class Cell(NamedTuple):
    """The text of a cell, and whether it is the best of its column."""

    text: str
    best: bool = False


class Table(NamedTuple):
    """A table, with what stands below it."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str


def tables(
    groups: Sequence[Group],
    metrics: Sequence[str],
    pairs: Sequence[Pair],
    form: Format,
    over_tasks: Sequence[OverTasks] = (),
) -> str:
    """The groups on each corpus, all tasks together, and the pairs that differ in one setting, in a format."""
    made = [_results(on_corpus, metrics, title) for title, on_corpus in by_corpus(groups).items()]
    made += [_over_tasks(each) for each in over_tasks]
    if compared := [pair for pair in pairs if pair.difference.n > 1]:
        made.append(_differences(compared))
    return "\n".join(_WRITERS[form](table) for table in made)


def _over_tasks(compared: OverTasks) -> Table:
    names, rows = task_columns(compared)
    most = max(each.iqm.value for each in compared.methods)
    cells = [
        [Cell(text, name == "IQM" and each.iqm.value == most) for name, text in zip(names, row, strict=True)]
        for row, each in zip(rows, compared.methods, strict=True)
    ]
    return Table(
        names,
        cells,
        f"{compared.metric} over {len(compared.tasks)} tasks: {', '.join(compared.tasks)}. {WHAT}",
    )


def _results(groups: Sequence[Group], metrics: Sequence[str], title: str = "") -> Table:
    keys = setting_keys(groups)
    columns = [[Cell(setting(group, key)) for group in groups] for key in keys]
    names = list(keys)
    if not keys:
        names, columns = ["group"], [[Cell(group.label) for group in groups]]
    for metric in metrics:
        estimates = [group.last(metric) for group in groups]
        if not any(each.n for each in estimates):
            continue
        better = groups[0].measure(metric).better
        means = [each.mean for each in estimates if each.n and math.isfinite(each.mean)]
        best = None if better is None or not means else (max if better == "higher" else min)(means)
        bounds = groups[0].measure(metric).bounds
        cells = zip(formatted(estimates), intervals(estimates, bounds), estimates, strict=True)
        columns.append(
            [
                Cell(f"{text} {interval}" if each.n > 1 else text, bool(each.n) and each.mean == best)
                for text, interval, each in cells
            ]
        )
        names.append(heading(groups, metric))
    seeds = sorted({run.seed for group in groups for run in group.runs if run.seed is not None})
    counts = sorted({len(group.runs) for group in groups})
    number = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    of_corpus = f"{groups[0].corpus.origin or title.removeprefix(' · ')}. " if title else ""
    caption = (
        f"{of_corpus}Mean ± standard deviation over {number} seeds ({', '.join(map(str, seeds))}), and the 95 % "
        f"interval of the mean ({INTERVALS}); curves: their last value. Bold: the best mean of a column, which need "
        "not be distinguishable from the others."
    )
    return Table(names, list(zip(*columns, strict=True)), caption)


def _differences(pairs: Sequence[Pair]) -> Table:
    rows = [
        [
            Cell(pair.metric),
            Cell(pair.title),
            Cell(pair.interval),
            Cell(p_value(pair.difference.p)),
            Cell(p_value(pair.adjusted), pair.distinguished),
            Cell(pair.difference.method),
            Cell(pair.difference.seeds),
        ]
        for pair in pairs
    ]
    caption = (
        f"Differences with 95 % intervals and the p of a two-sided t-test. {METHODS} p (Holm): corrected for all pairs "
        "of the metric that were compared; bold: below 0.05. –: no variation over the seeds, or a run diverged."
    )
    return Table(["metric", "from → to", "difference", "p", "p (Holm)", "test", "seeds"], rows, caption)


def _csv(table: Table) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(plain_text, table.columns))
    writer.writerows([plain_text(cell.text) for cell in row] for row in table.rows)
    return text.getvalue()


def _markdown(table: Table) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(html.escape(cell, quote=False).replace("|", "\\|") for cell in cells) + " |"

    rows = [[f"**{cell.text}**" if cell.best else cell.text for cell in row] for row in table.rows]
    rule = ["---"] * len(table.columns)
    return "\n".join(
        [*map(line, [table.columns, rule, *rows]), "", html.escape(table.caption, quote=False), ""]
    )


def _latex(table: Table) -> str:
    def line(cells: Sequence[str]) -> str:
        return "  " + " & ".join(cells) + r" \\"

    rows = [
        [rf"\textbf{{{_escaped(cell.text)}}}" if cell.best else _escaped(cell.text) for cell in row]
        for row in table.rows
    ]
    return "\n".join(
        [
            "% \\usepackage{booktabs}",
            r"\begin{table}",
            r"\centering",
            rf"\begin{{tabular}}{{{'l' * len(table.columns)}}}",
            r"  \toprule",
            line([_escaped(name) for name in table.columns]),
            r"  \midrule",
            *map(line, rows),
            r"  \bottomrule",
            r"\end{tabular}",
            rf"\caption{{{_escaped(table.caption)}}}",
            r"\end{table}",
            "",
        ]
    )


def _escaped(text: str) -> str:
    text = re.sub("[" + re.escape("".join(_LATEX)) + "]", lambda found: _LATEX[found[0]], text)
    return text.replace("< 0", "$<$ 0")


_WRITERS = {"latex": _latex, "markdown": _markdown, "csv": _csv}
