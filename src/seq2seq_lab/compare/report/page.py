"""The comparison as one page that opens in any browser, from disk, without a network."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Any

from seq2seq_lab import __version__
from seq2seq_lab.compare.grouping import Group, by_corpus
from seq2seq_lab.compare.naming import ABSENT, differing, show
from seq2seq_lab.compare.pairing import Pair, headline
from seq2seq_lab.compare.report import translations
from seq2seq_lab.compare.runs import Run
from seq2seq_lab.compare.views.figures import Plot, drawings, sample
from seq2seq_lab.compare.views.table import heading, metric_columns, setting_columns

_MANY_PAIRS = 60  # rows; the rest is in the CSV file
_PROVENANCE = ("command", "version", "commit", "machine", "started", "seconds")


@dataclass(frozen=True)
class Contents:
    """All that the page tells of."""

    title: str
    runs: Sequence[Run]
    groups: Sequence[Group]
    metrics: Sequence[str]
    pairs: Sequence[Pair]
    plots: Sequence[Plot]
    notes: Sequence[str]
    caveats: Sequence[str]


def page(contents: Contents) -> str:
    """The whole page as text."""
    found, damaged = translations.of_groups(contents.groups)
    notes = [*contents.notes, *damaged]
    sections = {
        "Results": _results(contents.groups, contents.metrics) + _caveats(contents.caveats),
        "To bear in mind": _list(notes) if notes else "",
        **{plot.title: _plot(plot) for plot in contents.plots},
        "Differences, paired by seed": _pairs(contents.pairs),
        "The same sentences": translations.section(found) if found else "",
        "Configurations": _differences(contents.groups),
        "What was run": _provenance(contents.runs),
    }
    body = "\n".join(
        f'<section id="s{n}"><h2>{escape(title)}</h2>\n{text}\n</section>'
        for n, (title, text) in enumerate(sections.items())
        if text
    )
    style = files("seq2seq_lab.compare.report").joinpath("report.css").read_text(encoding="utf-8")
    done = sum(len(group.runs) for group in contents.groups)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(contents.title)}</title>
<style>
{style}</style>
</head>
<body>
<header><h1>{escape(contents.title)}</h1>
<p>{len(contents.runs)} runs, {done} of them averaged, in {len(contents.groups)} groups.</p></header>
{body}
<footer><p>Written by seq2seq-lab {escape(__version__)}. The numbers behind the page lie beside it:
<code>results.csv</code>, <code>summary.csv</code>, <code>pairs.csv</code>.</p></footer>
</body>
</html>
"""


def _list(items: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"


def _caveats(caveats: Sequence[str]) -> str:
    return "".join(f'<p class="caveat">{escape(caveat)}</p>' for caveat in caveats)


def _table(head: str, rows: Iterable[str]) -> str:
    return f'<div class="wide"><table><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table></div>'


def _row(cells: Iterable[str], tag: str = "td") -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _results(groups: Sequence[Group], metrics: Sequence[str]) -> str:
    tables = []
    for title, on_corpus in by_corpus(groups).items():
        left = setting_columns(on_corpus)
        right = {metric: metric_columns(on_corpus, metric) for metric in metrics}
        over = "".join(f'<th colspan="{len(c)}">{escape(heading(m))}</th>' for m, c in right.items())
        columns = [*left, *(column for both in right.values() for column in both)]
        names, *rows = zip(*columns, strict=True)
        head = f'<tr><td colspan="{len(left)}"></td>{over}</tr>{_row(names, "th")}'
        corpus = on_corpus[0].corpus
        facts = corpus.origin or "a corpus that the runs do not name"
        floor = f"; loss floor {corpus.loss_floor:.4f}" if corpus.loss_floor is not None else ""
        part = f"<h3>{escape(title.removeprefix(' · ').capitalize())}</h3>" if title else ""
        tables.append(f"{part}<p>On {escape(facts + floor)}.</p>{_table(head, map(_row, rows))}")
    note = "<p>Mean ± sample standard deviation over n seeds, of each run's last and best value.</p>"
    return "\n".join(tables) + note


def _pairs(pairs: Sequence[Pair]) -> str:
    if not pairs:
        return ""
    first = headline(pairs)
    parts = ["<p>Second less first in the last epoch: mean over the seeds that both have, Student's t.</p>"]
    for metric in dict.fromkeys(pair.metric for pair in pairs):
        shown = [pair for pair in pairs if pair.metric == metric]
        head = _row(("from → to", "difference [95 % interval]", "seeds", "in words"), "th")
        rows = (_row((p.title, p.interval, str(p.difference.n), p.verdict)) for p in shown[:_MANY_PAIRS])
        rest = len(shown) - _MANY_PAIRS
        more = f"<p>{rest} more in <code>pairs.csv</code>.</p>" if rest > 0 else ""
        state = " open" if metric == first else ""
        summary = f"<summary>{escape(heading(metric))}</summary>"
        parts.append(f"<details{state}>{summary}{_table(head, rows)}{more}</details>")
    if len(pairs) > 1:
        parts.append("<p>One in twenty of such intervals misses the true difference by chance alone.</p>")
    return "\n".join(parts)


def _plot(plot: Plot) -> str:
    panels = "".join(
        f'<figure><figcaption>{escape(title)}</figcaption><div class="wide">{drawing}</div></figure>'
        for title, drawing in drawings(plot).items()
    )
    legend = "".join(f"<li>{sample(look)} {escape(label)}</li>" for label, look in plot.legend.items())
    return f'<ul class="legend">{legend}</ul><div class="panels">{panels}</div>'


def _differences(groups: Sequence[Group]) -> str:
    if len(groups) < 2:
        return ""
    first, *others = groups
    keys = differing([group.config for group in groups])
    rows = []
    for group in others:
        changes = "".join(
            f"<li><code>{escape(key)}</code>: {_value(first.config, key)} → {_value(group.config, key)}</li>"
            for key in keys
            if differing([{key: first.config.get(key, ABSENT)}, {key: group.config.get(key, ABSENT)}])
        )
        rows.append(f'<tr><th scope="row">{escape(group.label)}</th><td><ul>{changes}</ul></td></tr>')
    return f"<p>Against <b>{escape(first.label)}</b>:</p>" + _table("", rows)


def _value(config: Mapping[str, Any], key: str) -> str:
    return escape(show(config[key])) if key in config else f"<em>{ABSENT}</em>"


def _provenance(runs: Sequence[Run]) -> str:
    head = _row(("run", "seed", "status", "epochs", *_PROVENANCE), "th")
    rows = (
        _row(
            (
                run.name,
                _said(run.seed),
                run.status,
                str(run.epochs),
                *(_said(run.summary.get(k)) for k in _PROVENANCE),
            )
        )
        for run in runs
    )
    return f"<details><summary>{len(runs)} runs</summary>{_table(head, rows)}</details>"


def _said(value: Any) -> str:
    return "" if value is None else f"{value:.0f}" if isinstance(value, float) else str(value)
