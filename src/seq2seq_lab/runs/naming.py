"""The name of a run's folder: what the command line set."""

import hashlib
import json
import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from seq2seq_lab.config.schema import CHOICES, CODE, LONGEST_NAME
from seq2seq_lab.config.tree import leaves
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.identity import LENGTH, identity

# Keys that the derived name already shows.
_IN_NAME = ("model", "forcing", "forcing.ratio", "target")
# Keys that have their own part of the path, or that do not change the trained model.
_NOT_IN_PATH = (*layout.INCIDENTAL, "seed", "experiment", "trainer", "callbacks", "monitor", "segments")
_LEFT_OUT_GROUPS = (*layout.INCIDENTAL, "callbacks", "monitor", "measures")
_LONGEST = 120  # bytes of what is appended to a name
_HASH = 8
_OPTION = f"{CHOICES}."


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

    A name of the command line is the folder as typed; only the keys that are swept over are appended to it. To others
    every override is appended that they do not show; callbacks, measures, the length and the like only where they are
    swept over. The name comes first, and the data last, because TensorBoard cuts long names of runs at their end.

    Args:
        config: the resolved configuration.
        overrides: those of the command line, `key=value`.
        named: whether the configuration contained a name, or it is that of an experiment; otherwise it was derived
            from model and forcing.
        swept: the keys that have several values in a sweep.
    """
    typed = is_typed(overrides)
    in_name = () if typed else ("experiment",) if named else ("experiment", *_IN_NAME)
    aside = (*layout.INCIDENTAL, "seed", "hydra")
    given = []
    for key, _, value in map(_parted, overrides):
        tells = key in swept and key not in in_name and re.split("[./]", key)[0] not in aside
        if tells or (not typed and _was_shown(key, named, swept)):
            given.append((key, value))
    return _folder(config, _parts(config, given))


def earlier_folder(
    config: Mapping[str, Any], overrides: Sequence[str], named: bool, swept: Collection[str] = ()
) -> Path:
    """As `run_folder`, with the overrides appended to a name of the command line too, as it was up to version 0.2."""
    given = [(key, value) for key, _, value in map(_parted, overrides) if _was_shown(key, named, swept)]
    return _folder(config, _parts(config, given))


def _was_shown(key: str, named: bool, swept: Collection[str]) -> bool:
    left_out = _NOT_IN_PATH if named else (*_NOT_IN_PATH, *_IN_NAME)
    if key in left_out or key.partition(".")[0] in _LEFT_OUT_GROUPS or key.startswith("hydra"):
        return False
    return key in swept or key not in [f"trainer.{each}" for each in LENGTH]


def is_typed(overrides: Sequence[str]) -> bool:
    """Whether the command line gives a name."""
    return any(key == "name" for key, _, _ in map(_parted, overrides))


def folder_beside(there: Mapping[str, Any], config: Mapping[str, Any], folder: Path) -> Path:
    """The folder of a run where another one is in the one that it should have: what differs is appended.

    Args:
        there: the configuration of the other run.
        config: that of this run.
        folder: the one that both should have, with its seed.
    """
    ours, theirs = (dict(leaves({**identity(each), "seed": None})) for each in (config, there))
    chosen = {
        key: value for key, value in ours.items() if key.startswith(_OPTION) and value != theirs.get(key)
    }
    parts = {
        key.removeprefix(_OPTION): value
        for key, value in chosen.items()
        if key in theirs or key.rpartition("/")[0] not in chosen  # not the nested groups of another option
    }
    groups = [key.replace("/", ".") for key in parts]
    for key, value in ours.items():
        of_option = any(key.startswith(f"{group}.") for group in groups) and key not in theirs
        own = key.startswith((_OPTION, f"{CODE}.")) or key.endswith("_target_")
        if not own and not of_option and value != theirs.get(key):
            parts[key] = json.dumps(value, ensure_ascii=False).strip('"')
    named = [f"{_last(key)}={value}" for key, value in sorted(parts.items())]
    return folder.parent.with_name(_fitting(folder.parent.name, named)) / folder.name


def _parted(override: str) -> tuple[str, str, str]:
    return override.lstrip("+~").partition("=")


def _parts(config: Mapping[str, Any], given: Sequence[tuple[str, str]]) -> list[str]:
    """What a name shows of overrides, sorted by key, as their order has no effect; the last one of a key wins."""
    shown = {key: _shown(config, key, value) for key, value in given}
    return [
        shown[key] if key == "data" else f"{_last(key)}={shown[key]}"
        for key in sorted(shown, key=lambda key: (key == "data", key))
    ]


def _last(key: str) -> str:
    return re.split("[./]", key)[-1]


def _folder(config: Mapping[str, Any], parts: Sequence[str]) -> Path:
    above, name = os.path.split(str(config["name"]).rstrip("/"))  # a shell completes a folder with a slash
    return Path(str(config["output_dir"]), above, _fitting(name, parts), f"seed-{config['seed']}")


def _fitting(name: str, parts: Sequence[str]) -> str:
    """A name and its parts, as a folder can be named."""
    whole = "".join(f",{part}" for part in parts)
    settings = re.sub(r"[^\w.,=+-]+", "_", whole)
    most = min(_LONGEST, LONGEST_NAME - len(os.fsencode(name)))
    if settings != whole or len(os.fsencode(settings)) > most:  # a hash tells what the name does not
        cut = os.fsencode(settings)[: max(0, most)].decode(errors="ignore")
        settings = f"{cut}~{_hash(whole)}"
    return f"{name}{settings}"


def _shown(config: Mapping[str, Any], key: str, text: str) -> str:
    """The value of an override; numbers and truth values in one spelling."""
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, str) and text[:1] in ("'", '"'):
        return value
    return re.sub(r"^\[([\w,]+)\]$", r"\1", text)  # several options of a group


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH]
