"""Overrides that Hydra reads, and that cannot be meant: refused before anything is composed, by what would be right."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seq2seq_lab.config.options import config_dir, groups, option_files, options, read
from seq2seq_lab.config.schema import CHOICES, CODE, EXPERIMENT, RENAMED, SETS
from seq2seq_lab.config.texts import quoted
from seq2seq_lab.errors import UserError

# Hydra's plugins that this package has extras for: option → extra.
EXTRAS = {
    "hydra/launcher": {
        "joblib": "parallel",
        "submitit_slurm": "slurm",
        "submitit_local": "slurm",
        "ray": "ray",
    },
    "hydra/sweeper": {"optuna": "optuna"},
}


def refuse_misuse(overrides: Sequence[str], extra: Sequence[Path] = ()) -> None:
    """Refuse overrides that take a group, or a key that the run itself adds, for something else.

    Args:
        extra: folders of the user's own options.

    Raises:
        UserError: the first of them.
    """
    known = groups(extra)
    _check_commas(overrides)
    for override in overrides:
        sign, key, equals, value = re.fullmatch(r"([+~]*)([^=]*)(=?)(.*)", override, re.DOTALL).groups()  # type: ignore[union-attr]
        if not key:
            raise UserError(f"{override}: not an override of the form KEY=VALUE")
        if key.partition(".")[0] in (CHOICES, CODE):
            raise UserError(f"{override}: a run notes {key.partition('.')[0]} itself")
        if now := RENAMED.get(group := key.partition(".")[0]):
            raise UserError(f"{override}: the group is named {now} now: {override.replace(group, now, 1)}")
        if key == "hydra.launcher.n_jobs" and value == "0":
            raise UserError(f"{override}: it must be at least 1, or -1 for all processors")
        if key.startswith("hydra.sweeper.params."):
            several = re.match(r"[^'\"\[{$]*[,(]", value)
            if not sign or several:  # without quotation marks the parameter itself would be swept over
                right = f'"+{key}={quoted(value)}"' if several else f"+{override}"
                raise UserError(f"{override}: it is written {right}")
        if key in known:
            _check_group(override, sign, key, value if equals else "", extra)


def _check_commas(overrides: Sequence[str]) -> None:
    """Refuse spaces beside the commas of several values: a shell makes arguments of their own of what follows."""
    for number, override in enumerate(overrides):
        joined, *rest = overrides[number:]
        while rest and (joined.endswith(",") or rest[0].startswith(",")):
            joined += rest.pop(0)
        if joined != override:
            raise UserError(f"{override}: several values have no spaces between them: {shlex.quote(joined)}")
        if override.endswith(",") and "=" in override:
            raise UserError(f"{override}: it ends with a comma: {shlex.quote(override.rstrip(','))}")


def _check_group(override: str, sign: str, group: str, value: str, extra: Sequence[Path]) -> None:
    """Check how the option of a group is chosen."""
    if group == EXPERIMENT and (sign == "~" or "null" in value.split(",")):
        raise UserError(f"{override}: a run is of no experiment where none is chosen; leave it out")
    if sign == "~":
        raise UserError(f"{override}: a run needs the group {group}; {_instead(group, extra)}")
    if sign and group != EXPERIMENT and "/" not in group:
        raise UserError(f"{override}: an option is chosen without {sign}: {group}={value}")
    if value in ("[]", "null") and group in SETS:
        raise UserError(f"{override}: {_instead(group, extra)}")
    several = value.startswith("[") and group in SETS
    if several:
        for chosen in re.findall(r"\[([^\[\]]*)\]", value):  # of a sweep there are several lists
            _check_members(override, group, [name.strip() for name in chosen.split(",")], extra)
    if value == "null" or (value[:1] in ("{", "[", '"', "'") and not several):
        one = "its options" if group in SETS else "one of its options"
        raise UserError(f"{override}: {group} takes {one}: {_listed(group, extra)}")


def _check_members(override: str, group: str, chosen: Sequence[str], extra: Sequence[Path]) -> None:
    """Refuse two options of a set that set the same key in different ways: Hydra would merge them into one.

    What `default` sets may be set anew on purpose; the keys of a file with another package are not those of the group.
    """
    files = option_files(group, extra)
    before: dict[str, tuple[str, Any]] = {}
    for name in chosen:
        if name not in files or name == "default" or "@package" in files[name].read_text(errors="replace"):
            continue
        for key, value in read(files[name]).items():
            other, theirs = before.setdefault(key, (name, value))
            if key != "defaults" and theirs != value:
                raise UserError(
                    f"{override}: {other} and {name} both set {group}.{key}, which would be one; choose one of them"
                )


def _instead(group: str, extra: Sequence[Path]) -> str:
    known = options(group, extra)
    for nothing in ("none", "off"):
        if nothing in known:
            return f"{group}={nothing} takes none of them; its options are {_listed(group, extra)}"
    return f"choose one of its options: {_listed(group, extra)}"


def _listed(group: str, extra: Sequence[Path]) -> str:
    return ", ".join(options(group, extra))


def no_such_option(group: str, option: str) -> str:
    """What to say of an option of Hydra that is not there, such as one of a launcher."""
    extras = EXTRAS.get(group, {})
    if option in extras:
        return f"{group}={option}: not installed; pip install 'seq2seq-lab[{extras[option]}]'"
    there = _of_hydra(group)
    more = [
        f"{name} (pip install 'seq2seq-lab[{extra}]')" for name, extra in extras.items() if name not in there
    ]
    known = f"; options: {', '.join([*there, *more])}" if there else ""
    return f"{group}={option}: no such option{known}"


def _of_hydra(group: str) -> list[str]:
    """The launchers or sweepers that are installed; those of Hydra's other groups are not known here."""
    from hydra.core.config_store import ConfigStore
    from hydra.core.plugins import Plugins

    Plugins.instance()  # they note their options
    node: Any = ConfigStore.instance().repo
    for part in group.split("/"):
        node = node.get(part, {})
    own = {path.stem for path in (config_dir() / group).glob("*.yaml")}
    return sorted({str(name).removesuffix(".yaml") for name in node} | own)
