"""Plots of curves over epochs, and of results over a swept setting."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import cycle

from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.ticker import MaxNLocator

from seq2seq_lab.compare.corpora import by_corpus, titled
from seq2seq_lab.compare.grouping import Group
from seq2seq_lab.compare.naming import file_names, written
from seq2seq_lab.compare.references import named_by
from seq2seq_lab.compare.statistics import Estimate
from seq2seq_lab.compare.views.appearance import Look, is_number, keys_shown, looks, looks_of, nodes_of
from seq2seq_lab.compare.views.columns import averaged, setting_keys
from seq2seq_lab.compare.views.figures import INK, Plot, line_style, plain, with_room
from seq2seq_lab.evaluation.measures import TRAINING_LOSS
from seq2seq_lab.runs.reference import Reference

BAND = 0.16  # opacity
_FALL = 20  # a loss that falls by this factor is drawn on a logarithmic axis
MANY = 12  # with more groups, the legend explains each key separately
_SPREAD = 50  # a swept value that spans this factor is drawn on a logarithmic axis
_FLOOR = Look(INK, dashes=(2, 2))
_UNFINISHED = Look(INK, dashes=(1, 3))
_FEWER = Look(INK, dashes=(1, 1.5), marker="|")
_HOLLOW = ("○", "□", "△")  # markers of the references, in turn
Points = Sequence[tuple[float, float]]


def curves(groups: Sequence[Group], metrics: Sequence[str], references: Sequence[Reference] = ()) -> Plot:
    """Every metric over epochs: the mean over seeds, with a band of ± one standard deviation.

    After the last epoch that all runs of a group reached, the mean continues as a thin dotted line. An unfinished run
    is also a thin dotted line. ``train/loss`` is shown with the loss floor of the corpus, and each metric with its
    references, as hollow markers.
    """
    look = looks_of(groups)
    markers = cycle(_HOLLOW)
    beside = [
        (each, _reference_look(each, look, next(markers))) for each in references if each.metric in metrics
    ]
    panels: dict[str, Callable[[Axes], None]] = {}
    for corpus, on_corpus in by_corpus(groups).items():
        for metric in metrics:
            drawn = {group: look[group] for group in on_corpus if metric in group.metrics}
            points = [
                (each, its)
                for each, its in beside
                if each.metric == metric and (named_by(each, on_corpus) or not named_by(each, groups))
            ]
            if drawn:
                draw = partial(_draw_curves, groups=drawn, metric=metric, references=points)
                panels[titled(metric, corpus)] = draw
    legend = group_legend(look)
    legend |= {f"{each.name} (reference)": its for each, its in beside}
    if TRAINING_LOSS in metrics and any(group.corpus.loss_floor and group.learns_gold for group in groups):
        legend["loss floor of the corpus"] = _FLOOR
    if any(len({run.epochs for run in group.runs}) > 1 for group in groups):
        legend["after |: mean of the runs that reached the epoch"] = _FEWER
    if any(group.others for group in groups):
        legend["an unfinished run"] = _UNFINISHED
    several = any(len(group.runs) > 1 for group in groups)
    title = "Mean over seeds ± one standard deviation" if several else "A run of each group"
    return Plot("curves", title, panels, legend)


def _reference_look(reference: Reference, groups: Mapping[Group, Look], marker: str) -> Look:
    """A hollow marker, in the colour of the group that names the reference if there is only one."""
    colours = [groups[group].colour for group in named_by(reference, groups)]
    return Look(colours[0] if len(colours) == 1 else INK, marker=marker, line=False)


def sweeps(groups: Sequence[Group], metrics: Sequence[str]) -> list[Plot]:
    """For every swept numeric key, the last values of the metrics over it: mean, standard deviation, and each seed."""
    plots = []
    for key in setting_keys(groups):
        panels: dict[str, Callable[[Axes], None]] = {}
        found = {corpus: _lines_over(key, on_corpus) for corpus, on_corpus in by_corpus(groups).items()}
        every = dict.fromkeys(others for lines in found.values() for others in lines)
        look = dict(zip(every, looks([dict(others) for others in every], nodes_of(groups)), strict=True))
        legend = {_name(others) or "mean over seeds": each for others, each in look.items()}
        for corpus, lines in found.items():
            for metric in metrics if lines else ():
                drawn = [(lines[others], look[others]) for others in lines]
                draw = partial(_draw_sweep, lines=drawn, metric=metric, key=key)
                panels[titled(metric, corpus)] = draw
        if panels:
            title = f"Last values over {key}: mean ± one standard deviation, one dot per seed"
            plots.append(Plot(file_names([f"sweep-{key}"])[0], title, panels, legend))
    return plots


def group_legend(look: Mapping[Group, Look]) -> dict[str, Look]:
    """The groups and their numbers of runs; with many groups on a corpus, what each of its settings looks like."""
    legend: dict[str, Look] = {}
    groups = list(look)
    keys = keys_shown([group.settings for group in groups], nodes_of(groups))
    for on_corpus in by_corpus(groups).values():
        if len(on_corpus) <= MANY or any(group.own_label for group in on_corpus):
            legend |= {f"{group.label} (n = {averaged(group)})": look[group] for group in on_corpus}
            continue
        for place, its in enumerate(keys):
            for group in on_corpus:
                each = look[group]
                colour = Look(each.colour) if any(keys[1:]) else each
                part = (colour, Look(INK, each.dashes), Look(INK, marker=each.marker, line=False))[place]
                if said := _name([(key, group.shown[key]) for key in its if key in group.settings]):
                    legend.setdefault(said, part)
    return legend


def _draw_curves(
    axes: Axes, *, groups: Mapping[Group, Look], metric: str, references: Sequence[tuple[Reference, Look]]
) -> None:
    drawn: list[float] = []
    bands: list[tuple[Points, str]] = []
    for group, look in groups.items():
        curve = group.curve(metric)
        drawn += _draw_mean(axes, curve, look)
        bands += [
            (polygon, look.colour)
            for polygon in band({epoch: _deviation(curve[epoch]) for epoch in _shared(curve)})
        ]
        for run in group.others:
            points = sorted(run.curves().get(metric, {}).items())
            thin = Look(look.colour, _UNFINISHED.dashes)
            style = line_style(thin) | ({"marker": "o", "markersize": 4} if len(points) == 1 else {})
            axes.plot([e for e, _ in points], [v for _, v in points], linewidth=0.9, **style)
            drawn += [value for _, value in points if math.isfinite(value)]
    fill(axes, bands, opacity=BAND * min(1, MANY / len(groups)))
    if metric == TRAINING_LOSS:
        floors = (group.corpus.loss_floor for group in groups if group.learns_gold)
        _draw_floor(axes, next(filter(None, floors), None))
    for reference, look in references:
        values = reference.values
        axes.plot(list(values), list(values.values()), markersize=7, zorder=4, **line_style(look))
        drawn += values.values()
    measure = next(iter(groups)).measure(metric)
    positive = [value for value in drawn if value > 0]
    if measure.log and len(positive) == len(drawn) > 0 and max(drawn) > _FALL * min(drawn):
        axes.set_yscale("log", nonpositive="clip")
    axes.set(xlabel="epoch", ylabel=plain(measure.axis))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _shared(curve: Mapping[int, Estimate]) -> list[int]:
    """The epochs that all runs of a group reached."""
    most = max((estimate.n for estimate in curve.values()), default=0)
    return [epoch for epoch, estimate in curve.items() if estimate.n == most]


def _draw_mean(axes: Axes, curve: Mapping[int, Estimate], look: Look) -> list[float]:
    """Draw a mean; returns the values that can be drawn."""
    shared = _shared(curve)
    tail = [epoch for epoch in curve if shared and epoch >= shared[-1]]
    means = {epoch: estimate.mean for epoch, estimate in curve.items()}
    style = line_style(look) | {"markevery": max(1, len(shared) // 8), "markersize": 4}
    if len(shared) == 1:
        style |= {"marker": look.marker or "o"}
    axes.plot(shared, [means[epoch] for epoch in shared], linewidth=1.7, **style)
    if len(tail) > 1:
        fewer = line_style(Look(look.colour, _FEWER.dashes, _FEWER.marker))
        axes.plot(tail, [means[e] for e in tail], linewidth=1, markersize=10, markevery=[0], **fewer)
    return [mean for epoch, mean in means.items() if math.isfinite(mean) and epoch in {*shared, *tail}]


def _deviation(estimate: Estimate) -> tuple[float, float]:
    """Mean minus and plus one standard deviation; not finite where it is undefined."""
    return estimate.mean - estimate.sd, estimate.mean + estimate.sd


def band(limits: Mapping[float, tuple[float, float]]) -> Iterator[Points]:
    """Lower and upper limits as polygons: one for each sequence of points with finite limits."""
    low: list[tuple[float, float]] = []
    high: list[tuple[float, float]] = []
    for x, (lower, upper) in [*limits.items(), (math.nan, (math.nan, math.nan))]:
        if math.isfinite(lower) and math.isfinite(upper):
            low.append((x, lower))
            high.append((x, upper))
        elif low:
            yield [*low, *reversed(high)]
            low, high = [], []


def fill(axes: Axes, bands: Sequence[tuple[Points, str]], opacity: float = BAND) -> None:
    """Draw all bands of a panel at once: one by one, matplotlib takes ten times as long."""
    if bands:
        polygons = [polygon for polygon, _ in bands]
        colours = [(colour, opacity) for _, colour in bands]
        axes.add_collection(PolyCollection(polygons, facecolors=colours, linewidths=0, zorder=1))


def _draw_floor(axes: Axes, floor: float | None) -> None:
    if floor:
        axes.axhline(floor, linewidth=1, **(line_style(_FLOOR) | {"marker": None}))
        axes.text(0, floor, f" {floor:.4f}", transform=axes.get_yaxis_transform(), va="bottom")


def _lines_over(
    key: str, groups: Sequence[Group]
) -> dict[tuple[tuple[str, object], ...], dict[float, Group]]:
    """Groups by all settings except one, then by the value of that setting; at least two groups per line."""
    lines: dict[tuple[tuple[str, object], ...], dict[float, Group]] = {}
    for group in groups:
        value = group.settings.get(key)
        if value is not None and is_number(value):
            others = tuple((k, written(v)) for k, v in group.settings.items() if k != key)
            lines.setdefault(others, {})[value] = group
    return {others: dict(sorted(line.items())) for others, line in lines.items() if len(line) > 1}


def _name(settings: Sequence[tuple[str, object]]) -> str:
    return ", ".join(f"{key}={value}" for key, value in settings)


def _draw_sweep(
    axes: Axes, *, lines: Sequence[tuple[Mapping[float, Group], Look]], metric: str, key: str
) -> None:
    bands: list[tuple[Points, str]] = []
    dots: list[tuple[float, float, str]] = []
    for line, look in lines:
        estimates = {value: group.last(metric) for value, group in line.items()}
        known = {value: each for value, each in estimates.items() if math.isfinite(each.mean)}
        style = line_style(look) | {"marker": look.marker or "o"}
        axes.plot(list(known), [each.mean for each in known.values()], linewidth=1.7, markersize=4, **style)
        deviations = {value: _deviation(estimate) for value, estimate in known.items()}
        bands += [(polygon, look.colour) for polygon in band(deviations)]
        for value in known:
            lasts = (run.last(metric) for run in line[value].runs)
            dots += [(value, last, look.colour) for last in lasts if last is not None]
    fill(axes, bands)
    if dots:
        x, y, colours = zip(*dots, strict=True)
        axes.scatter(x, y, s=9, c=colours, alpha=0.45, linewidths=0)
    measure = next(iter(lines[0][0].values())).measure(metric)
    axes.set(xlabel=plain(key), ylabel=plain(measure.axis))
    every = sorted({value for line, _ in lines for value in line})
    if every[0] > 0 and every[-1] >= _SPREAD * every[0]:
        axes.set_xscale("log")
    elif len(every) <= 8:
        shown = {value: group.shown[key] for line, _ in lines for value, group in line.items()}
        axes.set_xticks(every, with_room(every, [shown[value] for value in every]))
