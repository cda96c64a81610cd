"""Notes on a comparison: runs that are not averaged, and limits of the results."""

from collections import defaultdict
from collections.abc import Sequence

from seq2seq_lab.compare.grouping import Group
from seq2seq_lab.compare.naming import differing
from seq2seq_lab.compare.pairing import METHODS, Pair
from seq2seq_lab.compare.statistics import INTERVALS
from seq2seq_lab.evaluation.measures import TRAINING_LOSS
from seq2seq_lab.runs.run import Run

_FEW_NAMES = 6
_STATUS = {"running": "still running or killed"}
_TRAIN_CAVEAT = (
    "Training losses under different forcing are not comparable: each depends on how its policy feeds"
    " the decoder. Compare val/*, or the teacher-forced and free-running losses."
)


def not_averaged(groups: Sequence[Group]) -> list[str]:
    """One note for each status of unfinished runs, with the names of the runs."""
    by_status: dict[str, list[Run]] = defaultdict(list)
    for each in groups:
        for run in each.others:
            by_status[run.status].append(run)
    return [
        f"not averaged, {_STATUS.get(status, status)}: {_names(unfinished)}"
        for status, unfinished in sorted(by_status.items())
    ]


def _names(several: Sequence[Run]) -> str:
    names = [f"{run.name} (epoch {run.epochs})" if run.epochs else run.name for run in several[:_FEW_NAMES]]
    rest = len(several) - len(names)
    return ", ".join(names) + (f" and {rest} more" if rest else "")


def uneven(groups: Sequence[Group]) -> list[str]:
    """Notes on groups that average runs with different numbers of epochs, and on different versions of the package."""
    notes = []
    for each in groups:
        lengths = sorted({run.epochs for run in each.runs})
        if len(lengths) > 1:
            notes.append(
                f"{each.label}: its runs have different last epochs ({', '.join(map(str, lengths))})"
            )
    summaries = [run.summary() for each in groups for run in each.runs]
    versions = {str(summary["version"]) for summary in summaries if "version" in summary}
    if len(versions) > 1:
        notes.append(f"the runs are from several versions of seq2seq-lab: {', '.join(sorted(versions))}")
    return notes


def caveats(groups: Sequence[Group], metrics: Sequence[str]) -> list[str]:
    """Limits of the results that the user should know."""
    keys = differing([each.config for each in groups])
    forcing_differs = any(key.startswith("forcing.") for key in keys)
    found = [_TRAIN_CAVEAT] if TRAINING_LOSS in metrics and forcing_differs else []
    with_intervals = {metric for each in groups for metric in each.evaluated if each.last(metric).sd > 0}
    if any(metric in with_intervals and groups[0].measure(metric).bounds for metric in metrics):
        found.append(f"95 % intervals of means are {INTERVALS}.")
    return found


def of_differences(pairs: Sequence[Pair]) -> list[str]:
    """Which tests the differences have, and of which seeds they are where not all seeds are common."""
    notes = [METHODS] if any(each.difference.method == "Welch" for each in pairs) else []
    partial = dict.fromkeys(
        f"{each.title} ({each.difference.seeds} seeds)" for each in pairs if each.difference.of_some_seeds
    )
    if partial:
        several = "; ".join([*partial][:_FEW_NAMES])
        rest = len(partial) - _FEW_NAMES
        notes.append(
            "A paired difference is that of the common seeds, which need not be the difference of the means shown: "
            + several
            + (f" and {rest} more" if rest > 0 else "")
        )
    return notes
