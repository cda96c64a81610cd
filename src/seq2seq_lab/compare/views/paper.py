"""The comparison as tables for a paper: LaTeX, Markdown or CSV."""

import csv
import html
import io
import math
from collections.abc import Sequence
from typing import Literal

from seq2seq_lab.compare.comparable import incomparable
from seq2seq_lab.compare.corpora import by_corpus
from seq2seq_lab.compare.grouping import Group
from seq2seq_lab.compare.naming import independent
from seq2seq_lab.compare.pairing import METHODS, Pair, headline
from seq2seq_lab.compare.statistics import INTERVALS
from seq2seq_lab.compare.tasks import WHAT, OverTasks
from seq2seq_lab.compare.views.columns import (
    heading,
    intervals,
    means,
    measured,
    p_value,
    setting,
    setting_keys,
    task_columns,
)
from seq2seq_lab.compare.views.csv import plain_text
from seq2seq_lab.compare.views.latex import label, latex
from seq2seq_lab.compare.views.table import Cell, Column, Table, text_of
from seq2seq_lab.evaluation.measures import TEST

Format = Literal["latex", "markdown", "csv"]
_TESTS = {"paired by seed": "paired", "Welch": "Welch"}
_MOST_PAIRS = 24  # in LaTeX, so that they fit a page


def chosen(metrics: Sequence[str]) -> list[str]:
    """Of the metrics that are shown by default, those of a paper: of the test part if there are any, else held-out."""
    for part in (TEST, "val"):
        if found := [metric for metric in metrics if metric.startswith(f"{part}/")]:
            return found
    return list(metrics)


def tables(
    groups: Sequence[Group],
    metrics: Sequence[str],
    pairs: Sequence[Pair],
    form: Format,
    over_tasks: Sequence[OverTasks] = (),
) -> str:
    """The groups on each corpus, all tasks together, and the pairs that are compared, in a format."""
    made = [_results(on_corpus, metrics, corpus) for corpus, on_corpus in by_corpus(groups).items()]
    over = [_over_tasks(each) for each in over_tasks]
    if form == "csv":  # which has no captions
        made = [_with(table, corpus=corpus) for table, corpus in zip(made, by_corpus(groups), strict=True)]
        over = [
            _with(table, metric=each.metric, reference=each.reference)
            for table, each in zip(over, over_tasks, strict=True)
        ]
    made += over
    compared = [pair for pair in pairs if pair.difference.n > 1 and pair.metric in metrics]
    if form == "latex":
        on = {
            corpus: [pair for pair in compared if pair.first in its]
            for corpus, its in by_corpus(groups).items()
        }
        made += [_differences(several, corpus, most=_MOST_PAIRS) for corpus, several in on.items() if several]
    elif compared:
        made.append(_differences(compared))
    return "\n".join(_WRITERS[form](table) for table in made)


def _with(table: Table, **said: str) -> Table:
    """A table with first columns for what is said of all of its rows; an empty text has none."""
    first = [Column(name, [text] * len(table.rows)) for name, text in said.items() if text]
    return table._replace(names=[*first, *table.names])


def _over_tasks(compared: OverTasks) -> Table:
    names, rows = task_columns(compared)
    names[-1] = "P(better)"  # than the reference, which the caption names
    several = [each for each in compared.methods if min(each.runs) > 1]
    most = max((each.iqm.value for each in several), default=None)
    cells = [
        [
            Cell(text, name == "IQM" and each in several and each.iqm.value == most)
            for name, text in zip(names, row, strict=True)
        ]
        for row, each in zip(rows, compared.methods, strict=True)
    ]
    method, *values = (
        Column(name, column) for name, column in zip(names, zip(*cells, strict=True), strict=True)
    )
    return Table(
        [method],
        values,
        [each.name for each in compared.methods],
        "method",
        f"{compared.metric} over {len(compared.tasks)} tasks: {', '.join(compared.tasks)}. Reference method: "
        f"{compared.reference}. {WHAT}",
        label("tasks", compared.metric),
    )


