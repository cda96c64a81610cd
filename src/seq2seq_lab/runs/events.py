"""TensorBoard's event files of a run that goes on: what it will write again is removed first."""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from seq2seq_lab.evaluation.measures import TEST, tensorboard_tag
from seq2seq_lab.files import replacing

EVENTS = "events.out.tfevents.*"
_OF_TEST = (tensorboard_tag(f"{TEST}/"), f"{TEST}/")  # the second in files of version 0.2
_HEADER, _FOOTER = (
    struct.Struct("<QI"),
    4,
)  # the length of a record and its checksum; the checksum of its data


def discard_after(folder: Path, epoch: int) -> None:
    """Remove what a run logged after an epoch, as it is trained again, and all results of its test part.

    A run that is killed between the logger's write and the checkpoint would have these epochs twice. A record that
    was not written completely is removed too.
    """
    for path in sorted(folder.glob(EVENTS)):
        _filter(path, lambda tag, step: step <= epoch and not tag.startswith(_OF_TEST))


def _filter(path: Path, keep: Callable[[str, int], bool]) -> None:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from tensorboard.compat.proto.event_pb2 import Event

    whole = path.read_bytes()
    kept = []
    for record, data in _records(whole):
        try:
            event = Event.FromString(data)
        except DecodeError:  # damaged
            continue
        if all(keep(value.tag, event.step) for value in event.summary.value):
            kept.append(record)
    left = b"".join(kept)
    if left != whole:
        with replacing(path) as temporary:
            temporary.write_bytes(left)


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
