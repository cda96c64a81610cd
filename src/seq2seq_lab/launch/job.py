"""One job of a launch: Hydra calls it with each composed configuration."""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from seq2seq_lab import terminal
from seq2seq_lab.config import modules
from seq2seq_lab.errors import UserError, first_line, of_files
from seq2seq_lab.launch import isolate, startup
from seq2seq_lab.launch.forecast import show
from seq2seq_lab.launch.notify import tell
from seq2seq_lab.launch.register import FAILED, FINISHED, INTERRUPTED, NOT_STARTED, PRUNED, Entry, Register
from seq2seq_lab.launch.spec import check_nodes, given, job_key, run_spec
from seq2seq_lab.launch.sweep import compare_all
from seq2seq_lab.runs.place import RunSpec
from seq2seq_lab.runs.run import Run

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from seq2seq_lab.training.callbacks.interruption import ShouldPrune


class JobResult(NamedTuple):
    """What became of a job.

    Attributes:
        result: as in `register.Entry`.
        value: the best one of the metric `monitor`; None if the run did not finish.
        error: of the user; empty if there is none.
        by_user: whether Ctrl-C or SIGTERM stopped it.
    """

    result: str
    value: float | None = None
    error: str = ""
    by_user: bool = False


class TaskFunction:
    """Trains one run from a composed configuration. It can be pickled, as launchers send it to other processes.

    Args:
        command: the command line of the launch, stored in each run's summary.
        working_folder: the working folder of the launch; the user's own modules are imported from it.
        register: the file to which the jobs of a sweep write their results.
        swept: the keys that have several values.
        extra: folders of the user's own options.
        dry_run: whether it is only to be shown what would be trained.
        verbose: whether each run prints how its updates are made.

    Attributes:
        error: the error of a single run, for the process that launched it; errors of a sweep are in the register.
        at_once: how many jobs of the sweep run at the same time on this machine.
        folders: by `job_key`, those that the plan of the sweep gave to jobs whose own one is that of another job.
        pruning: of a search: the number of a job's trial → what decides whether its run is given up.
    """

    def __init__(
        self,
        command: str,
        working_folder: Path,
        register: Register,
        *,
        swept: Sequence[str] = (),
        extra: Sequence[Path] = (),
        dry_run: bool = False,
        verbose: bool = False,
    ) -> None:
        self.command = command
        self.working_folder = working_folder
        self.register = register
        self.swept = swept
        self.extra = extra
        self.dry_run = dry_run
        self.verbose = verbose
        self.at_once = 1
        self.folders: dict[tuple[str, ...], Path] = {}
        self.pruning: Callable[[int], ShouldPrune] | None = None
        self.error: UserError | None = None
        self._sweep_process = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        """What another process gets: a worker of joblib also the environment, as one of an earlier sweep goes on."""
        here = {"environment": dict(os.environ)} if self.at_once > 1 else {}
        return vars(self) | here

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Before Hydra composes the configuration of the job, which may read the environment."""
        if environment := state.pop("environment", None):
            isolate.take_surroundings(state["working_folder"], environment)
        vars(self).update(state)

    def __call__(self, cfg: "DictConfig") -> float | None:
        """Train one run; returns the best value of the metric `monitor`, or None if it failed or was stopped."""
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode

        terminal.replace_unencodable()
        if (
            os.getpid() != self._sweep_process
        ):  # the command has done it here; or the user's own program prints
            terminal.clean_output()
            terminal.ignore_closed()
        modules.set_folder(self.working_folder)
        hydra = HydraConfig.get()
        if hydra.mode == RunMode.MULTIRUN:
            return self._in_sweep(cfg, hydra)
        try:
            spec = self._spec(cfg, hydra)
            if self.dry_run:
                check_nodes(spec.config, set())
                show([("", spec)], jobs=1)
                return None
            ended = self.run_alone(spec)
        except UserError as error:
            self.error = error
            return None
        if ended.result == INTERRUPTED and ended.by_user:
            raise KeyboardInterrupt
        return ended.value

    def _spec(self, cfg: "DictConfig", hydra: Any) -> RunSpec:
        """The run of a job; the check of its configuration imports what it names, and so PyTorch and Lightning."""
        with startup.imports():
            spec = run_spec(cfg, hydra, given(hydra.overrides.task), self.swept)
            import seq2seq_lab.training.train  # noqa: F401, so that this is done once in a process
        return spec._replace(folder=self.folders.get(job_key(spec.config), spec.folder))

    def _in_sweep(self, cfg: "DictConfig", hydra: Any) -> float | None:
        """Train one run of a sweep, and add what became of it to the register."""
        spec = None
        try:
            why = self._why_not(cfg)
            spec = self._spec(cfg, hydra) if why is None else None
            why = why or self._why_not(cfg)  # the first job of a process imports PyTorch, which takes seconds
            if why is not None or spec is None:
                job = " ".join(given(hydra.overrides.task))
                self.register.add(Entry(None, False, NOT_STARTED, f"{why}\n{job}", shown=True))
                return None
            trial = hydra.sweeper.get("trial")
            prune = self.pruning(int(trial)) if self.pruning and trial is not None else None
            ended = self._in_process(spec, hydra, prune)
        except UserError as error:
            ended = JobResult(FAILED, error=str(error))
        except KeyboardInterrupt:
            self._report(spec, JobResult(INTERRUPTED), hydra)
            raise
        except Exception as error:  # a bug: the traceback follows at the end of the sweep
            message = f"{type(error).__name__}: {first_line(error)}"
            self._report(spec, JobResult(FAILED, error=message), hydra)
            raise
        self._report(spec, ended, hydra)
        return ended.value

    def _why_not(self, cfg: "DictConfig") -> str | None:
        """Why no further job of the sweep is to start; None: one is."""
        if self.register.stopped:
            return "the sweep was stopped"
        limit = cfg.get("stop_after_failures")
        if isinstance(limit, int) and 0 < limit <= self.register.failures():
            return f"stop_after_failures={limit}: no further run was started"
        return None

    def _in_process(self, spec: RunSpec, hydra: Any, prune: "ShouldPrune | None") -> JobResult:
        """Train one run of a sweep: in a worker of joblib, in a process of its own with its share of the GPUs."""
        jobs, number = self.jobs_at_once(hydra), int(hydra.job.num)
        if jobs > 1 and os.getpid() != self._sweep_process and isolate.available():
            try:
                return isolate.in_own_process(
                    lambda: self._isolated(spec, jobs, number, prune), self._sweep_process
                )
            except isolate.KilledError as error:
                stopped = self.register.stopped
                with suppress(UserError, OSError):
                    if (run := Run(spec.folder)).exists():
                        status, why = ("interrupted", None) if stopped else ("failed", str(error))
                        run.write_summary(status=status, stopped=why)
                if stopped:  # before it could save
                    return JobResult(INTERRUPTED, by_user=True)
                # The trial of a search has failed: the search draws others.
                searched = hydra.runtime.choices.get("hydra/sweeper") == "optuna"
                then = "" if searched else "; the same command goes on from its last checkpoint"
                raise UserError(f"{spec.folder}: {error}{then}") from None
        ended = self.run(spec, jobs, prune)
        if ended.by_user:
            raise KeyboardInterrupt
        return ended

    def _isolated(self, spec: RunSpec, jobs: int, number: int, prune: "ShouldPrune | None") -> JobResult:
        """What became of a run, errors of the user included."""
        try:
            if self.register.stopped:  # since it was looked at, when there was no process for the signal
                return JobResult(INTERRUPTED, by_user=True)
            with isolate.own_cards(number, spec.config["trainer"], self.register.path):
                return self.run(spec, jobs, prune)
        except UserError as error:
            return JobResult(FAILED, error=str(error))
        except KeyboardInterrupt:
            return JobResult(INTERRUPTED, by_user=True)
        except Exception as error:  # a bug: its traceback would end with this process
            traceback.print_exc()
            return JobResult(FAILED, error=f"{spec.folder}: {type(error).__name__}: {first_line(error)}")

    def run_alone(self, spec: RunSpec) -> JobResult:
        """Train a run that is not of a sweep; errors as `run`. What became of it is noted in this process."""
        from seq2seq_lab.training.processes import is_first

        folder, first = str(spec.folder.absolute()), is_first(spec.config["trainer"])
        notify = spec.config["notify"] if first else None  # torchrun and srun start the command several times
        ended, why = JobResult(FAILED), ""
        try:
            ended = self.run(spec)
        except KeyboardInterrupt:
            ended = JobResult(INTERRUPTED)
            raise
        except Exception as error:
            why = str(error) or type(error).__name__
            raise
        finally:
            self.register.alone.append(Entry(folder, False, ended.result, why, True, notify))
        return ended

    def run(self, spec: RunSpec, jobs: int = 1, prune: "ShouldPrune | None" = None) -> JobResult:
        """Train a run; `jobs` train at the same time on this machine, and `prune` says whether it is given up.

        Raises:
            UserError: the run cannot be trained.
        """
        from pytorch_lightning.utilities import rank_zero_only

        from seq2seq_lab.training.callbacks.interruption import Interrupted, Pruned, TimeOver
        from seq2seq_lab.training.train import train

        try:
            train(*spec, jobs=jobs, command=self.command, verbose=self.verbose, should_prune=prune)
            return JobResult(FINISHED, _value(spec))
        except Pruned:
            print(f"{spec.folder}: given up, as it is worse than other trials at the same epoch", flush=True)
            return JobResult(PRUNED)
        except Interrupted as error:
            over = isinstance(error, TimeOver)
            but = ", without fresh=true" if spec.config["fresh"] else ""
            why = "the time of trainer.max_time is over" if over else "interrupted"
            line = f"{spec.folder}: {why}; run the same command{but} to resume"
            rank_zero_only(print)(line, file=sys.stderr, flush=True)
            return JobResult(INTERRUPTED, by_user=not over)
        except MemoryError:
            raise UserError(
                f"{spec.folder}: the machine's memory is full; train fewer runs at the same time"
            ) from None
        except UserError:
            raise
        except Exception as error:
            if (own := modules.blame(error)) is not None:
                raise UserError(own) from error
            if isinstance(error, OSError) and (refused := of_files(error)) is not None:
                raise UserError(f"{refused}; output_dir=DIR puts runs elsewhere") from error
            raise

    @staticmethod
    def jobs_at_once(hydra: Any) -> int:
        """Number of runs that the launcher trains at the same time on this machine."""
        jobs = int(hydra.launcher.get("n_jobs", 1) or 1)
        if jobs > 0:
            return jobs
        from seq2seq_lab.training.machine import processors

        return max(1, processors() + 1 + jobs)  # as joblib counts: -1 is all of them, -2 all but one

    def _report(self, spec: RunSpec | None, ended: JobResult, hydra: Any) -> None:
        job = " ".join(given(hydra.overrides.task))
        error = f"{ended.error}\n  in the job {job}" if ended.error else ""
        # Only the launching process and its children write to the user's terminal; other processes write to files.
        shown = self._sweep_process in (os.getpid(), os.getppid())
        if error and shown:
            print(error, file=sys.stderr)
        path = str(spec.folder.absolute()) if spec else None
        compare = spec is not None and spec.config["compare"] and ended.result not in (INTERRUPTED, PRUNED)
        notify = spec.config["notify"] if spec else None
        self.register.add(Entry(path, compare, ended.result, error, shown, notify, int(hydra.job.num)))
        print(f"{self.register.progress()}\n", flush=True)
        if self.register.abandoned():
            entries = self.register.close()
            compare_all(entries)
            tell(self.command, entries)


def _value(spec: RunSpec) -> float | None:
    """The best value of the metric `monitor` of a run, which its best checkpoint has; None if it was not measured."""
    monitor = spec.config["monitor"]
    best = Run(spec.folder).best(monitor["metric"], "higher" if monitor["mode"] == "max" else "lower")
    return best[0] if best else None
