"""TensorBoard's event files of a run that goes on: what it will write again is removed first."""

import struct
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from seq2seq_lab.evaluation.measures import TEST, tensorboard_tag
from seq2seq_lab.files import replacing

EVENTS = "events.out.tfevents.*"
_OF_EPOCHS = ("train/", "val/", "~perf/", "perf/", "translations", "~attention/")
_OF_TEST = (tensorboard_tag(f"{TEST}/"), f"{TEST}/")  # the second in files of version 0.2
_HEADER, _FOOTER = (
    struct.Struct("<QI"),
    4,
)  # the length of a record and its checksum; the checksum of its data


def discard_after(folder: Path, epoch: int, steps: int = 0, logged: Collection[str] = ()) -> None:
    """Remove what a run logged after a checkpoint, as it is trained again, and all results of its test part.

    A run that is killed between the logger's write and the checkpoint would have these epochs twice. A record that
    was not written completely is removed too. What the run logs is at its epochs; a callback that writes to the logger
    itself may count steps instead, as Lightning's do.

    Args:
        epoch: the last epoch before the checkpoint.
        steps: Lightning's steps before it, which a callback counts from 0.
        logged: what callbacks have logged at epochs.
    """

    def keep(tag: str, step: int) -> bool:
        of_epochs = tag.startswith(_OF_EPOCHS) or tag in logged
        return not tag.startswith(_OF_TEST) and (step <= epoch or (step < steps and not of_epochs))

    for path in sorted(folder.glob(EVENTS)):
        _filter(path, keep)


def steps_of(folder: Path, tag: str) -> set[int]:
    """The steps at which a tag stands in the event files of a run."""
    return {
        event.step
        for path in folder.glob(EVENTS)
        for _, event in _events(path.read_bytes())
        if any(value.tag == tag for value in event.summary.value)
    }


def _filter(path: Path, keep: Callable[[str, int], bool]) -> None:
    whole = path.read_bytes()
    left = b"".join(
        record
        for record, event in _events(whole)
        if all(keep(value.tag, event.step) for value in event.summary.value)
    )
    if left != whole:
        with replacing(path) as temporary:
            temporary.write_bytes(left)


def _events(whole: bytes) -> Iterator[tuple[bytes, Any]]:
    """Each complete record of a file, and its event, without damaged ones."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from tensorboard.compat.proto.event_pb2 import Event

    for record, data in _records(whole):
        with suppress(DecodeError):
            yield record, Event.FromString(data)


def _records(whole: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each complete record of a file, and the data in it."""
    start = 0
    while start + _HEADER.size <= len(whole):
        length, _ = _HEADER.unpack_from(whole, start)
        first, end = start + _HEADER.size, start + _HEADER.size + length + _FOOTER
        if end > len(whole):
            return
        yield whole[start:end], whole[first : first + length]
        start = end
