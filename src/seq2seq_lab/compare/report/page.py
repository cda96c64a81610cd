"""The comparison as one HTML file, which can be opened in any browser without a network.

The templates `page.html.j2` and `macros.html.j2` define the layout; this module computes the data that they show.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from itertools import chain
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from seq2seq_lab import __version__
from seq2seq_lab.compare.corpora import by_corpus
from seq2seq_lab.compare.grouping import Group
from seq2seq_lab.compare.naming import TARGET, differing, told_apart
from seq2seq_lab.compare.pairing import METHODS, Pair, headline
from seq2seq_lab.compare.references import named_by
from seq2seq_lab.compare.report import translations
from seq2seq_lab.compare.significance import METRIC, two_kinds
from seq2seq_lab.compare.statistics import INTERVALS
from seq2seq_lab.compare.tasks import WHAT as WHAT_OF_TASKS
from seq2seq_lab.compare.views.columns import (
    heading,
    measured,
    metric_columns,
    p_value,
    setting_columns,
    task_columns,
)
from seq2seq_lab.compare.views.figures import Plot, sample
from seq2seq_lab.runs.annotations import read_annotations
from seq2seq_lab.runs.layout import INCIDENTAL
from seq2seq_lab.runs.reference import Reference
from seq2seq_lab.runs.run import Run

if TYPE_CHECKING:
    from seq2seq_lab.compare.comparison import Comparison

_WIDE = 130  # characters of a table's row, at which it fits a page of 75rem
_MANY_PAIRS = 60  # maximum number of rows; the rest is in the CSV file
_PROVENANCE = ("command", "version", "commit", "machine", "started", "seconds")
_Data = dict[str, Any]


def page(comparison: "Comparison", title: str, plots: Sequence[tuple[Plot, Mapping[str, str]]]) -> str:
    """The page as HTML text.

    Args:
        plots: each plot with its panels, title → SVG element.
    """
    groups = comparison.groups
    found, damaged = translations.of_groups(groups)
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            title=title,
            version=__version__,
            style=Markup(_read("report.css")),
            runs=len(comparison.runs),
            averaged=sum(len(group.runs) for group in groups),
            groups=len(groups),
            parts=[_results(*each, comparison.metrics) for each in by_corpus(groups).items()],
            evaluated=list(_evaluated(groups)),
            caveats=comparison.caveats,
            notes=[*comparison.notes, *damaged],
            plots=[_plot(*each) for each in plots],
            references=[_reference(each, groups) for each in comparison.references],
            pairs=list(_pairs(comparison.shown_pairs)),
            several_intervals=sum(pair.difference.df > 0 for pair in comparison.shown_pairs) > 1,
            over_sentences=[
                (e.pair.title, e.over_sentences, e.over_seeds) for e in comparison.over_sentences
            ],
            over_tasks=[(each.metric, *task_columns(each)) for each in comparison.over_tasks],
            tasks=", ".join(comparison.over_tasks[0].tasks) if comparison.over_tasks else "",
            what_of_tasks=WHAT_OF_TASKS,
            methods=METHODS,
            intervals=INTERVALS,
            two_kinds=two_kinds(_items(groups)),
            over_sentences_metric=METRIC,
            translations=translations.section(found),
            items=_items(groups),
            configurations=_configurations(groups),
            provenance_columns=("run", "seed", "status", "epochs", "tags", "note", *_PROVENANCE),
            provenance=[_provenance(run) for run in comparison.runs],
        )
    )


def _items(groups: Sequence[Group]) -> str:
    """What the sources are, in the plural."""
    items = {each.corpus.item for each in groups}
    return f"{items.pop()}s" if len(items) == 1 else "sources"


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


def _results(name: str, groups: Sequence[Group], metrics: Sequence[str]) -> _Data:
    """The tables of the groups on one corpus: of as many metrics each as fit beside each other on a page."""
    corpus = groups[0].corpus
    floor = f"; loss floor {corpus.loss_floor:.4f}" if corpus.loss_floor is not None else ""
    left = setting_columns(groups)
    blocks: list[dict[str, list[list[str]]]] = [{}]
    for metric in measured(groups, metrics):
        columns = metric_columns(groups, metric)
        if blocks[-1] and _width([*left, *chain(*blocks[-1].values()), *columns]) > _WIDE:
            blocks.append({})
        blocks[-1][metric] = columns
    return {
        "title": f"Corpus {name.removeprefix('corpus ')}" if name else "",
        "corpus": (corpus.origin or "unknown corpus") + floor,
        "tables": [_table(groups, left, block) for block in blocks],
    }


def _width(columns: Sequence[Sequence[str]]) -> int:
    """The characters of the longest cell of each column, with the space between columns."""
    return sum(max(map(len, column)) + 2 for column in columns)


def _table(groups: Sequence[Group], left: list[list[str]], right: Mapping[str, list[list[str]]]) -> _Data:
    names, *rows = zip(*left, *chain(*right.values()), strict=True)
    return {
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
            _results(name, [group for group in on_corpus if set(of_part) & set(group.evaluated)], of_part)
            for name, on_corpus in by_corpus(groups).items()
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


def _configurations(groups: Sequence[Group]) -> list[_Data]:
    """How the configurations differ: on each corpus from that of its first group, and that from the first of all."""
    compared: list[tuple[Group, list[Group]]] = []
    first_of_each = [on_corpus[0] for on_corpus in by_corpus(groups).values()]
    for first, *others in by_corpus(groups).values():
        compared.append((first, others + (first_of_each[1:] if first is groups[0] else [])))
    return [
        {
            "first": first.label,
            "others": [(other.label, list(_changes(first, other))) for other in others],
        }
        for first, others in compared
        if others
    ]


def _changes(first: Group, other: Group) -> Iterator[_Data]:
    """The options, then the keys, in which a group differs; a class only where no option tells it."""
    left_out = (*INCIDENTAL, "experiment")
    options = [key for key in differing([first.choices, other.choices]) if key not in left_out]
    for key in options:
        yield _change(key, first.choices, other.choices)
    for key in differing([first.config, other.config]):
        node = key.removesuffix(f".{TARGET}")
        if key.endswith("._partial_"):
            continue  # follows from the class
        if node == key:
            yield _change(key, first.config, other.config)
        elif not any(f"{node}.".startswith(f"{option.replace('/', '.')}.") for option in options):
            sides = (first.config, other.config)
            classes = ({node: str(side[key]).rpartition(".")[2]} if key in side else {} for side in sides)
            yield _change(node, *classes)


def _change(key: str, first: Mapping[str, Any], other: Mapping[str, Any]) -> _Data:
    before, after = told_apart([{key: side[key]} if key in side else {} for side in (first, other)])
    return {"key": key, "before": before.get(key), "after": after.get(key)}


def _provenance(run: Run) -> list[str]:
    summary, annotations = run.summary(), read_annotations(run.folder)
    written = ", ".join(annotations.tags), annotations.note
    values = (run.seed, run.status, run.epochs, *written, *(summary.get(key) for key in _PROVENANCE))
    return [run.name, *map(_cell, values)]


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.0f}" if isinstance(value, float) else str(value)
