"""Train what a configuration file of a run says: `seq2seq-lab train --config RUN/config.yaml`."""

import re
import shlex
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

from seq2seq_lab.config.check import check
from seq2seq_lab.config.options import option_files, read
from seq2seq_lab.config.schema import CHOICES, CODE
from seq2seq_lab.config.texts import read_setting
from seq2seq_lab.config.tree import leaves
from seq2seq_lab.config.trust import check_targets
from seq2seq_lab.errors import UserError
from seq2seq_lab.launch.job import TaskFunction
from seq2seq_lab.launch.notify import announced, for_all
from seq2seq_lab.launch.register import INTERRUPTED, Register
from seq2seq_lab.runs import filters, layout
from seq2seq_lab.runs.addresses import check_addresses
from seq2seq_lab.runs.code import changed_code, own_code, say_changed
from seq2seq_lab.runs.foreign import is_inside
from seq2seq_lab.runs.naming import derived_name, run_folder
from seq2seq_lab.runs.place import RunSpec, find_folder
from seq2seq_lab.runs.read import read_config
from seq2seq_lab.runs.run import Run
from seq2seq_lab.runs.used import USED


def launch_file(
    path: Path, overrides: Sequence[str], *, command: str, trusted: Sequence[str] = (), verbose: bool = False
) -> int:
    """Train the run of a resolved configuration; returns the exit status.

    In the folder of a run it is that run, which goes on or is finished. Elsewhere, or with overrides that make it
    another run, it has a folder of its own below its `output_dir`.

    Args:
        path: the file, or the folder that it is in.
        overrides: keys to change, `key=value`; options of groups cannot be chosen again.
        command: the command line, for the summary.
        trusted: modules whose code the file may name.
        verbose: whether to print how the updates are made.

    Raises:
        UserError: the file is not the configuration of a run, or an override does not fit.
    """
    register = Register(Path())
    with announced(command, register):
        train_file(path, overrides, register, command=command, trusted=trusted, verbose=verbose)
    return 0


def train_file(
    path: Path,
    overrides: Sequence[str],
    register: Register,
    *,
    command: str,
    trusted: Sequence[str] = (),
    verbose: bool = False,
    in_place: bool = False,
) -> str:
    """As `launch_file`, but nobody is told of the end; what became of the run is noted in a register, and returned.

    Args:
        in_place: whether overrides that make it another run are refused.
    """
    path = path / layout.CONFIG if path.is_dir() else path
    config = _checked(path, overrides, trusted)
    if in_place and overrides and (why := Run(path.parent).difference(config)) is not None:
        raise UserError(
            f"{path.parent}: {why}: that is another run, which `train --config {path} {shlex.join(overrides)}` trains"
        )
    spec = RunSpec(config, _folder(path, config, overrides))
    ended = TaskFunction(command, Path.cwd(), register, verbose=verbose).run_alone(spec)
    if ended.result == INTERRUPTED and ended.by_user:
        raise KeyboardInterrupt
    return ended.result


def _checked(path: Path, overrides: Sequence[str], trusted: Sequence[str]) -> dict[str, Any]:
    """The configuration of a file, which may be somebody else's, with the overrides."""
    try:
        config = read_config(path)
    except ValueError as error:
        raise UserError(f"--config: {path.parent}: {error}") from None
    _check_places(config, overrides)
    config = _changed(config | {"fresh": False, "notify": for_all()}, overrides)
    check_targets(config, "", trusted)
    check(config)
    if config["name"] is None:
        if not {"model", "forcing"} <= config.get(CHOICES, {}).keys():
            raise UserError(
                "name: the file does not say which options it has, of which a name is made; give name=…"
            )
        config["name"] = derived_name(config[CHOICES], config)
        check(config)  # the options may be somebody else's words
    config.pop(CODE, None)
    if code := own_code(config):
        config[CODE] = code
    given = [override.partition("=")[2].strip("'\"") for override in overrides]
    check_addresses(config["data"], "data", [*trusted, *given])
    return config


