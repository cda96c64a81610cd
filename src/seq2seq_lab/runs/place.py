"""Where a run is: it is found again by what it is, and no two runs share a folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from seq2seq_lab.errors import UserError
from seq2seq_lab.files import read_limited, write_text
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.code import came_to_nothing, changed_code, say_changed
from seq2seq_lab.runs.foreign import is_inside
from seq2seq_lab.runs.identity import LENGTH, difference, earlier_fingerprint, fingerprint
from seq2seq_lab.runs.naming import folder_beside
from seq2seq_lab.runs.run import Run

_HASH = 8
_MOST_BYTES = 2**12  # of a note, which may be somebody else's


class RunSpec(NamedTuple):
    """What is to be trained, and where: all that training is told of a run.

    Attributes:
        config: resolved and checked, with the option of each group under `choices`.
        folder: of the run.
    """

    config: dict[str, Any]
    folder: Path


def find_folder(
    wanted: Path,
    config: Mapping[str, Any],
    *,
    by_length: bool = False,
    typed: bool = False,
    earlier: Path | None = None,
) -> Path:
    """The folder of a run: where the same run is, by whatever command, or one that no other run is in.

    The wanted one comes first: a longer run of equal settings may have a folder of its own, and `fresh=true` is of the
    folder that is named.

    Args:
        wanted: the one that its overrides give.
        by_length: whether runs that differ only in their length have folders of their own.
        typed: whether its name was typed: then all seeds of another run keep it from the folder, and what differs is
            appended.
        earlier: the one that its overrides gave in an earlier version.
    """
    apart = beside(wanted, config)
    anew = typed and config.get("fresh")  # a finished run of another name is not replaced
    known = None if by_length else remembered(config)
    if known is not None and _is_of_length(known, config):
        known = None
    for folder in [wanted] if anew else [wanted, known, apart, earlier]:
        if folder is not None and _contains(folder, config):
            return folder
    there = Run(wanted)
    if typed and (other := _other(wanted, config)):
        wanted = folder_beside(other.config(), config, wanted)
        if not Run(wanted).exists() or _contains(wanted, config):
            return wanted
        return beside(wanted, config)
    if not there.exists():
        return wanted
    if not (changed := changed_code(there, config)):
        return wanted if by_length else apart
    if came_to_nothing(there):
        return wanted
    say_changed(there, changed, apart)
    return apart


def _other(wanted: Path, config: Mapping[str, Any]) -> Run | None:
    """A run in a folder, or with another seed beside it, that differs from a configuration in its settings."""
    for folder in (wanted, *sorted(wanted.parent.glob("seed-*"))):
        run = Run(folder)
        try:
            if run.exists():
                key = difference({**run.config(), "seed": None}, {**config, "seed": None})
                return None if key is None or changed_code(run, config) else run
        except UserError:  # damaged
            continue
    return None


def _contains(folder: Path, config: Mapping[str, Any]) -> bool:
    run = Run(folder)
    try:
        return run.exists() and run.difference(config) is None
    except UserError:  # damaged: training says so
        return True


def _is_of_length(folder: Path, config: Mapping[str, Any]) -> bool:
    """Whether a folder is that of a run of another length, as in a sweep over lengths: it stays as it is."""
    if not any(f"{key}=" in folder.parent.name for key in LENGTH):
        return False
    try:
        there = Run(folder).config()["trainer"]
    except UserError:
        return False
    return any(there.get(key) != config["trainer"].get(key) for key in LENGTH)


def beside(folder: Path, config: Mapping[str, Any]) -> Path:
    """A folder beside one that contains another run, for this run and its other seeds."""
    name = f"{folder.parent.name}~{fingerprint({**config, 'seed': None})[:_HASH]}"
    return folder.parent.with_name(name) / folder.name


def remember(folder: Path, config: Mapping[str, Any]) -> None:
    """Note the folder of a run below its output directory, so that the same run is found by another spelling."""
    outputs = Path(str(config["output_dir"]))
    note = outputs / layout.NOTES / fingerprint(config)
    if folder.is_relative_to(outputs) and is_inside(note, outputs):
        write_text(note, folder.relative_to(outputs).as_posix() + "\n")


def remembered(config: Mapping[str, Any]) -> Path | None:
    """The folder that was noted for this run; there may be none or another run in it now."""
    outputs = Path(str(config["output_dir"]))
    for note in (fingerprint(config), earlier_fingerprint(config)):
        try:
            text = read_limited(outputs / layout.NOTES / note, _MOST_BYTES).decode().strip()
        except (OSError, ValueError):
            continue
        # Somebody else's file may name any path.
        return outputs / text if text and "\0" not in text and is_inside(outputs / text, outputs) else None
    return None
