"""Kill runs at chosen writes or moments, and compare what they leave in the end with undisturbed runs."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tiny
from seq2seq_lab.files import TEMPORARY
from seq2seq_lab.runs import layout

KILLED = 9


def outcome(folder: Path) -> dict[str, Any]:
    """All that a run leaves and that does not depend on the machine's speed, in a form that can be compared."""
    import torch

    found: dict[str, Any] = {"curves": tiny.curves(folder)}
    for name in (layout.LAST, layout.BEST):
        if (folder / layout.CHECKPOINTS / name).exists():
            checkpoint = tiny.checkpoint(folder, name)
            weights = {key: value.tolist() for key, value in checkpoint["state_dict"].items()}
            assert all(isinstance(value, torch.Tensor) for value in checkpoint["state_dict"].values())
            found[name] = (checkpoint["epoch"], checkpoint["global_step"], weights)
    summary = json.loads((folder / layout.SUMMARY).read_text(encoding="utf-8"))
    for key in ("status", "epochs", "last", "best", "stopped"):
        value = summary[key]
        if isinstance(value, dict):
            value = {name: each for name, each in value.items() if not name.startswith("perf/")}
        found[key] = value
    for name in (layout.TRANSLATIONS, f"{layout.EVALUATION}/test.json", f"{layout.EVALUATION}/test.jsonl"):
        found[name] = (folder / name).read_text(encoding="utf-8") if (folder / name).exists() else None
    found["events"] = events(folder)
    found["temporary"] = [path.name for path in folder.rglob(TEMPORARY)]
    return found


def events(folder: Path) -> dict[str, list[Any]]:
    """Tag → the steps and values in the event files, as they stand there."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found: dict[str, list[Any]] = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                if not value.tag.startswith(("~perf/", "~attention/")):
                    point = (event.step, _value(value))
                    found.setdefault(value.tag, []).append(point)
    return {tag: sorted(points, key=lambda point: point[0]) for tag, points in sorted(found.items())}


def _value(value: Any) -> Any:
    from tensorboard.util.tensor_util import make_ndarray

    if value.tag.startswith("_hparams_"):
        return "hyperparameters"
    return make_ndarray(value.tensor).tolist() if value.HasField("tensor") else value.simple_value


def different(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The parts of two outcomes that are not equal."""
    return [key for key in one.keys() | other.keys() if one.get(key) != other.get(key)]


def in_child(act: Callable[[], None]) -> int:
    """Call a function in a fork of this process; returns its exit status."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        act()
        status = 0
    finally:
        os._exit(status)


def train_until_write(number: int, *, after: bool, train: Callable[[], Any]) -> bool:
    """Train in a fork that is killed at a write, counted from 1, before or after the file has its name.

    Returns whether it was killed; if not, there are fewer writes.
    """

    def act() -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        replace, add, count = Path.replace, EventFileWriter.add_event, 0

        def counted(path: Path, target: Path) -> Path:
            nonlocal count
            count += 1
            if count == number and not after:
                os._exit(KILLED)
            made = replace(path, target)
            if count == number:
                os._exit(KILLED)
            return made

        def flushed(writer: Any, event: Any) -> None:  # what a logger has written is on the disk
            add(writer, event)
            writer.flush()

        Path.replace = counted  # type: ignore[assignment,method-assign]
        EventFileWriter.add_event = flushed
        train()

    return in_child(act) == KILLED
