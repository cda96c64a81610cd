"""Facts of a run for lists: what it is doing, how fast, and the values by which runs are chosen, shown and sorted."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from seq2seq_lab.config.schema import CHOICES
from seq2seq_lab.config.trainer import most_epochs
from seq2seq_lab.evaluation.measure import Better, from_dict
from seq2seq_lab.evaluation.measures import measure
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.annotations import read_annotations
from seq2seq_lab.runs.lock import is_locked
from seq2seq_lab.runs.run import Run

BEST = "best "  # before a metric: its best value
KILLED = "killed"
STATUSES = ("running", "finished", "interrupted", "failed", KILLED)
# Keys that every run has, beside its metrics, its options and the keys of its configuration.
OF_ALL = ("status", "seed", "epochs", "name", "tag", "note")


def activity(run: Run) -> str:
    """The status of a run; `killed` if it says that it is running and no process trains it."""
    if run.status == "running" and not is_locked(run.folder / layout.LOCK):
        return KILLED
    return run.status


def changed(run: Run) -> float:
    """When the summary or configuration of a run was last written, in seconds since 1970; 0 if it is gone."""
    times = [0.0]
    for name in (layout.SUMMARY, layout.CONFIG):
        try:
            times.append((run.folder / name).stat().st_mtime)
        except OSError:  # not written, or removed by somebody
            continue
    return max(times)


def max_epochs(run: Run) -> int | None:
    """The number of epochs that it is to have; None if that is not limited, or not known."""
    return most_epochs(run.config().get("trainer"))


def monitored(run: Run) -> str:
    """The metric that selects its best checkpoint."""
    monitor = run.config().get("monitor")
    metric = monitor.get("metric") if isinstance(monitor, Mapping) else None
    return metric if isinstance(metric, str) else "train/loss"


def seconds(run: Run) -> float | None:
    """How long it was trained."""
    return _number(run.summary().get("seconds"))


def epoch_seconds(run: Run) -> float | None:
    """The mean time of an epoch, with the evaluation; of a single epoch without what begins a run, if it noted that."""
    if (last := run.last("perf/epoch_seconds")) is not None and run.epochs < 2:
        return last
    trained = seconds(run)
    return trained / run.epochs if trained is not None and run.epochs else last


def seconds_to_go(run: Run) -> float | None:
    """How long its other epochs take if they are as fast; None if it is not being trained, or that is not known."""
    wanted, each = max_epochs(run), epoch_seconds(run)
    if activity(run) != "running" or wanted is None or each is None:
        return None
    since = max(0.0, time.time() - changed(run))  # of the epoch that is under way
    return max(0.0, each * max(0, wanted - run.epochs) - min(since, each))


def better_of(run: Run, metric: str) -> Better:
    """The better direction of a metric, `lower` or `higher`; None if neither is better."""
    return measure(metric, from_dict(run.summary().get("measures"))).better


def values(run: Run, key: str) -> list[Any]:
    """The values that a run has for a key; several where it has several tags, or keys that end alike.

    Args:
        key: one of `OF_ALL`, a metric (its last value, or `best METRIC`), a group with options, or a key of the
            configuration: the whole key or its last parts, such as `lr`.
    """
    if key in OF_ALL:
        return _of_all(run, key)
    if key.startswith(BEST):
        metric = key.removeprefix(BEST)
        best = run.best(metric, better_of(run, metric))
        return [] if best is None else [best[0]]
    if (value := run.last(key)) is not None:
        return [value]
    choices = run.config().get(CHOICES) or {}
    if key in choices:
        return [choices[key]]
    config = settings_of(run)
    if key in config:
        return [config[key]]
    return [value for each, value in config.items() if each.endswith(f".{key}")]


def keys(run: Run) -> list[str]:
    """All keys that a run has values for."""
    metrics = [*run.curves(), *run.evaluated]
    return [*OF_ALL, *metrics, *(run.config().get(CHOICES) or {}), *settings_of(run)]


def settings_of(run: Run) -> dict[str, Any]:
    """Its configuration: dotted key → value; a list is a value."""
    return dict(flatten({key: value for key, value in run.config().items() if key != CHOICES}))


def flatten(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted keys and values of a nested configuration, in order; a list is a value."""
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _of_all(run: Run, key: str) -> list[Any]:
    match key:
        case "status":
            return [activity(run)]
        case "seed":
            return [] if run.seed is None else [run.seed]
        case "epochs":
            return [run.epochs]
        case "name":
            return list(dict.fromkeys([run.name, str(run.folder)]))
        case "tag":
            return list(read_annotations(run.folder).tags)
        case _:
            return [note] if (note := read_annotations(run.folder).note) else []


def _number(value: Any) -> float | None:
    """A number of somebody else's file; None if it is none."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
