"""The cells of the tables on the terminal and in the report: means, settings and headings."""

import math
from collections.abc import Sequence

from seq2seq_lab.compare.grouping import Group
from seq2seq_lab.compare.naming import ABSENT
from seq2seq_lab.compare.statistics import Bounds, Estimate, decimals
from seq2seq_lab.compare.tasks import Interval, OverTasks

_ARROWS = {"lower": " ↓", "higher": " ↑", None: ""}
_NOTHING = "–"
_HUGE = 1e6


def formatted(estimates: Sequence[Estimate]) -> list[str]:
    """The estimates of one column as ``mean ± sd``, with two significant digits of the median standard deviation."""
    spreads = sorted(e.sd for e in estimates if e.sd > 0)
    sizes = sorted(abs(e.mean) for e in estimates if math.isfinite(e.mean) and e.mean)
    # The median, not the maximum: a group that diverged must not change how the others are shown.
    size = sizes[(len(sizes) - 1) // 2] if sizes else 1.0
    scale = spreads[(len(spreads) - 1) // 2] / 10 if spreads else size / 1000
    most = 5 - math.ceil(math.log10(size))  # number of decimals for five digits in total
    digits = max(0, min(math.ceil(-math.log10(scale)), most, 6))
    return [_shown(estimate, digits) for estimate in estimates]


def intervals(estimates: Sequence[Estimate], bounds: Bounds | None) -> list[str]:
    """The 95 % intervals of the means, such as ``[33.1, 35.2]``, with two significant digits of the median width."""
    limits = [each.interval(bounds) for each in estimates]
    halves = sorted((high - low) / 2 for low, high in limits if high > low)
    digits = decimals(halves[(len(halves) - 1) // 2]) if halves else 0
    usual = ".3g" if digits is None else f".{digits}f"

    def shown(low: float, high: float) -> str:
        form = ".5g" if max(abs(low), abs(high)) >= _HUGE else usual
        return _NOTHING if math.isnan(low) else f"[{low:{form}}, {high:{form}}]"

    return [shown(*each) for each in limits]


def _shown(estimate: Estimate, digits: int) -> str:
    if not estimate.n:
        return _NOTHING
    if abs(estimate.mean) >= _HUGE or 0 < estimate.sd < 0.5 * 10**-digits:
        # The number of decimals of the column does not suit this value.
        mean, sd = f"{estimate.mean:.5g}", f"{estimate.sd:.2g}"
    else:
        mean, sd = f"{estimate.mean:.{digits}f}", f"{estimate.sd:.{digits}f}"
    return mean if math.isnan(estimate.sd) else f"{mean} ± {sd}"


def p_value(value: float) -> str:
    """A p-value with three decimals; a dash where it is undefined."""
    return _NOTHING if math.isnan(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


def task_columns(compared: OverTasks) -> tuple[list[str], list[list[str]]]:
    """The names of the columns of a table over tasks, and a row for each method."""
    names = ["method", "runs of each task", "IQM", f"P(better than {compared.reference})"]
    return names, [
        [
            each.name,
            _runs(each.runs),
            _interval(each.iqm),
            _NOTHING if each.better is None else _interval(each.better),
        ]
        for each in compared.methods
    ]


def _runs(counts: Sequence[int]) -> str:
    return str(counts[0]) if len(set(counts)) == 1 else ", ".join(map(str, counts))


def _interval(found: Interval) -> str:
    between = "" if math.isnan(found.low) else f" [{found.low:.2f}, {found.high:.2f}]"
    return f"{found.value:.2f}{between}"


def averaged(group: Group) -> str:
    """The number of averaged runs, such as ``2 of 3`` if some are not averaged."""
    done, all_ = len(group.runs), len(group.runs) + len(group.others)
    return str(done) if done == all_ else f"{done} of {all_}"


def means(groups: Sequence[Group], estimates: Sequence[Estimate]) -> list[str]:
    """The estimates of the groups in one column, each with its n where not all runs of the group have a value."""
    return [
        f"{text} (n={each.n})" if 0 < each.n < len(group.runs) else text
        for text, each, group in zip(formatted(estimates), estimates, groups, strict=True)
    ]


def measured(groups: Sequence[Group], metrics: Sequence[str]) -> list[str]:
    """The metrics of which one of the groups has a value; all of them if no group has any."""
    return [metric for metric in metrics if any(group.last(metric).n for group in groups)] or list(metrics)


def metric_columns(groups: Sequence[Group], metric: str) -> list[list[str]]:
    """The columns of a metric: a heading, then a cell per group.

    For a curve, the last and, if one direction is better, the best values, in one column if they are the same. For a
    trained model, the value, and the 95 % interval of its mean over seeds.
    """
    last = [group.last(metric) for group in groups]
    bounds = groups[0].measure(metric).bounds
    if not any(metric in group.metrics for group in groups):
        return [["mean ± sd", *means(groups, last)], ["95 % interval", *intervals(last, bounds)]]
    if not groups[0].measure(metric).better:
        return [["last", *means(groups, last)]]
    shown, best = means(groups, last), means(groups, [group.best(metric) for group in groups])
    return [["last = best", *shown]] if shown == best else [["last", *shown], ["best", *best]]


def heading(groups: Sequence[Group], metric: str) -> str:
    """A metric's name, and an arrow in the direction that is better."""
    return metric + _ARROWS[groups[0].measure(metric).better]


def setting_columns(groups: Sequence[Group]) -> list[list[str]]:
    """Columns of the differing settings and of the number of runs: a heading, then a cell per group."""
    columns = [[key, *(setting(group, key) for group in groups)] for key in setting_keys(groups)]
    if not columns or any(group.own_label for group in groups):
        columns = [["group" if columns else "", *(group.own_label or group.label for group in groups)]]
    return [*columns, ["n", *map(averaged, groups)]]


def setting(group: Group, key: str) -> str:
    """The value of a differing setting; empty where the group lacks the key."""
    return "" if group.settings.get(key, ABSENT) is ABSENT else group.shown[key]


def setting_keys(groups: Sequence[Group]) -> list[str]:
    """The keys in which the groups differ, in order of appearance."""
    return list(dict.fromkeys(key for group in groups for key in group.settings))
