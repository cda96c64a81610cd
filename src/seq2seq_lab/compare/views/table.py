"""The comparison as a table for the terminal, and as CSV files of all that was measured."""

import csv
import io
import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from seq2seq_lab.compare.grouping import Group
from seq2seq_lab.compare.naming import show
from seq2seq_lab.compare.pairing import Pair
from seq2seq_lab.compare.runs import Run
from seq2seq_lab.compare.statistics import Estimate
from seq2seq_lab.evaluation.measures import measure

_ARROWS = {"lower": " ↓", "higher": " ↑", None: ""}
_NOTHING = "–"
_GAP = "    "
_HUGE = 1e6


def formatted(estimates: Sequence[Estimate]) -> list[str]:
    """Estimates of one column as ``mean ± sd``, with decimals for two digits of the middle spread."""
    spreads = sorted(e.sd for e in estimates if e.sd > 0)
    sizes = sorted(abs(e.mean) for e in estimates if math.isfinite(e.mean) and e.mean)
    # Of the middle, not of the largest: one group that diverged says nothing of the others.
    size = sizes[(len(sizes) - 1) // 2] if sizes else 1.0
    scale = spreads[(len(spreads) - 1) // 2] / 10 if spreads else size / 1000
    most = 5 - math.ceil(math.log10(size))  # decimals that give five digits in all
    digits = max(0, min(math.ceil(-math.log10(scale)), most, 6))
    return [_shown(estimate, digits) for estimate in estimates]


def _shown(estimate: Estimate, digits: int) -> str:
    if not estimate.n:
        return _NOTHING
    if abs(estimate.mean) >= _HUGE or 0 < estimate.sd < 0.5 * 10**-digits:
        # The column's decimals would drown or hide it.
        mean, sd = f"{estimate.mean:.5g}", f"{estimate.sd:.2g}"
    else:
        mean, sd = f"{estimate.mean:.{digits}f}", f"{estimate.sd:.{digits}f}"
    return mean if math.isnan(estimate.sd) else f"{mean} ± {sd}"


def averaged(group: Group) -> str:
    """How many runs a mean is over, and of how many if not of all."""
    done, all_ = len(group.runs), len(group.runs) + len(group.others)
    return str(done) if done == all_ else f"{done} of {all_}"


def metric_columns(groups: Sequence[Group], metric: str) -> list[list[str]]:
    """A heading and a cell a group, of the last and, where one way is better, the best values."""
    columns = {"last": [group.last(metric) for group in groups]}
    if measure(metric).better:
        columns["best"] = [group.best(metric) for group in groups]
    fewer = [f" (n={n})" if 0 < n < len(g.runs) else "" for g in groups for n in [g.last(metric).n]]
    return [
        [name, *(cell + note for cell, note in zip(formatted(estimates), fewer, strict=True))]
        for name, estimates in columns.items()
    ]


def heading(metric: str) -> str:
    """A metric's name and an arrow to where it is better."""
    return metric + _ARROWS[measure(metric).better]


def setting_columns(groups: Sequence[Group]) -> list[list[str]]:
    """A heading and a cell a group, of what sets the groups apart and of how many runs they have."""
    columns = [
        [key, *(show(group.settings[key]) if key in group.settings else "" for group in groups)]
        for key in setting_keys(groups)
    ]
    return [*(columns or [["", *(group.label for group in groups)]]), ["n", *map(averaged, groups)]]


def setting_keys(groups: Sequence[Group]) -> list[str]:
    """The keys that set the groups apart, in order of appearance."""
    return list(dict.fromkeys(key for group in groups for key in group.settings))


def render(groups: Sequence[Group], metrics: Sequence[str], *, width: int | None = None) -> str:
    """The table for a terminal: as many metrics side by side as fit its width, the rest below."""
    width = width or shutil.get_terminal_size((100, 24)).columns
    left = _side_by_side("", setting_columns(groups))
    blocks: list[list[list[str]]] = []
    for metric in metrics:
        column = _side_by_side(heading(metric), metric_columns(groups, metric))
        if blocks and sum(len(c[0]) + len(_GAP) for c in blocks[-1]) + len(column[0]) <= width:
            blocks[-1].append(column)
        else:
            blocks.append([left, column])
    lines = ([_GAP.join(row).rstrip() for row in zip(*block, strict=True)] for block in blocks)
    return "\n\n".join("\n".join(block) for block in lines)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines, every column as wide as its widest cell."""
    sizes = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(c.ljust(n) for c, n in zip(row, sizes, strict=True)).rstrip() for row in rows]


def _side_by_side(title: str, columns: Sequence[Sequence[str]]) -> list[str]:
    """Columns as one, of lines equally long, under a title."""
    rows = aligned(list(zip(*columns, strict=True)))
    size = max(map(len, (title, *rows)))
    return [line.ljust(size) for line in (title, *rows)]


def results_csv(runs: Iterable[Run], groups: Sequence[Group], metrics: Sequence[str]) -> str:
    """A row a run, the ones left out of all means too: what it is, how it ended, last and best values."""
    home = {run: group for group in groups for run in (*group.runs, *group.others)}
    rows = []
    for run in runs:
        group = home.get(run)
        row: dict[str, Any] = {"run": run.name, "group": group.label if group else None}
        row |= {key: show(value) for key, value in group.settings.items()} if group else {}
        row |= {
            "seed": run.seed,
            "status": run.status,
            "averaged": "yes" if group and run in group.runs else "no",
            "epochs": run.epochs,
            "corpus": run.corpus.fingerprint,
        }
        for metric in metrics:
            best = run.best(metric) or (None, None)
            row |= {f"{metric} last": run.last(metric)}
            row |= (
                {f"{metric} best": best[0], f"{metric} best epoch": best[1]} if measure(metric).better else {}
            )
        row |= {key: run.summary.get(key) for key in ("seconds", "version", "commit", "machine", "command")}
        rows.append(row)
    return _csv(rows)


def summary_csv(groups: Sequence[Group], metrics: Sequence[str]) -> str:
    """A row a group: what sets it apart, and mean, standard deviation and number of the finished runs."""
    rows = []
    for group in groups:
        row: dict[str, Any] = {"group": group.label}
        row |= {key: show(value) for key, value in group.settings.items()}
        row |= {"corpus": group.corpus.fingerprint, "runs": len(group.runs) + len(group.others)}
        for metric in metrics:
            estimates = {"last": group.last(metric)}
            if measure(metric).better:
                estimates["best"] = group.best(metric)
            for which, estimate in estimates.items():
                row[f"{metric} {which} mean"] = estimate.mean if estimate.n else None
                row[f"{metric} {which} sd"] = None if math.isnan(estimate.sd) else estimate.sd
            row[f"{metric} n"] = estimates["last"].n
        rows.append(row)
    return _csv(rows)


def pairs_csv(pairs: Iterable[Pair]) -> str:
    """A row for two groups and a metric: the mean difference of the last values and its 95 % interval."""
    return _csv(
        [
            {
                "first": pair.first.label,
                "second": pair.second.label,
                "metric": pair.metric,
                "seeds": pair.difference.n,
                "mean difference": pair.difference.mean,
                "low": pair.difference.low if pair.difference.n > 1 else None,
                "high": pair.difference.high if pair.difference.n > 1 else None,
                "verdict": pair.verdict,
            }
            for pair in pairs
        ]
    )


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows under the union of their columns, in order of appearance."""
    text = io.StringIO()
    names = dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(text, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
