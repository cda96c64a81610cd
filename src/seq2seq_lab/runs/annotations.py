"""A note and tags of a run: a file in its folder, which nothing of the run depends on."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seq2seq_lab.errors import UserError, is_utf8
from seq2seq_lab.files import read_json, write_text
from seq2seq_lab.runs import layout

_MOST_BYTES = 2**16  # of the file, which may be somebody else's
_LONGEST = 100  # characters of a tag


@dataclass(frozen=True)
class Annotations:
    """What somebody wrote about a run.

    Attributes:
        note: a text; empty if there is none.
        tags: in the order of the alphabet, each once.
    """

    note: str = ""
    tags: tuple[str, ...] = ()


def read_annotations(folder: Path, *, to_change: bool = False) -> Annotations:
    """Those of a run; empty if there are none, or the file is damaged.

    Args:
        to_change: whether they are to be changed: a damaged file may have a note that can be mended.

    Raises:
        UserError: so it is, and the file cannot be read.
    """
    path = folder / layout.ANNOTATIONS
    try:
        found = read_json(path, _MOST_BYTES)
        return Annotations(
            str(found.get("note") or ""), _sorted([str(tag) for tag in found.get("tags") or ()])
        )
    except (OSError, ValueError, AttributeError, TypeError) as error:
        if to_change and not isinstance(error, FileNotFoundError):
            raise UserError(f"{path}: damaged, and kept as it is; correct or remove it") from None
        return Annotations()


def write_annotations(folder: Path, annotations: Annotations) -> None:
    """Replace those of a run; no file is left where they are empty.

    Raises:
        UserError: they are too long to be read again.
    """
    path = folder / layout.ANNOTATIONS
    if annotations == Annotations():
        path.unlink(missing_ok=True)
        return
    contents = {"note": annotations.note, "tags": annotations.tags}
    text = json.dumps(contents, ensure_ascii=False, indent=1) + "\n"
    if (size := len(text.encode())) > _MOST_BYTES:
        raise UserError(f"{folder}: a note and its tags may have {_MOST_BYTES:,} bytes, these have {size:,}")
    write_text(path, text)


def with_tags(before: Annotations, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> Annotations:
    """The same annotations with other tags."""
    return Annotations(before.note, _sorted([tag for tag in (*before.tags, *add) if tag not in remove]))


def parse_tags(text: str) -> list[str]:
    """The tags of a text with commas between them.

    Raises:
        UserError: one is empty or long.
    """
    tags = [tag.strip() for tag in text.split(",")]
    for tag in tags:
        if not tag or len(tag) > _LONGEST or not tag.isprintable():
            raise UserError(
                f"{text!r}: a tag is a text of 1 to {_LONGEST} characters in a line; commas separate tags"
            )
    return tags


def check_first(text: str, what: str) -> None:
    """Refuse a path where a text is expected, as somebody types who takes the runs for the first argument.

    Raises:
        UserError: it is the path of a folder, or not UTF-8.
    """
    if not is_utf8(text):
        raise UserError(f"{text!r}: {what} is not UTF-8")
    if text and os.sep in text and Path(text).is_dir():
        raise UserError(f"{text}: {what} comes first, and the runs after it")


def _sorted(tags: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(dict.fromkeys(tags)))
