"""Train what a configuration file of a run says: `seq2seq-lab train --config RUN/config.yaml`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seq2seq_lab.config.check import check
from seq2seq_lab.config.schema import CODE
from seq2seq_lab.config.trust import check_targets
from seq2seq_lab.errors import UserError, first_line
from seq2seq_lab.launch.job import Job, free_folder
from seq2seq_lab.launch.register import INTERRUPTED, Register
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.addresses import check_addresses
from seq2seq_lab.runs.code import changed_code, own_code, say_changed
from seq2seq_lab.runs.naming import run_folder
from seq2seq_lab.runs.read import read_config
from seq2seq_lab.runs.run import Run


def train_again(
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
    path = path / layout.CONFIG if path.is_dir() else path
    try:
        config = _changed(read_config(path), overrides)
    except ValueError as error:
        raise UserError(f"--config: {path.parent}: {error}") from None
    check_targets(config, "", trusted)
    check(config)
    config.pop(CODE, None)
    if code := own_code(config):
        config[CODE] = code
    given = [override.partition("=")[2].strip("'\"") for override in overrides]
    check_addresses(config["data"], "data", [*trusted, *given])
    there = Run(path.parent)
    same = path.name == layout.CONFIG and (path.parent / layout.SUMMARY).exists()
    moved = any(override.startswith(("output_dir=", "name=")) for override in overrides)
    if same and not moved and there.difference(config) is None:
        folder = path.parent
    else:
        folder = free_folder(run_folder(config, [], named=True), config)
        if same and not moved and (changed := changed_code(there, config)):
            say_changed(there, changed, folder)
    end = Job(command, Path.cwd(), Register(Path()), verbose=verbose).train(config, folder, 1)
    if end.result == INTERRUPTED and end.by_user:
        raise KeyboardInterrupt
    return 0


def _changed(config: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    import yaml

    for override in overrides:
        key, equals, text = override.lstrip("+").partition("=")
        *above, last = key.split(".")
        node: Any = config
        for part in above:
            node = node.get(part) if isinstance(node, dict) else None
        if not equals or not isinstance(node, dict) or (last not in node and not override.startswith("+")):
            raise UserError(f"{override}: with --config, an override is KEY=VALUE of a key that the file has")
        if isinstance(node.get(last), dict):
            raise UserError(f"{override}: with --config, {key} has keys of its own; change these")
        try:
            node[last] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UserError(f"{override}: {first_line(error)}") from None
    return config
