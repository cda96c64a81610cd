"""What a configuration that somebody else may have written can name: a run's folder is data, not a program."""

import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from seq2seq_lab.config.modules import make_importable
from seq2seq_lab.config.options import config_dir, read
from seq2seq_lab.config.schema import EXPERIMENT
from seq2seq_lab.config.tree import targets
from seq2seq_lab.errors import UserError

VARIABLE = "SEQ2SEQ_LAB_TRUST"


def trust(modules: Sequence[str]) -> None:
    """Trust these modules from now on, in the processes that this one starts too."""
    if modules:
        os.environ[VARIABLE] = ",".join(filter(None, [os.environ.get(VARIABLE), *modules]))


def check_targets(node: Mapping[str, Any], path: str, trusted: Sequence[str] = ()) -> None:
    """Check that each `_target_` in a node is one that the package's own options name there, or is trusted by the user.

    Args:
        node: of a configuration.
        path: its key, for the message.
        trusted: modules, such as `mymodel`, with all that is in them; those of the variable `SEQ2SEQ_LAB_TRUST`, with
            commas between them, are trusted too.

    Raises:
        UserError: a target is neither.
    """
    modules = [*trusted, *filter(None, os.environ.get(VARIABLE, "").split(","))]
    for key, target in targets(node, path):
        if isinstance(target, str) and target in registered().get(key.partition(".")[0], ()):
            continue
        if isinstance(target, str) and any(
            target == each or target.startswith(f"{each}.") for each in modules
        ):
            make_importable(target)
        else:
            module = str(target).partition(".")[0]
            raise UserError(
                f"{key}: {target!r} is not of this package, and loading it would run its code; if you trust whoever "
                f"made this run, give --trust {module}, or set {VARIABLE}={module}"
            )


def interpolation(value: Any, path: str = "") -> str | None:
    """The dotted key of the first text that Hydra does not take as it is, with `${` or `???`; None if there is none.

    What training writes is resolved. A text that is not would be resolved when the node is built, and could then name
    what was never checked.
    """
    if isinstance(value, str):
        return path if "${" in value or value == "???" else None
    entries = (
        value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, below in entries:
        name = f"{path}.{key}" if path else str(key)
        if isinstance(key, str) and "${" in key:
            return name
        if (found := interpolation(below, name)) is not None:
            return found
    return None


@cache
def registered() -> Mapping[str, frozenset[str]]:
    """Group, or root key → every target that the package's own options name in it.

    Options that another group takes by its defaults, as `/forcing/schedule@schedule`, count there too.
    """
    found: dict[str, set[str]] = {}
    for path in config_dir().rglob("*.yaml"):
        *folders, _ = path.relative_to(config_dir()).parts
        if folders[:1] == ["hydra"]:  # plug-ins of Hydra, which no run names
            continue
        within = "" if folders[:1] in ([], [EXPERIMENT]) else folders[0]  # else the file has root keys
        for key, target in targets(read(path), within):
            found.setdefault(key.partition(".")[0], set()).add(str(target))
        if within:
            found.setdefault(within, set()).update(_taken(path))
    return {group: frozenset(names) for group, names in found.items()}


def _taken(path: Path) -> set[str]:
    """The targets in the options of other folders that an option's defaults take, and in those that these take."""
    found: set[str] = set()
    for entry in read(path).get("defaults") or ():
        for key in entry if isinstance(entry, dict) else ():
            if str(key).startswith("/"):
                for option in (config_dir() / str(key).strip("/").partition("@")[0]).glob("*.yaml"):
                    found |= {str(target) for _, target in targets(read(option))} | _taken(option)
    return found
