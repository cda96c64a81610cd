"""What a run goes on from, and what it must not be changed in."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seq2seq_lab import __version__
from seq2seq_lab.data.datamodule import TranslationDataModule
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs.checkpoint import read_checkpoint, shapes
from seq2seq_lab.runs.code import came_to_nothing, changed_code
from seq2seq_lab.runs.naming import derived_name, first_difference
from seq2seq_lab.runs.run import Run
from seq2seq_lab.training.module import TranslationModule
from seq2seq_lab.training.parts import follows_end


def resumable(run: Run, config: Mapping[str, Any]) -> bool:
    """Whether the folder contains this run.

    Raises:
        UserError: it contains another run.
    """
    if config["fresh"] or not run.exists():
        return False
    version = str(run.summary().get("version", __version__))
    if version.split(".")[:2] != __version__.split(".")[:2]:
        raise UserError(
            f"{run.folder} was trained by version {version}, which draws other random numbers than {__version__}; give "
            "this run a name=… of its own, or replace the other with fresh=true"
        )
    if changed_code(run, config) and came_to_nothing(run):
        return False
    if (key := run.difference(config)) is not None:
        raise UserError(
            f"{run.folder} contains another run (it differs in {key}); give this one another name=…, or replace "
            "it with fresh=true"
        )
    return True


def is_longer(run: Run, config: Mapping[str, Any]) -> bool:
    """Whether a finished run goes on, as this configuration has more epochs; an early stop is not changed by them."""
    there, here = (each["trainer"].get("max_epochs") or 0 for each in (run.config(), config))
    return here > there and run.summary().get("stopped") is None


def unused(run: Run, config: Mapping[str, Any]) -> list[str]:
    """What a command asks for that a finished run does not get, and why: a line for each."""
    there, lines = run.config(), []
    if config["logger"] != there.get("logger"):
        trackers = config["choices"]["logger"]
        lines.append(f"logger={trackers} is not used: loggers are told of a run while it trains")
    derived = derived_name(config["choices"], config)  # from the run's options, and so not asked for
    if config["name"] not in (there.get("name"), derived):
        lines.append(
            f"name={config['name']} is not used: equal settings are the same run; its folder may be renamed"
        )
    return lines


def check_end(
    run: Run, module: TranslationModule, data: TranslationDataModule, config: Mapping[str, Any]
) -> None:
    """Refuse to change the number of epochs of a run whose schedules follow it.

    Raises:
        UserError: it would not be the run of that length.
    """
    there, here = (each["trainer"].get("max_epochs") for each in (run.config(), config))
    if there != here and follows_end(module, data):
        raise UserError(
            f"{run.folder}: a schedule of it is spread over {there} epochs; give a run of {here} epochs another name=…"
        )


def resume_from(run: Run, module: TranslationModule) -> Path | None:
    """The checkpoint that an interrupted run resumes from; None if it has none yet.

    Raises:
        UserError: it is damaged or of another model, and so is the one before it.
    """
    paths = [path for path in (run.last_checkpoint, run.previous_checkpoint) if path.exists()]
    for path in paths:
        try:
            state = read_checkpoint(path)["state_dict"]
            if (weight := first_difference(shapes(module.state_dict()), shapes(state))) is not None:
                raise UserError(
                    f"{path}: of another model (it differs in {weight}); train again with fresh=true"
                )
        except UserError as error:
            if path == paths[-1]:
                raise
            print(f"{error}; going on from {paths[-1].name}, the checkpoint before it")
        else:
            return path
    return None


def epoch_of(checkpoint: Path) -> int:
    """The epoch that a checkpoint was written in, counted from 1."""
    return int(read_checkpoint(checkpoint)["epoch"]) + 1


def epochs_of(checkpoint: Path) -> int:
    """The last epoch that a checkpoint has the results of.

    Raises:
        UserError: it has no results, as training writes them.
    """
    try:
        rows = read_checkpoint(checkpoint)["callbacks"]["EpochScalars"]["rows"]
        return int(rows[-1]["epoch"]) if rows else 0
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{checkpoint}: damaged; copy it again, or train again with fresh=true") from error
