"""What a reader of a comparison has to know: which runs are not averaged, and what the numbers do not show."""

from collections import defaultdict
from collections.abc import Sequence

from seq2seq_lab.compare.grouping import Group
from seq2seq_lab.compare.naming import differing
from seq2seq_lab.evaluation.measures import TRAINING_LOSS
from seq2seq_lab.runs.run import Run

_FEW_NAMES = 6
_STATUS = {"running": "still running or killed"}
_TRAIN_CAVEAT = (
    "Training losses under different forcing are not comparable: each is measured while the decoder is fed as"
    " its own policy says, so it mixes two regimes. Compare val/* or the forced and free-running losses."
)


def not_averaged(groups: Sequence[Group]) -> list[str]:
    """A note for each way in which runs did not finish, with their names."""
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
    """Notes on runs that are averaged though one has more epochs, or another version of the package wrote it."""
    notes = []
    for each in groups:
        lengths = sorted({run.epochs for run in each.runs})
        if len(lengths) > 1:
            notes.append(f"{each.label}: its runs end at different epochs ({', '.join(map(str, lengths))})")
    summaries = [run.summary() for each in groups for run in each.runs]
    versions = {str(summary["version"]) for summary in summaries if "version" in summary}
    if len(versions) > 1:
        notes.append(f"runs of several versions of seq2seq-lab are compared: {', '.join(sorted(versions))}")
    return notes


def caveats(groups: Sequence[Group], metrics: Sequence[str]) -> list[str]:
    """What the numbers do not show."""
    keys = differing([each.config for each in groups])
    forcing_differs = any(key.startswith("forcing.") for key in keys)
    return [_TRAIN_CAVEAT] if TRAINING_LOSS in metrics and forcing_differs else []