def _folder(path: Path, config: Mapping[str, Any], overrides: Sequence[str]) -> Path:
    """The folder of the run: that of the file if it is the same run."""
    there = Run(path.parent)
    moved = any(override.startswith(("output_dir=", "name=")) for override in overrides)
    of_a_run = path.name == layout.CONFIG and (path.parent / layout.SUMMARY).exists() and not moved
    if of_a_run and there.difference(config) is None:
        return path.parent
    _check_output(config, path, overrides)
    folder = find_folder(run_folder(config, [], named=True), config, typed=True)
    if of_a_run and (changed := changed_code(there, config)):
        say_changed(there, changed, folder)
    return folder


def _check_output(config: Mapping[str, Any], path: Path, overrides: Sequence[str]) -> None:
    """Refuse an output folder that somebody else's file names: not the user's, nor where the file itself is.

    Raises:
        UserError: it is one; the user may give it.
    """
    outputs = Path(config["output_dir"])
    mine = (Path.cwd(), filters.outputs())
    begins = (
        f"{outputs.resolve() / str(config['name'])}"  # a run's folder is NAME, NAME,SETTINGS or NAME~CODE
    )
    there = str(path.resolve()).startswith(tuple(f"{begins}{each}" for each in "/,~"))
    given = any(override.startswith("output_dir=") for override in overrides)
    if not given and not there and not any(is_inside(outputs, each) for each in mine):
        raise UserError(
            f"--config: output_dir: {outputs} is outside of the working folder; give output_dir=…"
        )


def _check_places(config: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """Refuse a file by which loggers or callbacks would write outside of the run: it may be somebody else's.

    Raises:
        UserError: it is one; the user may give that key.
    """
    given = {override.lstrip("+").partition("=")[0] for override in overrides}
    nodes = {group: config.get(group) for group in ("logger", "callbacks", "trainer")}
    for key, value in leaves(nodes):
        if not isinstance(value, str) or key in given:
            continue
        if key.endswith(("dir", "dirpath")) or value[:1] in ("/", "~") or ".." in Path(value).parts:
            raise UserError(f"--config: {key}: {value} may be outside of the run; give {key}=… of your own")


def _changed(config: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The configuration with overrides. What the package's options take from a changed key goes with it."""
    before, given = dict(leaves(config)), set()
    for override in overrides:
        key, equals, text = override.lstrip("+").partition("=")
        if key.partition(".")[0] in (CHOICES, CODE):
            raise UserError(f"{override}: a run notes {key.partition('.')[0]} itself")
        given.add(key)
        *above, last = key.split(".")
        node: Any = config
        for part in above:
            node = node.get(part) if isinstance(node, dict) else None
        if not equals or not isinstance(node, dict) or (last not in node and not override.startswith("+")):
            raise UserError(f"{override}: with --config, an override is KEY=VALUE of a key that the file has")
        if isinstance(node.get(last), dict):
            raise UserError(f"{override}: with --config, {key} has keys of its own; change these")
        try:
            node[last] = read_setting(key, text)
        except ValueError as error:
            raise UserError(f"{override}: {error}") from None
    old = before["seed"]
    for key in USED if "seed" in given else ():
        used = str(before.get(key))
        if key not in given and Path(used).name == f"seed-{old}":
            raise UserError(f"{key}: {used} is the run of seed {old}; with another seed, give {key}=… too")
    after = dict(leaves(config))
    for key, followed in followers().items():
        if key in before and key not in given and before[key] == before.get(followed) != after.get(followed):
            *above, last = key.split(".")
            reduce(getitem, above, config)[last] = after.get(followed)
    return config


def followers() -> dict[str, str]:
    """The keys that the package's options take from another one (`${monitor.metric}`), and that one."""
    found = {}
    for group in ("lr_schedule", "callbacks"):
        for path in option_files(group).values():
            for key, value in leaves(read(path), group):
                if isinstance(value, str) and (other := re.fullmatch(r"\$\{([\w.]+)\}", value)):
                    found[key] = other[1]
    return found
