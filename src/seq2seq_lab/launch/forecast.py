"""What a sweep would do (`train --dry-run`): its runs, what each of them is now, and how long they would take."""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from seq2seq_lab.config.schema import CHOICES
from seq2seq_lab.config.trainer import most_epochs
from seq2seq_lab.errors import UserError, counted, first_line
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.find import find
from seq2seq_lab.runs.identity import LENGTH
from seq2seq_lab.runs.lock import is_locked
from seq2seq_lab.runs.place import RunSpec
from seq2seq_lab.runs.run import Run
from seq2seq_lab.terminal import duration, typed

_DONE, _RUNNING, _GOES_ON, _NEW, _REFUSED = "finished", "running", "goes on", "new", "refused"
# What the time of an epoch depends on.
_NODES = ("data", "split", "model", "loader", "trainer")
_GROUPS = ("forcing", "target", "objective", "measures", "callbacks")


def show(runs: Sequence[tuple[str, RunSpec]], *, jobs: int) -> None:
    """Print the plan of a sweep; nothing is written.

    Args:
        runs: what sets each apart from the others, and what it is.
        jobs: how many of them would be trained at the same time.
    """
    from seq2seq_lab.compare.views.terminal import aligned

    rows, states, seconds = [], [], []
    known = _seconds_per_epoch({str(spec.config["output_dir"]) for _, spec in runs})
    for which, spec in runs:
        state, epochs, why = _state(spec)
        states.append(state)
        wanted = most_epochs(spec.config["trainer"])
        rows.append((state, f"{epochs}/{'?' if wanted is None else wanted}", which, typed(spec.folder), why))
        if state in (_GOES_ON, _NEW):
            each = known.get(_kind(spec.config))
            seconds.append(math.nan if each is None or wanted is None else each * max(0, wanted - epochs))
    print("\n".join(f"  {line}" for line in aligned(rows)))
    counts = ", ".join(f"{number} {state}" for state, number in Counter(states).items())
    print(f"{counted(len(runs), 'run')}: {counts}; nothing was trained or written")
    print(f"expected time: {_expected(seconds, jobs)}")


def _state(spec: RunSpec) -> tuple[str, int, str]:
    """What a run is now, the epochs that it has, and why it would be refused."""
    from seq2seq_lab.training.resume import Start

    run = Run(spec.folder)
    try:
        start = Start(run, spec.config)
    except UserError as error:
        return _REFUSED, 0, first_line(error)
    if is_locked(run.folder / layout.LOCK):
        return _RUNNING, run.epochs, ""
    if not start.resumed:
        return _NEW, 0, ""
    if start.finished:
        return _DONE, run.epochs, ""
    if run.last_checkpoint.exists() or run.previous_checkpoint.exists():
        return _GOES_ON, run.epochs, ""
    return (_REFUSED, run.epochs, "its last checkpoint is not there") if run.finished else (_GOES_ON, 0, "")


def _seconds_per_epoch(outputs: set[str]) -> dict[str, float]:
    """The kind of a run → the mean of the finished ones below some folders."""
    found: dict[str, list[float]] = defaultdict(list)
    for folder in find([Path(path) for path in outputs if Path(path).is_dir()])[0]:
        run = Run(folder)
        seconds = run.summary().get("seconds")
        if run.finished and run.epochs and isinstance(seconds, int | float):
            try:
                found[_kind(run.config())].append(seconds / run.epochs)
            except UserError:  # damaged
                continue
    return {kind: fmean(several) for kind, several in found.items()}


def _kind(config: Mapping[str, Any]) -> str:
    """What the time of an epoch depends on; equal for equal kinds."""
    nodes = {each: config.get(each) for each in _NODES}
    if isinstance(trainer := nodes["trainer"], Mapping):
        nodes["trainer"] = {key: value for key, value in trainer.items() if key not in LENGTH}
    choices = config.get(CHOICES) or {}
    return json.dumps([nodes, [choices.get(group) for group in _GROUPS]], sort_keys=True, default=str)


def _expected(seconds: Sequence[float], jobs: int) -> str:
    known = [each for each in seconds if not math.isnan(each)]
    unknown = len(seconds) - len(known)
    if not seconds:
        return "nothing is left to train"
    if not known:
        return "unknown, as no run of the same kind is finished"
    at_once = f", {jobs} at the same time" if jobs > 1 else ""
    rest = f"; unknown for {counted(unknown, 'run')} of other kinds" if unknown else ""
    return f"about {duration(max(*known, sum(known) / jobs))} for {counted(len(known), 'run')}{at_once}{rest}"
