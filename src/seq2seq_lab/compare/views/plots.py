"""Curves over epochs, and results over what was swept."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from seq2seq_lab.compare import published
from seq2seq_lab.compare.grouping import Group, by_corpus
from seq2seq_lab.compare.naming import ABSENT, file_names, show
from seq2seq_lab.compare.statistics import Estimate
from seq2seq_lab.compare.views.appearance import Look, is_number, looks, told_by
from seq2seq_lab.compare.views.figures import INK, Plot, line_style, plain
from seq2seq_lab.compare.views.table import averaged, setting_keys
from seq2seq_lab.evaluation.measures import TRAINING_LOSS, measure

_BAND = 0.16  # opacity
_FALL = 20  # a loss that falls by this factor is drawn on a logarithmic axis
_MANY = 12  # groups; beyond, the legend explains the keys one by one
_SPREAD = 50  # a swept value that spans this factor is drawn on a logarithmic axis
_FLOOR = Look(INK, dashes=(2, 2))
_UNFINISHED = Look(INK, dashes=(1, 3))
_FEWER = Look(INK, dashes=(1, 1.5), marker="|")
_HOLLOW = ("○", "□", "△")  # a marker for each published experiment


def curves(groups: Sequence[Group], metrics: Sequence[str]) -> Plot:
    """Every metric over epochs: the mean over seeds, and a band of one standard deviation to both sides.

    A mean goes on as a thin dotted line past the last epoch that all its runs reached; a run that is not
    finished is drawn by itself, likewise. Beside ``train/loss`` stand the corpus's loss floor and, where a
    group repeats a published experiment, the losses published.
    """
    look = dict(zip(groups, looks([group.settings for group in groups]), strict=True))
    panels: dict[str, Callable[[Axes], None]] = {}
    for title, on_corpus in by_corpus(groups).items():
        for metric in metrics:
            there = {group: look[group] for group in on_corpus if metric in group.metrics}
            if there:
                panels[f"{metric}{title}"] = partial(_draw_curves, groups=there, metric=metric)
    legend = _legend(look)
    if TRAINING_LOSS in metrics:
        legend |= {f"{name}, as published": each for name, each in _published(look).items()}
        if any(group.corpus.loss_floor for group in groups):
            legend["loss floor of the corpus"] = _FLOOR
    if any(len({run.epochs for run in group.runs}) > 1 for group in groups):
        legend["past |: mean of the runs that got so far"] = _FEWER
    if any(group.others for group in groups):
        legend["a run that is not finished"] = _UNFINISHED
    untold = ", ".join(told_by([group.settings for group in groups])[3:])
    title = "Mean over seeds ± one standard deviation"
    return Plot("curves", f"{title} (lines differ in {untold} too)" if untold else title, panels, legend)


def sweeps(groups: Sequence[Group], metrics: Sequence[str]) -> list[Plot]:
    """For every numeric key that was swept, the metrics' last values over it: mean, spread, and each seed."""
    plots = []
    for key in setting_keys(groups):
        panels: dict[str, Callable[[Axes], None]] = {}
        legend: dict[str, Look] = {}
        for title, on_corpus in by_corpus(groups).items():
            lines = _lines_over(key, on_corpus)
            if not lines:
                continue
            look = dict(zip(lines, looks([dict(others) for others in lines]), strict=True))
            legend |= {_name(others) or "mean over seeds": each for others, each in look.items()}
            for metric in metrics:
                drawn = [(lines[others], look[others]) for others in lines]
                panels[f"{metric}{title}"] = partial(_draw_sweep, lines=drawn, metric=metric, key=key)
        if panels:
            title = f"Last values over {key}: mean ± one standard deviation, a dot a seed"
            plots.append(Plot(file_names([f"sweep-{key}"])[0], title, panels, legend))
    return plots


def _legend(look: Mapping[Group, Look]) -> dict[str, Look]:
    if len(look) <= _MANY:
        return {f"{group.label} (n = {averaged(group)})": each for group, each in look.items()}
    legend: dict[str, Look] = {}
    keys = told_by([group.settings for group in look])[:3]
    for place, key in enumerate(keys):
        for group, each in look.items():
            colour = each if len(keys) == 1 else Look(each.colour)
            part = (colour, Look(INK, each.dashes), Look(INK, marker=each.marker, line=False))[place]
            legend.setdefault(f"{key}={show(group.settings.get(key, ABSENT))}", part)
    return legend


