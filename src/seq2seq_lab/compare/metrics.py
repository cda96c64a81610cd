"""Which metrics a comparison shows."""

import difflib
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase

from seq2seq_lab.errors import UserError
from seq2seq_lab.evaluation.measures import Measure, is_shown, measure

_FEW = 4
_HELD_OUT = ("val/", "test/")


def shown(
    asked: Sequence[str] | None,
    measured: Sequence[str],
    described: Mapping[str, Measure],
    *,
    graded: Collection[bool] = (True,),
) -> list[str]:
    """The metrics to show: the given ones, with patterns expanded, or the default ones.

    Args:
        asked: names or patterns such as `val/*`; if empty, the default metrics.
        measured: all metrics of all runs.
        described: measures in the summaries of runs, by name; see `evaluation.measures.measure`.
        graded: of the runs' tasks, whether a target that is partly right has a worth; see `data.task.Task`.

    Raises:
        UserError: no run measured a given metric.
    """
    if not asked:
        return _default(measured, described, graded)
    found: dict[str, None] = {}
    for pattern in asked:
        matching = [metric for metric in measured if fnmatchcase(metric, pattern)]
        if not matching:
            raise UserError(f"--metric {pattern}: {not_measured(pattern, measured)}")
        found |= dict.fromkeys(matching)
    return list(found)


def not_measured(name: str, measured: Sequence[str]) -> str:
    """The message about a metric that no run measured."""
    near = difflib.get_close_matches(name, measured, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"no run measured it; {hint}there are {', '.join(measured) or 'none'}"


def _default(
    measured: Sequence[str], described: Mapping[str, Measure], graded: Collection[bool]
) -> list[str]:
    """The metrics of measures that are shown; for an evaluation, those on held-out pairs if there are any."""
    held_out = [metric for metric in measured if metric.startswith(_HELD_OUT)]
    found = []
    for metric in measured:
        facts = measure(metric, described)
        on_another_part = facts.stage == "evaluation" and held_out and metric not in held_out
        if any(is_shown(facts, graded=each) for each in graded) and not on_another_part:
            found.append(metric)
    return found or list(measured[:_FEW])
