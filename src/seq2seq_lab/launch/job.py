"""One job of a launch: Hydra calls it with each composed configuration."""

import os
import sys
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from seq2seq_lab.config import modules
from seq2seq_lab.config.check import check
from seq2seq_lab.config.compose import resolve
from seq2seq_lab.config.options import options
from seq2seq_lab.config.schema import CHOICES, CODE, GROUPS, SETS
from seq2seq_lab.errors import UserError, first_line, of_files
from seq2seq_lab.launch import isolate, startup
from seq2seq_lab.launch.register import FAILED, FINISHED, INTERRUPTED, NOT_STARTED, Entry, Register
from seq2seq_lab.launch.sweep import compare_all
from seq2seq_lab.runs.code import came_to_nothing, changed_code, own_code, say_changed
from seq2seq_lab.runs.naming import apart, derived_name, remembered, run_folder
from seq2seq_lab.runs.run import Run

if TYPE_CHECKING:
    from omegaconf import DictConfig


class End(NamedTuple):
    """What became of a job: see `register.Entry`; `by_user`: whether Ctrl-C or SIGTERM stopped it."""

    result: str
    results: dict[str, float] | None = None
    error: str = ""
    by_user: bool = False


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
        """Train one run; returns the last value of every metric, or None if it failed or was stopped."""
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode

        startup.replace_unencodable()
        if os.getpid() != self._launcher:  # the command has done it here; or the user's own program prints
            startup.clean_output()
        modules.set_folder(self.working_folder)
        hydra_config = HydraConfig.get()
        overrides = _given(hydra_config.overrides.task)
        if hydra_config.mode != RunMode.MULTIRUN:
            return self._single(cfg, dict(hydra_config.runtime.choices), overrides)
        if self.register.stopped:
            self.register.add(Entry(None, False, NOT_STARTED))
            return None
        folder, compare = None, False
        try:
            config, folder = _configured(cfg, dict(hydra_config.runtime.choices), overrides, self.swept)
            compare = config["compare"]
            end = self._in_sweep(config, folder, _jobs(hydra_config), int(hydra_config.job.num))
        except UserError as error:
            end = End(FAILED, error=str(error))
        except KeyboardInterrupt:
            self._report(folder, compare, End(INTERRUPTED), overrides)
            raise
        except Exception as error:  # a bug: the traceback follows at the end of the sweep
            message = f"{type(error).__name__}: {first_line(error)}"
            self._report(folder, compare, End(FAILED, error=message), overrides)
            raise
        self._report(folder, compare, end, overrides)
        return end.results

    def _single(
        self, cfg: "DictConfig", choices: dict[str, Any], overrides: list[str]
    ) -> dict[str, float] | None:
        try:
            config, folder = _configured(cfg, choices, overrides, self.swept)
            end = self.train(config, folder, 1)
        except UserError as error:
            self.error = error
            return None
        if end.result == INTERRUPTED and end.by_user:
            raise KeyboardInterrupt
        return end.results

    def _in_sweep(self, config: dict[str, Any], folder: Path, jobs: int, number: int) -> End:
        """Train one run of a sweep: in a worker of joblib, in a process of its own, on one of several GPUs."""
        if jobs > 1 and os.getpid() != self._launcher and isolate.available():
            with startup.imports():
                import seq2seq_lab.training.train  # noqa: F401, so that the process of each job need not
            try:
                return isolate.in_own_process(
                    lambda: self._end_of(config, folder, jobs, number), self._launcher
                )
            except isolate.KilledError as error:
                with suppress(UserError, OSError):
                    if (run := Run(folder)).exists():
                        run.write_summary(status="failed", stopped=str(error))
                raise UserError(
                    f"{folder}: {error}; the same command goes on from its last checkpoint"
                ) from None
        end = self.train(config, folder, jobs)
        if end.by_user:
            raise KeyboardInterrupt
        return end

    def _end_of(self, config: dict[str, Any], folder: Path, jobs: int, number: int) -> End:
        """What became of a run, errors of the user included."""
        from seq2seq_lab.launch.machine import take_cards

        take_cards(number, config["trainer"])
        try:
            return self.train(config, folder, jobs)
        except UserError as error:
            return End(FAILED, error=str(error))
        except KeyboardInterrupt:
            return End(INTERRUPTED, by_user=True)

    def train(self, config: dict[str, Any], folder: Path, jobs: int) -> End:
        """Train the run of a checked configuration in a folder."""
        with startup.imports():
            from pytorch_lightning.utilities import rank_zero_only

            from seq2seq_lab.training.callbacks.interruption import Interrupted, TimeOver
            from seq2seq_lab.training.train import train

        try:
            results = train(config, folder, jobs=jobs, command=self.command, verbose=self.verbose)
            return End(FINISHED, results)
        except Interrupted as error:
            over = isinstance(error, TimeOver)
            but = ", without fresh=true" if config["fresh"] else ""
            why = "the time of trainer.max_time is over" if over else "interrupted"
            line = f"{folder}: {why}; run the same command{but} to resume"
            rank_zero_only(print)(line, file=sys.stderr, flush=True)
            return End(INTERRUPTED, by_user=not over)
        except OSError as error:
            if (refused := of_files(error)) is None:
                raise
            raise UserError(f"{refused}; output_dir=DIR puts runs elsewhere") from error
        except MemoryError:
            raise UserError(
                f"{folder}: the machine's memory is full; train fewer runs at the same time"
            ) from None

    def _report(self, folder: Path | None, compare: bool, end: End, overrides: list[str]) -> None:
        error = f"{end.error}\n  in the job {' '.join(overrides)}" if end.error else ""
        # Only the launching process and its children write to the user's terminal; other processes write to files.
        shown = self._launcher in (os.getpid(), os.getppid())
        if error and shown:
            print(error, file=sys.stderr)
        path = str(folder.absolute()) if folder else None
        self.register.add(Entry(path, compare and end.result != INTERRUPTED, end.result, error, shown))
        print(f"{self.register.progress()}\n", flush=True)
        if self.register.abandoned():
            compare_all(self.register.close())


def _given(overrides: Any) -> list[str]:
    """The overrides of the command line; an interpolation that leads nowhere stays, and is reported by its key."""
    from omegaconf.errors import OmegaConfBaseException

    found = []
    for number, text in enumerate(overrides._content):
        try:
            found.append(str(overrides[number]))
        except OmegaConfBaseException:
            found.append(str(text))
    return found


def _configured(
    cfg: "DictConfig", choices: dict[str, Any], overrides: list[str], swept: Collection[str]
) -> tuple[dict[str, Any], Path]:
    """The checked configuration of a run, and its folder."""
    from hydra.core.hydra_config import HydraConfig

    if HydraConfig.get().job.chdir:
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
    if not named:
        config["name"] = derived_name(choices, config)
    folder = run_folder(config, overrides, named, swept)
    return config, free_folder(folder, config, by_length="trainer.max_epochs" in swept)


def free_folder(folder: Path, config: dict[str, Any], *, by_length: bool = False) -> Path:
    """The folder of this run: where the same run is, by whatever command, or one that no other run is in.

    Args:
        folder: the one that its overrides give.
        by_length: whether runs that differ only in their length have folders of their own.
    """
    known = None if by_length else remembered(config)
    if known is not None and _contains(known, config):
        return known
    if not Run(folder).exists() or _contains(folder, config):
        return folder
    free = apart(folder, config)
    if not (changed := changed_code(Run(folder), config)):
        return folder if by_length else free
    if came_to_nothing(Run(folder)):
        return folder
    say_changed(Run(folder), changed, free)
    return free


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
