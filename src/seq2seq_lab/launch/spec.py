"""From what Hydra composed to what is trained: the checked configuration of a run, and its folder."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq_lab.config.build import build
from seq2seq_lab.config.check import check
from seq2seq_lab.config.compose import resolve
from seq2seq_lab.config.options import options
from seq2seq_lab.config.schema import CHOICES, CODE, GROUPS, SETS
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.code import own_code
from seq2seq_lab.runs.identity import LENGTH, fingerprint
from seq2seq_lab.runs.naming import derived_name, earlier_folder, is_typed, run_folder
from seq2seq_lab.runs.place import RunSpec, find_folder
from seq2seq_lab.runs.run import Run

if TYPE_CHECKING:
    from omegaconf import DictConfig

# The groups whose nodes are built for a plan: they are quick to build, and refuse values that do not go together.
_BUILT = ("data", "split", "forcing", "target", "objective", "optimizer", "lr_schedule")


def run_spec(cfg: "DictConfig", hydra: Any, overrides: list[str], swept: Collection[str]) -> RunSpec:
    """What Hydra composed, checked, and the folder of its run.

    Args:
        cfg: as Hydra composed it.
        hydra: its own configuration of the job.
        overrides: of the command line.
        swept: the keys that have several values.

    Raises:
        UserError: a key or value cannot be.
    """
    choices = dict(hydra.runtime.choices)
    if hydra.job.chdir:
        raise UserError(
            "hydra.job.chdir=true: a run is trained in the folder that its command is given in, which relative paths "
            "start from; leave it out"
        )
    config = resolve(cfg)
    check(config)
    if code := own_code(config):
        config[CODE] = code
    for group in GROUPS:
        if group in SETS and group not in choices:  # Hydra does not list the options of such a group
            choices[group] = ",".join(config[group])
        if group not in choices:
            raise UserError(f"{group}: choose one of its options: {', '.join(options(group))}")
    config[CHOICES] = {
        each: choices[each]
        for group in GROUPS
        for each in sorted(choices)
        if each == group or each.startswith(f"{group}/")  # a group nested in it
    }
    named = config["name"] is not None
    titled = named or bool(choices.get("experiment"))  # then the name does not show the model and the forcing
    if not named:
        config["name"] = derived_name(choices, config)
    folder = find_folder(
        run_folder(config, overrides, titled, swept),
        config,
        by_length=any(f"trainer.{each}" in swept for each in LENGTH),
        typed=is_typed(overrides),
        earlier=earlier_folder(config, overrides, named, swept),
    )
    _check_place(folder, Path(config["output_dir"]))
    return RunSpec(config, folder)


def check_nodes(config: Mapping[str, Any], built: set[str]) -> None:
    """Build nodes for what they refuse; other errors are those of the run.

    Args:
        config: of a run.
        built: nodes that were built before, which need not be again; those of this run are added.

    Raises:
        UserError: values do not go together.
    """
    for group in _BUILT:
        node = json.dumps([group, config[group]], sort_keys=True, default=str)
        if node in built:
            continue
        try:
            build(config[group], group)
        except UserError:
            raise
        except Exception:
            continue
        built.add(node)


def job_key(config: Mapping[str, Any]) -> tuple[str, ...]:
    """What a job of a sweep trains, and below which folder; equal for jobs of which one is enough."""
    return (
        fingerprint(config),
        str(config["output_dir"]),
        *(str(config["trainer"].get(key)) for key in LENGTH),
    )


def _check_place(folder: Path, outputs: Path) -> None:
    """Refuse a run inside of another one, or around one: the inner one would not be found, and be removed unseen."""
    if not Run(folder).exists():
        found = (path.parent for depth in ("*", "*/*") for path in folder.glob(f"{depth}/{layout.CONFIG}"))
        runs = (each for each in found if not each.name.startswith("."))  # Hydra has its own there
        if inner := next(runs, None):
            raise UserError(
                f"{folder}: {inner} is a run, and would not be found inside of this one; give another name"
            )
    outside = (outputs.resolve(), *outputs.resolve().parents)
    for above in folder.resolve().parents:
        run = Run(above)
        # Above the output folder a config.yaml may be of anything.
        if run.exists() and (run.summary() or above not in outside):
            raise UserError(
                f"{folder}: {above} is a run, and a run inside of it is not found; give another name"
            )


def given(overrides: Any) -> list[str]:
    """The overrides of the command line; an interpolation that leads nowhere stays, and is reported by its key."""
    from omegaconf.errors import OmegaConfBaseException

    found = []
    for number, text in enumerate(overrides._content):
        try:
            found.append(str(overrides[number]))
        except OmegaConfBaseException:
            found.append(str(text))
    return found
