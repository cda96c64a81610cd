"""Mistakes in a command line, in our words instead of Hydra's."""

from collections.abc import Iterator
from typing import Any

from seq2seq_lab.config.check import GROUPS, config_dir, first_line, nearest


def explain(error: Exception) -> str | None:
    """What is wrong with a command line, in a line or two; None for an error of another kind."""
    from hydra.errors import HydraException, OverrideParseException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, OSError) and error.filename:  # a folder that cannot be made or written to
        return f"{error.filename}: {error.strerror}; output_dir=DIR puts runs elsewhere"
    if isinstance(error, OverrideParseException):
        return f"{error.override}: not an override of the form KEY=VALUE: {first_line(error)}"
    if isinstance(error, ValueError) and str(error).startswith("Config group override must be"):
        groups = ", ".join([*GROUPS, "experiment"])
        return f"a group takes the name of one of its options, as model=attention; groups: {groups}"
    if not isinstance(error, HydraException | OmegaConfBaseException):
        return None
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines and lines[0].startswith("Could not override '") and error.__cause__ is not None:
        return _no_such_key(lines[0].split("'")[1])
    if lines and lines[0].startswith("Ambiguous value for argument '"):
        override = lines[0].split("'")[1]
        return f"{override}: several values; -m sweeps over them, and a list is written KEY=[1,2]"
    if "Could not find '" in str(error):
        return _no_such_option(str(error).split("Could not find '")[1].split("'")[0])
    return "\n".join(lines[:2])


def options(group: str) -> list[str]:
    """The names of a group's options, those in folders as `folder/option`."""
    folder = config_dir() / group
    paths = [path.relative_to(folder).with_suffix("") for path in folder.rglob("*.yaml")]
    return sorted(path.as_posix() for path in paths if not path.name.startswith("_"))


def _no_such_option(wanted: str) -> str:
    group, _, option = wanted.partition("/")
    near = nearest(option, options(group))
    return f"{group}={option}: no such option{near}\noptions of {group}: {', '.join(options(group))}"


def _no_such_key(key: str) -> str:
    """What to say of a key that no chosen option has: who has it, or what was meant."""
    import yaml

    group, parent = key.partition(".")[0], key.rpartition(".")[0]
    if group in GROUPS:
        files = {option: config_dir() / group / f"{option}.yaml" for option in options(group)}
    else:
        files = {"": config_dir() / "train.yaml"}
    siblings: set[str] = set()
    for option, path in files.items():
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        keys = set(_flat(content, group if option else ""))
        if key in keys:
            return f"{key}: {group}={option} has this key, the option that was chosen has not"
        siblings.update(name.rpartition(".")[2] for name in keys if name.rpartition(".")[0] == parent)
    if not parent:
        near = nearest(key, {*siblings, *GROUPS})
    elif siblings:
        near = nearest(key.rpartition(".")[2], siblings, f"{parent}.")
    else:
        near = nearest(group, {*GROUPS, "loader"})
    return f"{key}: no such key{near} (a new key is added with +{key}=…)"


def _flat(node: Any, path: str) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            below = f"{path}.{key}" if path else str(key)
            yield below
            yield from _flat(value, below)
