"""The name of a run's folder: what the command line set."""

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from seq2seq_lab.runs import layout
from seq2seq_lab.runs.identity import LENGTH

# Keys that the derived name already shows.
_IN_NAME = ("model", "forcing", "forcing.ratio", "target")
# Keys that have their own part of the path, or that do not change the trained model.
_NOT_IN_PATH = (*layout.INCIDENTAL, "seed", "experiment", "trainer", "callbacks", "monitor", "segments")
_LEFT_OUT_GROUPS = (*layout.INCIDENTAL, "callbacks", "monitor", "measures")
_LONGEST = 120  # characters of a name; file systems allow 255
_HASH = 8


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
    length = [f"trainer.{each}" for each in LENGTH]
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
