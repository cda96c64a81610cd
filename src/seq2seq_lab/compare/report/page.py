"""The comparison as one HTML file, which can be opened in any browser without a network.

The templates `page.html.j2` and `macros.html.j2` define the layout; this module computes the data that they show.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from seq2seq_lab import __version__
from seq2seq_lab.compare.grouping import Group, by_corpus
from seq2seq_lab.compare.naming import ABSENT, differing, show
from seq2seq_lab.compare.pairing import METHODS, Pair, headline
from seq2seq_lab.compare.references import named_by
from seq2seq_lab.compare.report import translations
from seq2seq_lab.compare.significance import METRIC, WHAT, OverSentences
from seq2seq_lab.compare.statistics import INTERVALS
from seq2seq_lab.compare.views.columns import heading, metric_columns, p_value, setting_columns
from seq2seq_lab.compare.views.figures import Plot, sample
from seq2seq_lab.runs.reference import Reference
from seq2seq_lab.runs.run import Run

_MANY_PAIRS = 60  # maximum number of rows; the rest is in the CSV file
_PROVENANCE = ("command", "version", "commit", "machine", "started", "seconds")
_Data = dict[str, Any]


@dataclass(frozen=True)
class Contents:
    """The contents of the page; see `Comparison`.

    Attributes:
        plots: each plot with its panels, title → SVG element.
    """

    title: str
    runs: Sequence[Run]
    groups: Sequence[Group]
    metrics: Sequence[str]
    pairs: Sequence[Pair]
    over_sentences: Sequence[OverSentences]
    plots: Sequence[tuple[Plot, Mapping[str, str]]]
    references: Sequence[Reference]
    notes: Sequence[str]
    caveats: Sequence[str]


def page(contents: Contents) -> str:
    """The page as HTML text."""
    found, damaged = translations.of_groups(contents.groups)
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            title=contents.title,
            version=__version__,
            style=Markup(_read("report.css")),
            runs=len(contents.runs),
            averaged=sum(len(group.runs) for group in contents.groups),
            groups=len(contents.groups),
            parts=[_results(*each, contents.metrics) for each in by_corpus(contents.groups).items()],
            evaluated=list(_evaluated(contents.groups)),
            caveats=contents.caveats,
            notes=[*contents.notes, *damaged],
            plots=[_plot(*each) for each in contents.plots],
            references=[_reference(each, contents.groups) for each in contents.references],
            pairs=list(_pairs(contents.pairs)),
            over_sentences=[(e.pair.title, e.over_sentences, e.over_seeds) for e in contents.over_sentences],
            methods=METHODS,
            intervals=INTERVALS,
            two_kinds=WHAT,
            over_sentences_metric=METRIC,
            translations=translations.section(found),
            configurations=_configurations(contents.groups),
            provenance_columns=("run", "seed", "status", "epochs", *_PROVENANCE),
            provenance=[_provenance(run) for run in contents.runs],
        )
    )


def environment() -> Environment:
    """The Jinja environment with the templates of this folder; everything except `Markup` is escaped."""
    return Environment(
        loader=FunctionLoader(_read),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _read(name: str) -> str:
    return files("seq2seq_lab.compare.report").joinpath(name).read_text(encoding="utf-8")


def _results(title: str, groups: Sequence[Group], metrics: Sequence[str]) -> _Data:
    """The table of the groups on one corpus."""
    left = setting_columns(groups)
    right = {metric: metric_columns(groups, metric) for metric in metrics}
    names, *rows = zip(*left, *(column for columns in right.values() for column in columns), strict=True)
    corpus = groups[0].corpus
    floor = f"; loss floor {corpus.loss_floor:.4f}" if corpus.loss_floor is not None else ""
    return {
        "title": title.removeprefix(" · ").capitalize(),
        "corpus": (corpus.origin or "unknown corpus") + floor,
        "settings": len(left),
        "metrics": [(heading(groups, metric), len(columns)) for metric, columns in right.items()],
        "names": names,
        "rows": rows,
    }


def _evaluated(groups: Sequence[Group]) -> Iterator[_Data]:
    """For each part of the data, all measures of the trained models."""
    metrics = dict.fromkeys(metric for group in groups for metric in group.evaluated)
    for part in dict.fromkeys(metric.rpartition("/")[0] for metric in metrics):
        of_part = [metric for metric in metrics if metric.rpartition("/")[0] == part]
        tables = (
            _results(title, [group for group in on_corpus if set(of_part) & set(group.evaluated)], of_part)
            for title, on_corpus in by_corpus(groups).items()
            if any(set(of_part) & set(group.evaluated) for group in on_corpus)
        )
        yield {"part": part, "tables": list(tables)}


def _plot(plot: Plot, panels: Mapping[str, str]) -> _Data:
    return {
        "title": plot.title,
        "legend": [{"label": label, **sample(look)} for label, look in plot.legend.items()],
        "panels": {title: Markup(drawing) for title, drawing in panels.items()},
    }


def _reference(reference: Reference, groups: Sequence[Group]) -> tuple[str, ...]:
    """A row: name, metric, epochs, last value, and the groups that name it."""
    first, last = min(reference.values), max(reference.values)
    epochs = str(first) if first == last else f"{first}–{last}"
    labels = "; ".join(group.label for group in named_by(reference, groups))
    return reference.name, reference.metric, epochs, f"{reference.values[last]:.5g}", labels


def _pairs(pairs: Sequence[Pair]) -> Iterator[_Data]:
    """The differences, metric by metric; those of the headline metric are visible when the page is opened."""
    for metric in dict.fromkeys(pair.metric for pair in pairs):
        of_metric = [pair for pair in pairs if pair.metric == metric]
        yield {
            "heading": heading([of_metric[0].first], metric),
            "open": metric == headline(pairs),
            "rows": [
                (p.title, p.interval, p_value(p.adjusted), p.difference.method, p.difference.seeds, p.verdict)
                for p in of_metric[:_MANY_PAIRS]
            ],
            "more": max(0, len(of_metric) - _MANY_PAIRS),
        }


def _configurations(groups: Sequence[Group]) -> _Data | None:
    """How the configuration of every other group differs from that of the first."""
    if len(groups) < 2:
        return None
    first, *others = groups
    keys = differing([group.config for group in groups])
    return {
        "first": first.label,
        "others": [
            (group.label, [change for key in keys if (change := _change(key, first.config, group.config))])
            for group in others
        ],
    }


def _change(key: str, first: Mapping[str, Any], other: Mapping[str, Any]) -> _Data | None:
    values = [config.get(key, ABSENT) for config in (first, other)]
    if not differing([{key: value} for value in values]):
        return None
    before, after = (show(config[key]) if key in config else None for config in (first, other))
    return {"key": key, "before": before, "after": after}


def _provenance(run: Run) -> list[str]:
    summary = run.summary()
    values = (run.seed, run.status, run.epochs, *(summary.get(key) for key in _PROVENANCE))
    return [run.name, *map(_cell, values)]


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.0f}" if isinstance(value, float) else str(value)
