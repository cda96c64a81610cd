"""The name of a run, and the part of its configuration that identifies it."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seq2seq_lab.runs import layout

# Keys that the derived name already shows.
_IN_NAME = ("model", "forcing", "forcing.ratio")
# Keys that have their own part of the path, or that do not change the trained model.
_NOT_IN_PATH = (
    *layout.INCIDENTAL,
    "seed",
    "experiment",
    "trainer",
    "callbacks",
    "data.archive",
    "monitor",
)
_LEFT_OUT_GROUPS = (*layout.INCIDENTAL, "callbacks", "monitor", "measures")
_LONGEST = 120  # characters of a name; file systems allow 255


def derived_name(choices: Mapping[str, str], config: Mapping[str, Any]) -> str:
    """`model-forcing[-ratio]`, e.g. `attention-mixed-0.5`."""
    parts = [choices["model"], choices["forcing"]]
    if "ratio" in config["forcing"]:
        parts.append(str(config["forcing"]["ratio"]))
    return "-".join(parts)


def run_folder(config: Mapping[str, Any], overrides: Sequence[str], named: bool) -> Path:
    """The folder of a run: `[overrides/]name/seed-N` below the output directory.

    Args:
        config: the resolved configuration.
        overrides: those of the command line, `key=value`.
        named: whether the configuration contained a name; otherwise it was derived from model and forcing.
    """
    left_out = _NOT_IN_PATH if named else (*_NOT_IN_PATH, *_IN_NAME)
    parts = {}  # sorted by key below, as the order on the command line has no effect; the last override wins
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        value = re.sub(r"^\[([\w,]+)\]$", r"\1", value)  # several options of a group
        value = value.lower() if value in ("True", "False") else value  # Hydra writes them so in a multirun
        group = key.partition(".")[0]
        if key not in left_out and group not in _LEFT_OUT_GROUPS and not key.startswith("hydra"):
            parts[key] = value if key == "data" else f"{re.split('[./]', key)[-1]}={value}"
    parent = re.sub(r"[^\w.,=+-]+", "_", ",".join(parts[key] for key in sorted(parts)))
    if len(parent) > _LONGEST:
        parent = parent[:_LONGEST] + "~" + hashlib.sha256(parent.encode()).hexdigest()[:8]
    return Path(str(config["output_dir"]), parent, str(config["name"]), f"seed-{config['seed']}")


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a configuration that the trained model depends on."""
    kept = {key: value for key, value in config.items() if key not in layout.INCIDENTAL}
    if isinstance(choices := kept.get("choices"), Mapping):
        kept["choices"] = {group: choices[group] for group in choices if group not in layout.INCIDENTAL}
    return kept


def fingerprint(config: Mapping[str, Any]) -> str:
    """A hash of what decides what is learnt; equal for equal runs."""
    text = json.dumps(identity(config), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


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
