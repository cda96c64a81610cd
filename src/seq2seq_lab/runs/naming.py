"""The folder of a run: it is named by what the command line set, and found again by what the run is."""

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from seq2seq_lab.config.schema import CODE, GOLD
from seq2seq_lab.files import read_limited, write_text
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.foreign import is_inside

# Keys that the derived name already shows.
_IN_NAME = ("model", "forcing", "forcing.ratio", "target")
# Keys that have their own part of the path, or that do not change the trained model.
_NOT_IN_PATH = (*layout.INCIDENTAL, "seed", "experiment", "trainer", "callbacks", "monitor", "segments")
_LEFT_OUT_GROUPS = (*layout.INCIDENTAL, "callbacks", "monitor", "measures")
# How long a run is trained. A longer one is the same run, which goes on.
_LENGTH = ("max_epochs", "max_time")
_LONGEST = 120  # characters of a name; file systems allow 255
_HASH = 8
_MOST_BYTES = 2**12  # of a note, which may be somebody else's


def derived_name(choices: Mapping[str, str], config: Mapping[str, Any]) -> str:
    """`model-forcing[-ratio][-target]`, e.g. `attention-mixed-0.5`, or the experiment's option."""
    if choices.get("experiment"):
        return str(choices["experiment"])
    parts = [choices["model"], choices["forcing"]]
    if "ratio" in config["forcing"]:
        parts.append(str(config["forcing"]["ratio"]))
    if choices.get("target", "gold") != "gold":
        parts.append(choices["target"])
    return "-".join(parts)


def run_folder(
    config: Mapping[str, Any], overrides: Sequence[str], named: bool, swept: Collection[str] = ()
) -> Path:
    """The folder of a run: `name[,overrides]/seed-N` below the output directory.

    The name comes first, and the data last, because TensorBoard cuts long names of runs at their end.

    Args:
        config: the resolved configuration.
        overrides: those of the command line, `key=value`.
        named: whether the configuration contained a name; otherwise it was derived from model and forcing.
        swept: the keys that have several values in a sweep.
    """
    left_out = _NOT_IN_PATH if named else (*_NOT_IN_PATH, *_IN_NAME)
    length = [f"trainer.{each}" for each in _LENGTH]
    parts = {}  # sorted by key below, as the order on the command line has no effect; the last override wins
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        group = key.partition(".")[0]
        if key in left_out or group in _LEFT_OUT_GROUPS or key.startswith("hydra"):
            continue
        if key not in length or key in swept:
            value = _shown(config, key, value)
            parts[key] = value if key == "data" else f"{re.split('[./]', key)[-1]}={value}"
    whole = "".join(f",{parts[key]}" for key in sorted(parts, key=lambda key: (key == "data", key)))
    settings = re.sub(r"[^\w.,=+-]+", "_", whole)
    if settings != whole or len(settings) > _LONGEST:  # a hash tells what the name does not
        settings = f"{settings[:_LONGEST]}~{_hash(whole)}"
    return Path(str(config["output_dir"]), f"{config['name']}{settings}", f"seed-{config['seed']}")


def _shown(config: Mapping[str, Any], key: str, text: str) -> str:
    """The value of an override; numbers and truth values in one spelling."""
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return re.sub(r"^\[([\w,]+)\]$", r"\1", text)  # several options of a group


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH]


def apart(folder: Path, config: Mapping[str, Any]) -> Path:
    """A folder beside one that contains another run, for the run of a configuration and of other seeds."""
    name = f"{folder.parent.name}~{fingerprint({**config, 'seed': None})[:_HASH]}"
    return folder.parent.with_name(name) / folder.name


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a configuration that the trained model depends on, but for the length of training."""
    kept = {key: value for key, value in config.items() if key not in layout.INCIDENTAL}
    if isinstance(choices := kept.get("choices"), Mapping):
        left_out = (*layout.INCIDENTAL, "experiment")
        kept["choices"] = {group: choices[group] for group in choices if group not in left_out}
        if kept.get("target") == GOLD and choices.get("target") == "gold":  # as before there were targets
            del kept["target"], kept["choices"]["target"]
    if isinstance(trainer := kept.get("trainer"), Mapping):
        kept["trainer"] = {key: value for key, value in trainer.items() if key not in _LENGTH}
    return kept


def difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """The first key in which two configurations differ; None if they are the same run."""
    ours, theirs = identity(one), identity(other)
    if CODE not in ours:  # of version 0.2, which did not note it
        theirs.pop(CODE, None)
    return first_difference(ours, theirs)


def fingerprint(config: Mapping[str, Any]) -> str:
    """A hash of what decides what is learnt; equal for equal runs."""
    text = json.dumps(identity(config), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def remember(folder: Path, config: Mapping[str, Any]) -> None:
    """Note the folder of a run below its output directory, so that the same run is found by another spelling."""
    outputs = Path(str(config["output_dir"]))
    if folder.is_relative_to(outputs) and is_inside(_note(config), outputs):
        write_text(_note(config), folder.relative_to(outputs).as_posix() + "\n")


def remembered(config: Mapping[str, Any]) -> Path | None:
    """The folder that was noted for this run; there may be none or another run in it now."""
    outputs = Path(str(config["output_dir"]))
    of_0_2 = {key: value for key, value in config.items() if key != CODE}
    for each in (config, of_0_2):
        with suppress(OSError, ValueError):
            text = read_limited(_note(each), _MOST_BYTES).decode().strip()
            folder = outputs / text
            # Somebody else's file may name any path.
            return folder if text and "\0" not in text and is_inside(folder, outputs) else None
    return None


def _note(config: Mapping[str, Any]) -> Path:
    return Path(str(config["output_dir"]), layout.NOTES, fingerprint(config))


def first_difference(one: Any, other: Any, path: str = "") -> str | None:
    """The dotted key of the first difference between two nested values; None if they are equal."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in [*one, *(key for key in other if key not in one)]:
            below = f"{path}.{key}" if path else str(key)
            if key not in one or key not in other:
                return below
            if found := first_difference(one[key], other[key], below):
                return found
        return None
    return None if one == other else path
