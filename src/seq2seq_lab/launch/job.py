"""One job of a launch: Hydra calls it with each composed configuration."""

import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq_lab.config.check import check
from seq2seq_lab.config.compose import resolve
from seq2seq_lab.config.options import options
from seq2seq_lab.config.schema import CHOICES, GROUPS, SETS
from seq2seq_lab.errors import UserError
from seq2seq_lab.launch import startup
from seq2seq_lab.launch.sweep import Entry, Register
from seq2seq_lab.runs.naming import apart, derived_name, remembered, run_folder
from seq2seq_lab.runs.run import Run

if TYPE_CHECKING:
    from omegaconf import DictConfig


class Job:
    """Trains one run from a composed configuration. It can be pickled, as launchers send it to other processes.

    Args:
        command: the command line of the launch, stored in each run's summary.
        working_folder: the working folder of the launch; the user's own modules are imported from it.
        register: the file to which the jobs of a sweep write their results.
        swept: the keys that have several values.
        verbose: whether each run prints how its updates are made.

    Attributes:
        error: the error of a single run, for the process that launched it; errors of a sweep are in the register.
    """

    def __init__(
        self,
        command: str,
        working_folder: Path,
        register: Register,
        *,
        swept: Collection[str] = (),
        verbose: bool = False,
    ) -> None:
        self.command = command
        self.working_folder = working_folder
        self.register = register
        self.swept = swept
        self.verbose = verbose
        self.error: UserError | None = None
        self._launcher = os.getpid()

    def __call__(self, cfg: "DictConfig") -> dict[str, float] | None:
        """Train one run; returns the last value of every metric, or None if it failed."""
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode

        startup.replace_unencodable()
        startup.add_modules_of(self.working_folder)
        hydra_config = HydraConfig.get()
        overrides = list(hydra_config.overrides.task)
        folder, results, failure, compare = None, None, None, False
        try:
            config, folder = _configured(cfg, dict(hydra_config.runtime.choices), overrides, self.swept)
            compare = config["compare"]
            results = self._train(config, folder, _jobs(hydra_config))
        except UserError as error:
            failure = error
        if hydra_config.mode == RunMode.MULTIRUN:
            self._report(folder, compare, failure, overrides)
        else:
            self.error = failure
        return results

    def _train(self, config: dict[str, Any], folder: Path, jobs: int) -> dict[str, float]:
        with startup.imports():
            from seq2seq_lab.training.callbacks.interruption import Interrupted
            from seq2seq_lab.training.train import train

        try:
            return train(config, folder, jobs=jobs, command=self.command, verbose=self.verbose)
        except Interrupted:
            but = ", without fresh=true" if config["fresh"] else ""
            print(f"{folder}: interrupted; run the same command{but} to resume", file=sys.stderr)
            raise KeyboardInterrupt from None

    def _report(
        self, folder: Path | None, compare: bool, failure: UserError | None, overrides: list[str]
    ) -> None:
        error = f"{failure}\n  in the job {' '.join(overrides)}" if failure else ""
        # Only the launching process and its children write to the user's terminal; other processes write to files.
        shown = self._launcher in (os.getpid(), os.getppid())
        if error and shown:
            print(error, file=sys.stderr)
        path = str(folder.absolute()) if folder else None
        self.register.add(Entry(path, compare, error, shown))


def _configured(
    cfg: "DictConfig", choices: dict[str, Any], overrides: list[str], swept: Collection[str]
) -> tuple[dict[str, Any], Path]:
    """The checked configuration of a run, and its folder."""
    config = resolve(cfg)
    check(config)
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
    if not named:
        config["name"] = derived_name(choices, config)
    folder = run_folder(config, overrides, named, swept)
    return config, folder if "trainer.max_epochs" in swept else _free(folder, config)


def _free(folder: Path, config: dict[str, Any]) -> Path:
    """The folder of this run: where the same run is, by whatever command, or one that no other run is in."""
    known = remembered(config)
    if known is not None and _contains(known, config):
        return known
    if not Run(folder).exists() or _contains(folder, config):
        return folder
    return apart(folder, config)


def _contains(folder: Path, config: dict[str, Any]) -> bool:
    """Whether a folder contains this run."""
    run = Run(folder)
    try:
        return run.exists() and run.difference(config) is None
    except UserError:  # damaged: training says so
        return True


def _jobs(hydra_config: Any) -> int:
    """Number of runs that the launcher trains at the same time on this machine."""
    jobs = hydra_config.launcher.get("n_jobs", 1) or 1
    return int(jobs) if jobs > 0 else os.cpu_count() or 1
