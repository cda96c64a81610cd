"""Plots of the analyses of trained models: the mean over seeds, with its 95 % interval."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from seq2seq_lab.compare.analyses import Curves, Drawn, curves, in_order
from seq2seq_lab.compare.corpora import by_corpus, titled
from seq2seq_lab.compare.grouping import Group
from seq2seq_lab.compare.views.appearance import Look, looks_of
from seq2seq_lab.compare.views.figures import GRID, Plot, line_style, plain
from seq2seq_lab.compare.views.plots import BAND, MANY, Points, band, fill, group_legend
from seq2seq_lab.evaluation.measures import measure
from seq2seq_lab.runs.read import CorpusFacts

_POSITION = "position in the target, with <eos>"
_ITEMS = "share of {items}"
_PREFIX = "{tokens} of the prefix"
_SHARE = (0.0, 1.0)


def _by_position(y: str, title: str) -> Drawn:
    return Drawn(
        analysis="positions",
        x="position",
        y=y,
        title=title,
        xlabel=_POSITION,
        ylabel=_ITEMS,
        count="sentences",
        even=0 if y == "gap" else None,
        bounds=(-1, 1) if y == "gap" else _SHARE,
    )


def _recovery(y: str, title: str) -> Drawn:
    return Drawn(
        analysis="recovery",
        x="k",
        y=y,
        title=title,
        xlabel="k",
        ylabel="P(next k {tokens} are right)",
        bounds=_SHARE,
    )


def _by_group(analysis: str, y: str, title: str, xlabel: str, ylabel: str) -> Drawn:
    return Drawn(
        analysis=analysis,
        x="group",
        y=y,
        title=title,
        xlabel=xlabel,
        ylabel=ylabel,
        count="sentences",
        bounds=measure(y).bounds,
    )


def _exact(y: str, title: str, ylabel: str, even: float | None = None) -> Drawn:
    return Drawn(
        analysis="grammar",
        x="prefix",
        y=y,
        title=title,
        xlabel=_PREFIX,
        ylabel=ylabel,
        even=even,
        bounds=_SHARE if even is None else None,
    )


# Name of the plot → what it is of → the panels.
_PLOTS: Mapping[str, Mapping[str, Sequence[Drawn]]] = {
    "positions": {
        "by position": (
            _by_position("gold", "Accuracy after gold {tokens}"),
            _by_position("own", "Accuracy after the model's own {tokens}"),
            _by_position("gap", "Gap: after gold {tokens} − after own {tokens}"),
            Drawn(
                analysis="positions",
                x="position",
                y="hazard",
                title="First error: wrong here, if all before is right",
                xlabel=_POSITION,
                ylabel=_ITEMS,
                count="right_before",
                bounds=_SHARE,
            ),
        ),
    },
    "recovery": {
        "after an error": (
            _recovery("random", "Recovery from a random {token}"),
            _recovery("second_best", "Recovery from the model's second-best {token}"),
        ),
        "after a prefix": (
            Drawn(
                analysis="eb_m",
                x="prefix",
                y="eb_m",
                title="EB-M: BLEU after gold / after own prefixes",
                xlabel=_PREFIX,
                ylabel="ratio, 1 = no bias",
                count="sentences",
                even=1,
            ),
        ),
        "repetition": (
            Drawn(
                analysis="repetition",
                x="n",
                y="hypotheses",
                title="Repeated n-grams in hypotheses",
                xlabel="n",
                ylabel="share of n-grams",
                bounds=_SHARE,
            ),
        ),
    },
    "beams": {
        "by width of the beam": tuple(
            Drawn(
                analysis="beams",
                x="beam",
                y=y,
                title=title,
                xlabel="width of the beam",
                ylabel=title,
                bounds=measure(y).bounds,
                log=True,
            )
            for y, title in (("bleu", "BLEU"), ("length_ratio", "length of hypotheses / references"))
        ),
    },
    "sentences": {
        by: tuple(
            _by_group(analysis, y, f"{title}, {by}", label, title)
            for y, title in (
                ("bleu", "BLEU"),
                ("exact_match", "exact match"),
                ("exposure_gap", "exposure gap"),
            )
        )
        for by, analysis, label in (
            ("by source length", "by_source_length", "{symbols} of the source"),
            ("by unknown {symbols}", "by_unknown_words", "unknown {symbols} in the {item}"),
            (
                "by nearness to training pairs",
                "by_near_duplicates",
                "a training pair within one {symbol} on each side",
            ),
        )
    },
    "outputs": {
        by: tuple(
            _by_group(analysis, y, f"{title}, {by}", label, title)
            for y, title in (("exact_match", "exact match"), ("exposure_gap", "exposure gap"))
        )
        for by, analysis, label in (
            ("by output length", "by_target_length", "{tokens} of the target"),
            ("by form", "by_form", "form of the source"),
        )
    },
    "grammar": {
        "against the distribution of the grammar": (
            _exact(
                "total_variation.eb_c", "EB-C: distance after own / after gold prefixes", "1 = no bias", 1
            ),
            _exact("total_variation.eb_c_inside", "EB-C of prefixes inside the grammar", "1 = no bias", 1),
            _exact("total_variation.model", "Distance to the grammar after own prefixes", "total variation"),
            _exact("total_variation.data", "Distance to the grammar after gold prefixes", "total variation"),
            _exact("excess", "Excess accumulated error", "%, 0 = no bias", 0),
            _exact("excess_inside", "Excess error of prefixes inside the grammar", "%, 0 = no bias", 0),
            _exact("outside", "The model has left the grammar", "probability"),
        ),
    },
}
PREFIX = "evaluation-"  # of the names of the files


def plots(groups: Sequence[Group]) -> list[Plot]:
    """The analyses that the runs of the groups have, a plot for each part of the data and each kind of analysis."""
    parts = dict.fromkeys(part for group in groups for run in group.runs for part in run.evaluations)
    return [plot for part in parts for plot in _of_part(groups, part)]


def _of_part(groups: Sequence[Group], part: str) -> Iterator[Plot]:
    look = looks_of(groups)
    for name, kinds in _PLOTS.items():
        panels: dict[str, Callable[[Axes], None]] = {}
        shown: dict[Group, Look] = {}
        drawn_kinds: set[str] = set()
        for (corpus, on_corpus), (kind, several) in product(by_corpus(groups).items(), kinds.items()):
            for drawn in (_worded(each, on_corpus[0].corpus) for each in several):
                places: dict[str, int] = {}
                found = {group: curves(group, part, drawn, places) for group in on_corpus}
                lines = {group: (its, look[group]) for group, its in found.items() if its.points}
                if lines:
                    panels[titled(drawn.title, corpus)] = partial(
                        _draw, drawn=drawn, lines=list(lines.values())
                    )
                    shown |= {group: look[group] for group in lines}
                    drawn_kinds.add(kind)
        if panels:
            title = ", ".join(kind for kind in kinds if kind in drawn_kinds).format(symbols="symbols")
            heading = f"{title[0].upper()}{title[1:]}, on {part}"
            if any(len(group.runs) > 1 for group in shown):
                heading += ": mean over seeds and its 95 % interval"
            yield Plot(f"{PREFIX}{part}-{name}", heading, panels, group_legend(shown))


def _worded(drawn: Drawn, corpus: CorpusFacts) -> Drawn:
    """A panel whose title and labels name what the corpus is of: sentences of words, commands of actions, …"""
    symbol = "word" if corpus.token == "word" else "symbol"
    words = {
        "item": corpus.item,
        "items": f"{corpus.item}s",
        "token": corpus.token,
        "tokens": f"{corpus.token}s",
        "symbol": symbol,
        "symbols": f"{symbol}s",
    }
    title, xlabel, ylabel = (text.format(**words) for text in (drawn.title, drawn.xlabel, drawn.ylabel))
    return replace(drawn, title=title, xlabel=xlabel, ylabel=ylabel)


def _draw(axes: Axes, *, drawn: Drawn, lines: Sequence[tuple[Curves, Look]]) -> None:
    bands: list[tuple[Points, str]] = []
    labels: dict[int, str] = {}
    for each, _ in lines:
        labels |= {x: label for x, label in each.labels.items() if x in each.points}
    # Names are drawn one after the other, numbers where they are.
    place = {x: float(number) for number, x in enumerate(in_order(labels))}
    if drawn.even is not None:
        axes.axhline(drawn.even, color=GRID, linewidth=1.5, zorder=1)
    for curve, look in lines:
        points = {place.get(x, float(x)): estimate for x, estimate in curve.points.items()}
        style = line_style(look) | {"marker": look.marker or "o", "markersize": 4}
        axes.plot(list(points), [each.mean for each in points.values()], linewidth=1.7, **style)
        intervals = {x: each.interval(drawn.bounds) for x, each in points.items()}
        bands += [(polygon, look.colour) for polygon in band(intervals)]
    fill(axes, bands, opacity=BAND * min(1, MANY / len(lines)))
    _limit(axes, [point.mean for curve, _ in lines for point in curve.points.values()], drawn.even)
    axes.set(xlabel=plain(drawn.xlabel), ylabel=plain(drawn.ylabel))
    _set_ticks(axes, drawn, labels, [x for curve, _ in lines for x in curve.points])


def _limit(axes: Axes, means: Sequence[float], even: float | None) -> None:
    """Cut the axis at twice the range of the means: with two seeds an interval is 18 standard deviations wide."""
    low, high = (side([*means, *([] if even is None else [even])]) for side in (min, max))
    room = 0.5 * (high - low) or 0.5 * abs(high) or 0.5
    bottom, top = axes.get_ylim()
    axes.set_ylim(max(bottom, low - room), min(top, high + room))


def _set_ticks(axes: Axes, drawn: Drawn, labels: Mapping[int, str], xs: Sequence[int]) -> None:
    if labels:
        axes.set_xticks(range(len(labels)), [labels[x] for x in in_order(labels)])
        axes.set_xlim(-0.5, len(labels) - 0.5)  # room for the names at both ends
    elif drawn.log:
        axes.set_xscale("log")
        ticks = sorted(set(xs))
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(ticks, [str(x) for x in ticks])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
