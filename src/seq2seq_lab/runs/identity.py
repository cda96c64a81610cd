"""What a run is: the part of its configuration that the trained model depends on."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from seq2seq_lab.config.schema import CODE, GOLD
from seq2seq_lab.runs import layout

# How long a run is trained. A longer one is the same run, which goes on.
LENGTH = ("max_epochs", "max_time")
# How many processes share the updates of a run (`trainer=ddp`); it may go on with another number.
_PROCESSES = ("devices", "num_nodes")


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a configuration that the trained model depends on, but for the length of training."""
    kept = {key: value for key, value in config.items() if key not in layout.INCIDENTAL}
    if isinstance(choices := kept.get("choices"), Mapping):
        left_out = (*layout.INCIDENTAL, "experiment")
        kept["choices"] = {group: choices[group] for group in choices if group not in left_out}
        if kept.get("target") == GOLD and choices.get("target") == "gold":  # as before there were targets
            del kept["target"], kept["choices"]["target"]
    if isinstance(trainer := kept.get("trainer"), Mapping):
        how = {*LENGTH, *how_trained(trainer)}
        kept["trainer"] = {key: value for key, value in trainer.items() if key not in how}
    return kept


def how_trained(trainer: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys of a trainer that change neither what a run is nor what a finished one has learnt."""
    return ("max_time", *(_PROCESSES if trainer.get("strategy") == "ddp" else ()))


def difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """The first key in which two configurations differ; None if they are the same run."""
    ours, theirs = identity(one), identity(other)
    if CODE not in ours:  # of version 0.2, which did not note it
        theirs.pop(CODE, None)
    return first_difference(ours, theirs)


def fingerprint(config: Mapping[str, Any]) -> str:
    """A hash of what decides what is learnt; equal for equal runs."""
    return _hash(_numbers_alike(identity(config)))


def earlier_fingerprint(config: Mapping[str, Any]) -> str:
    """As `fingerprint`, but 1 and 1.0 differ, as up to version 0.2."""
    return _hash(identity(config))


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _numbers_alike(value: Any) -> Any:
    """Nested values with 1.0 as 1, which it is equal to."""
    if isinstance(value, Mapping):
        return {key: _numbers_alike(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_numbers_alike(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


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