def _draw_curves(axes: Axes, *, groups: Mapping[Group, Look], metric: str) -> None:
    drawn: list[float] = []
    for group, look in groups.items():
        drawn += _draw_mean(axes, group.curve(metric), look, band=_BAND * min(1, _MANY / len(groups)))
        for run in group.others:
            curve = sorted(run.curves.get(metric, {}).items())
            thin = Look(look.colour, _UNFINISHED.dashes)
            axes.plot([e for e, _ in curve], [v for _, v in curve], linewidth=0.9, **line_style(thin))
            drawn += [value for _, value in curve]
    if metric == TRAINING_LOSS:
        drawn += _draw_references(axes, groups)
    positive = [value for value in drawn if value > 0]
    if measure(metric).log and len(positive) == len(drawn) > 0 and max(drawn) > _FALL * min(drawn):
        axes.set_yscale("log", nonpositive="clip")
    axes.set(xlabel="epoch", ylabel=plain(measure(metric).label))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_mean(axes: Axes, curve: Mapping[int, Estimate], look: Look, *, band: float) -> list[float]:
    """Draw a mean and its band; give the means that can be drawn."""
    most = max((estimate.n for estimate in curve.values()), default=0)
    shared = [epoch for epoch, estimate in curve.items() if estimate.n == most]
    tail = [epoch for epoch in curve if shared and epoch >= shared[-1]]
    means = {epoch: estimate.mean for epoch, estimate in curve.items()}
    style = line_style(look) | {"markevery": max(1, len(shared) // 8), "markersize": 4}
    if len(shared) == 1:
        style |= {"marker": look.marker or "o"}
    axes.plot(shared, [means[epoch] for epoch in shared], linewidth=1.7, **style)
    if most > 1:
        low, high = ([means[e] + sign * curve[e].sd for e in shared] for sign in (-1, 1))
        axes.fill_between(shared, low, high, color=look.colour, alpha=band, linewidth=0)
    if len(tail) > 1:
        fewer = line_style(Look(look.colour, _FEWER.dashes, _FEWER.marker))
        axes.plot(tail, [means[e] for e in tail], linewidth=1, markersize=10, markevery=[0], **fewer)
    return [mean for epoch, mean in means.items() if math.isfinite(mean) and epoch in {*shared, *tail}]


def _draw_references(axes: Axes, groups: Mapping[Group, Look]) -> list[float]:
    """Draw the loss floor and the published losses; give the latter, for the axis to suit them."""
    values: list[float] = []
    floor = next((group.corpus.loss_floor for group in groups if group.corpus.loss_floor), None)
    if floor:
        axes.axhline(floor, linewidth=1, **(line_style(_FLOOR) | {"marker": None}))
        axes.text(0, floor, f" {floor:.4f}", transform=axes.get_yaxis_transform(), va="bottom")
    for experiment, look in _published(groups).items():
        points = published.published()[experiment]
        axes.plot(list(points), list(points.values()), markersize=7, zorder=4, **line_style(look))
        values += points.values()
    return values


def _published(groups: Mapping[Group, Look]) -> dict[str, Look]:
    """The published experiments beside the groups: points in the colour of the one that repeats it, if one does."""
    looks: dict[str, Look] = {}
    for group, look in groups.items():
        if experiment := published.experiment_of(group):
            marker = _HOLLOW[list(published.published()).index(experiment) % len(_HOLLOW)]
            repeated = published.is_repeated_by(group)
            if repeated or experiment not in looks:
                looks[experiment] = Look(look.colour if repeated else INK, marker=marker, line=False)
    return looks


def _lines_over(
    key: str, groups: Sequence[Group]
) -> dict[tuple[tuple[str, object], ...], dict[float, Group]]:
    """Groups by all their settings but one, then by the number that the one has; at least two to a line."""
    lines: dict[tuple[tuple[str, object], ...], dict[float, Group]] = {}
    for group in groups:
        value = group.settings.get(key)
        if value is not None and is_number(value):
            others = tuple((k, show(v)) for k, v in group.settings.items() if k != key)
            lines.setdefault(others, {})[value] = group
    return {others: dict(sorted(line.items())) for others, line in lines.items() if len(line) > 1}


def _name(settings: Sequence[tuple[str, object]]) -> str:
    return ", ".join(f"{key}={value}" for key, value in settings)


def _draw_sweep(
    axes: Axes, *, lines: Sequence[tuple[Mapping[float, Group], Look]], metric: str, key: str
) -> None:
    every = sorted({value for line, _ in lines for value in line})
    for line, look in lines:
        estimates = {value: group.last(metric) for value, group in line.items()}
        known = [value for value, estimate in estimates.items() if math.isfinite(estimate.mean)]
        means = [estimates[value].mean for value in known]
        spread = [0.0 if math.isnan(sd := estimates[value].sd) else sd for value in known]
        low, high = ([m + sign * s for m, s in zip(means, spread, strict=True)] for sign in (-1, 1))
        axes.plot(
            known, means, linewidth=1.7, markersize=4, **(line_style(look) | {"marker": look.marker or "o"})
        )
        axes.fill_between(known, low, high, color=look.colour, alpha=_BAND, linewidth=0)
        seeds = [
            (value, last)
            for value in known
            for run in line[value].runs
            if (last := run.last(metric)) is not None
        ]
        axes.scatter(
            [x for x, _ in seeds], [y for _, y in seeds], s=9, color=look.colour, alpha=0.45, linewidths=0
        )
    axes.set(xlabel=plain(key), ylabel=plain(measure(metric).label))
    if every[0] > 0 and every[-1] >= _SPREAD * every[0]:
        axes.set_xscale("log")
    elif len(every) <= 8:
        axes.set_xticks(every, [show(value) for value in every])
