"""What trackers are told of a run: its name, its group, and its settings."""

from collections.abc import Mapping, Sequence
from typing import Any

from seq2seq_lab.config.tree import leaves
from seq2seq_lab.runs.identity import fingerprint
from seq2seq_lab.runs.run import Run
from seq2seq_lab.training.loggers.base import Facts

# What HParams shows: of the sentences the single values, without lists such as that of all prefixes; of a method all.
_SENTENCES: Sequence[str] = ("data", "split", "loader")
_METHOD: Sequence[str] = ("model", "forcing", "target", "objective", "optimizer", "lr_schedule")


def trial(config: Mapping[str, Any], run: Run) -> str:
    """What runs that differ only in their seed have in common: a readable name, and a code as names may be shared."""
    return f"{run.folder.parent.name} ~{fingerprint({**config, 'seed': None})[:8]}"


def facts(config: Mapping[str, Any], run: Run, identity: str) -> Facts:
    outputs = str(config["output_dir"])
    name = run.folder.relative_to(outputs) if run.folder.is_relative_to(outputs) else run.folder
    return Facts(name.as_posix(), name.parent.as_posix(), identity, outputs, config)


def hyper_parameters(config: Mapping[str, Any]) -> dict[str, bool | int | float | str]:
    """What trackers show of a configuration: numbers, texts and truth values."""
    groups = (*_SENTENCES, *_METHOD)
    shown = {key: each for key, each in config["choices"].items() if key.partition("/")[0] in groups}
    # A group that is placed elsewhere, forcing/decay@forcing.schedule.decay, has the name of its place.
    flat = {key.partition("@")[2] or key: "none" if each is None else each for key, each in shown.items()}
    for group in _SENTENCES:
        flat |= {f"{group}.{key}": value for key, value in config[group].items() if not key.startswith("_")}
    for group in _METHOD:
        flat |= {key: value for key, value in leaves(config[group], group) if "._" not in key}
    flat["gradient_clip"] = config["gradient_clip"]
    return {key: value for key, value in flat.items() if isinstance(value, bool | int | float | str)}