def _results(
    groups: Sequence[Group], metrics: Sequence[str], corpus: str = "", *, with_intervals: bool = True
) -> Table:
    own = any(group.own_label for group in groups)
    # Without intervals a table is brief: what another setting determines is not said.
    apart = setting_keys(groups) if with_intervals else independent([group.settings for group in groups])
    keys = [] if own else apart
    names = [Column(key, [setting(group, key) for group in groups]) for key in keys]
    names = names or [Column("group", [group.own_label or group.label for group in groups])]
    values = [_column(groups, metric, with_intervals=with_intervals) for metric in measured(groups, metrics)]
    seeds = sorted({run.seed for group in groups for run in group.runs if run.seed is not None})
    counts = sorted({len(group.runs) for group in groups})
    number = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    of_corpus = f"{groups[0].corpus.origin or corpus}. " if corpus else ""
    between = f", and the 95 % interval of the mean ({INTERVALS})" if with_intervals else ""
    caption = (
        f"{of_corpus}Mean ± standard deviation over {number} seeds ({', '.join(map(str, seeds))}){between}; "
        "curves: their last value. Bold: the best mean of a column among those of "
        "several seeds, where they compare; it need not be distinguishable from the others."
    )
    rows = [
        ", ".join(f"{key}={its}" for key in keys if (its := setting(group, key)))
        or group.own_label
        or group.label
        for group in groups
    ]
    tag = label("results", corpus.removeprefix("corpus "))
    brief = _results(groups, metrics, corpus, with_intervals=False) if with_intervals else None
    return Table(names, values, rows, "group", caption, tag, brief=brief)


def _column(groups: Sequence[Group], metric: str, *, with_intervals: bool) -> Column:
    """A metric: mean, standard deviation and interval, the best in bold where there is one to be called so."""
    estimates = [group.last(metric) for group in groups]
    measure = groups[0].measure(metric)
    several = [each.mean for each in estimates if each.n > 1 and math.isfinite(each.mean)]
    judged = measure.better is not None and not incomparable(groups, metric) and len(set(several)) > 1
    best = (max if measure.better == "higher" else min)(several) if judged else None
    cells = zip(means(groups, estimates), intervals(estimates, measure.bounds), estimates, strict=True)
    return Column(
        heading(groups, metric),
        [
            Cell(
                f"{text} {interval}" if with_intervals and each.n > 1 else text,
                each.n > 1 and each.mean == best,
            )
            for text, interval, each in cells
        ],
    )


def _differences(pairs: Sequence[Pair], corpus: str = "", *, most: int | None = None) -> Table:
    """The pairs; where they are more than `most`, the first ones of the headline metric."""
    every = len(pairs)
    if most is not None and every > most:
        pairs = [pair for pair in pairs if pair.metric == headline(pairs)][:most]
    more = f" {every - len(pairs)} more are in pairs.csv." if every > len(pairs) else ""
    values = [
        Column("difference", [pair.interval for pair in pairs]),
        Column("p", [p_value(pair.difference.p) for pair in pairs]),
        Column(
            "p (Holm)",
            [Cell(p_value(pair.adjusted), pair.distinguished and pair.comparable) for pair in pairs],
        ),
        Column("test", [pair.difference.method for pair in pairs]),
        Column("seeds", [pair.difference.seeds for pair in pairs]),
    ]
    caption = (
        f"Differences with 95 % intervals and the p of a two-sided t-test. {METHODS} p (Holm): corrected for all pairs "
        "of the metric that were compared; bold: below 0.05, of what compares. –: no variation over the seeds, or a "
        f"run diverged.{more}"
    )
    titles = [pair.change if corpus else pair.title for pair in pairs]
    sections = [pair.metric for pair in pairs]
    names = Column("from → to", titles)
    tag = label("differences", corpus.removeprefix("corpus "))
    tests = [f"{_TESTS[pair.difference.method]}, {pair.difference.seeds}" for pair in pairs]
    brief = Table(
        [names],
        [values[0], values[2], Column("test, seeds", tests)],
        titles,
        names.name,
        caption,
        tag,
        sections,
    )
    return Table([names], values, titles, names.name, caption, tag, sections, brief)


def _csv(table: Table) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    columns = _with_sections(table)
    writer.writerow(plain_text(column.name) for column in columns)
    writer.writerows(
        zip(*([plain_text(text_of(cell)) for cell in column.cells] for column in columns), strict=True)
    )
    return text.getvalue()


def _markdown(table: Table) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(html.escape(cell, quote=False).replace("|", "\\|") for cell in cells) + " |"

    columns = _with_sections(table)
    cells = [
        [f"**{text_of(cell)}**" if _is_best(cell) else text_of(cell) for cell in its.cells] for its in columns
    ]
    rows = [[column.name for column in columns], ["---"] * len(columns), *zip(*cells, strict=True)]
    return "\n".join([*map(line, rows), "", html.escape(table.caption, quote=False), ""])


def _with_sections(table: Table) -> list[Column]:
    """All columns, with that of the sections first, where there are any."""
    first = [Column("metric", table.sections)] if table.sections else []
    return [*first, *table.names, *table.values]


def _is_best(cell: Cell | str) -> bool:
    return isinstance(cell, Cell) and cell.best


_WRITERS = {"latex": latex, "markdown": _markdown, "csv": _csv}
