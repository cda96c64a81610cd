"""A sweep on a cluster (`hydra/launcher=submitit_slurm`): what is queued, and what became of each job."""

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from seq2seq_lab.config.misuse import no_such_option
from seq2seq_lab.errors import UserError, counted, first_line
from seq2seq_lab.launch.register import FAILED, Entry, Register

LAUNCHER = "submitit_slurm"
_REQUEUES = "hydra.launcher.max_num_timeout"
_POLL = 3.0  # seconds between two looks at the queue
_GONE = 5  # looks at which a job without a result is not in the queue
_OFTEN = 20  # a run that is over its time limit, or pre-empted, is queued again, and goes on


def with_defaults(overrides: Sequence[str]) -> list[str]:
    """The overrides of a sweep on SLURM; a job that is over its time limit is queued again, if nothing else is said."""
    if any(each.lstrip("+").startswith(_REQUEUES) for each in overrides):
        return list(overrides)
    return [*overrides, f"{_REQUEUES}={_OFTEN}"]


@contextmanager
def queue(register: Register) -> Iterator[None]:
    """Say what is queued, wait for every job, and note those that SLURM ended; submitit stops at the first of them."""
    try:
        import submitit
    except ImportError:
        raise UserError(no_such_option("hydra/launcher", LAUNCHER)) from None

    executors: Any = submitit.AutoExecutor
    original = executors.map_array

    def map_array(executor: Any, function: Any, *columns: Any) -> list[Any]:
        jobs = original(executor, function, *columns)
        array = str(jobs[0].job_id).partition("_")[0]
        print(
            f"{counted(len(jobs), 'job')} queued as {array}: `squeue -j {array}` shows them, "
            f"`scancel {array}` stops them.\n"
            f"Their output: {jobs[0].paths.stdout.parent}/",
            flush=True,
        )
        return [
            _Waiting(job, overrides, number, register, array)
            for job, overrides, number in zip(jobs, columns[0], columns[2], strict=True)
        ]

    executors.map_array = map_array
    try:
        yield
    finally:
        executors.map_array = original


class _Waiting:
    """A job of an array; its result is waited for, and never an exception."""

    def __init__(
        self, job: Any, overrides: Sequence[str], number: int, register: Register, array: str
    ) -> None:
        self.job = job
        self.overrides = overrides
        self.number = number
        self.register = register
        self.array = array

    def results(self) -> list[Any]:
        """What Hydra's launcher takes."""
        from hydra.core.utils import JobReturn, JobStatus
        from submitit.core.utils import FailedJobError, UncompletedJobError

        try:
            if self._wait():
                return self.job.results()  # type: ignore[no-any-return]
            why = (
                "SLURM ended it: over its time limit, cancelled, or for want of memory; the same command goes on from "
                "there"
            )
        except KeyboardInterrupt:
            print(
                f"\nThe jobs of {self.array} stay in the queue and compare their runs at the end; "
                f"`scancel {self.array}` stops them, and the same command goes on from there.",
                flush=True,
            )
            raise
        except (FailedJobError, UncompletedJobError) as error:
            why = first_line(error)
        finally:
            print(self.register.progress(), flush=True)
        self._note(why)
        return [JobReturn(overrides=self.overrides, status=JobStatus.COMPLETED)]

    def _note(self, why: str) -> None:
        """Note that the job has failed: in place of what it has noted itself, as one that is cancelled has."""
        noted = (each for each in self.register.entries() if each.number == self.number)
        before = next(noted, Entry(None, False))
        why = f"job {self.job.job_id}: {before.error.partition(chr(10))[0] or why}"
        log, where = f"its output: {self.job.paths.stdout}", f"in the job {' '.join(self.overrides)}"
        error = f"{why}\n  {log}\n  {where}"
        self.register.add(replace(before, compare=False, result=FAILED, error=error, shown=False))

    def _wait(self) -> bool:
        """Wait for the end of the job; returns whether it has a result. A cluster may keep no account of ended jobs."""
        gone = 0
        while not self.job.paths.result_pickle.exists():
            gone = 0 if _is_queued(str(self.job.job_id)) else gone + 1
            if gone > _GONE:  # a shared file system shows a file some seconds later
                return False
            time.sleep(_POLL)
        return True


def _is_queued(job: str) -> bool:
    """Whether SLURM knows a job that has not ended; also where it cannot be asked."""
    command = ["squeue", "--noheader", f"--jobs={job}", "--format=%T"]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    if asked.returncode:
        return "Invalid job id" not in asked.stderr
    return bool(asked.stdout.strip())
