"""The plan of a sweep: each of its runs is composed and checked before the first one is trained."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from seq2seq_lab.config.explain import explain_error
from seq2seq_lab.errors import UserError, counted
from seq2seq_lab.launch import startup
from seq2seq_lab.launch.combine import apart, swept
from seq2seq_lab.launch.forecast import show
from seq2seq_lab.launch.job import TaskFunction
from seq2seq_lab.launch.spec import check_nodes, given, job_key, run_spec
from seq2seq_lab.runs.layout import INCIDENTAL
from seq2seq_lab.runs.place import RunSpec, beside

if TYPE_CHECKING:
    from omegaconf import DictConfig

_FEW = 20  # impossible runs that are named

_Job: TypeAlias = tuple[list[str], RunSpec]  # its overrides, and what it trains


class Shown(Exception):  # noqa: N818, as it is not an error
    """All that was asked for, or is left, was shown; nothing is to be trained."""


def planned(
    job: TaskFunction, jobs: Sequence[list[str]], compose: Callable[[Sequence[str]], "DictConfig"]
) -> list[list[str]]:
    """The jobs of a sweep that are to be launched: each run once.

    Args:
        job: it is told what the sweep is.
        jobs: the overrides of each.
        compose: gives the configuration of a job.

    Raises:
        UserError: some of them cannot be; each is named in a line.
        Shown: the plan was asked for, and was printed.
    """
    job.swept = swept(jobs)
    specs = _each_once(job, _checked(job, jobs, compose))
    job.register.expect(len(specs))
    if job.dry_run and specs:  # where there is none, the command says so, as without --dry-run
        show([(apart(overrides, job.swept), spec) for overrides, spec in specs], jobs=job.at_once)
        raise Shown
    if len(specs) > 1:
        print(f"a sweep of {counted(len(specs), 'run')}", flush=True)
    return [overrides for overrides, _ in specs]


def _checked(
    job: TaskFunction, jobs: Sequence[list[str]], compose: Callable[[Sequence[str]], "DictConfig"]
) -> list[_Job]:
    """The jobs of a sweep, each checked; errors as `planned`."""
    checked: list[_Job] = []
    refused: list[tuple[str, str]] = []
    built: set[str] = set()
    for number, overrides in enumerate(jobs):
        try:
            checked.append((overrides, checked_spec(job, compose(overrides), number, built)))
        except Exception as error:
            if (why := refusal(error, overrides, job)) is None:
                raise
            refused.append((apart(overrides, job.swept), why))
    if refused:
        raise UserError(_refusal(refused, len(jobs)))
    return checked


def _each_once(job: TaskFunction, checked: Sequence[_Job]) -> list[_Job]:
    """The first job of each run. Those that differ from it in what is incidental are named."""
    firsts: dict[tuple[str, ...], _Job] = {}
    taken: dict[Path, str] = {}  # the folder of a run → what it is
    incidental = [key for key in job.swept if re.split("[./]", key)[0] in INCIDENTAL]
    dropped: dict[str, str] = {}  # what is incidental of a job → the same of the first one of its run
    for overrides, spec in checked:
        key = job_key(spec.config)
        if taken.setdefault(spec.folder, key[0]) != key[0]:
            spec = spec._replace(folder=beside(spec.folder, spec.config))
            job.folders[key] = spec.folder
        first, _ = firsts.setdefault(key, (overrides, spec))
        ours, theirs = (apart(each, incidental) for each in (overrides, first))
        if ours != theirs:
            dropped[ours] = theirs
    for ours, theirs in dropped.items():
        of = f"that of {theirs}" if theirs else "one without it"
        print(f"{ours or 'without it'}: no run of its own, but {of}: this is no part of what a run is")
    return list(firsts.values())


def checked_spec(
    job: TaskFunction, composed: "DictConfig", number: int, built: set[str] | None = None
) -> RunSpec:
    """What a job would train, checked as far as that is quick.

    Args:
        job: the task of the sweep.
        composed: the whole configuration of a job, Hydra's own included.
        number: of the job.
        built: nodes that were built before, to which those of this job are added.

    Raises:
        UserError: it cannot be.
    """
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf, open_dict

    with open_dict(composed):
        composed.hydra.job.num = number
        composed.hydra.job.id = str(number)
    HydraConfig.instance().set_config(composed)
    hydra = HydraConfig.get()
    job.at_once = job.jobs_at_once(hydra)
    task = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
    try:
        with startup.imports():
            spec = run_spec(task, hydra, given(hydra.overrides.task), job.swept)
    finally:
        OmegaConf.set_readonly(composed.hydra, None)  # the launcher sets its number
    check_nodes(spec.config, set() if built is None else built)
    return spec


def refusal(error: Exception, overrides: Sequence[str], job: TaskFunction) -> str | None:
    """Why a job cannot be; None if that is no fault of the user."""
    return str(error) if isinstance(error, UserError) else explain_error(error, overrides, job.extra)


def _refusal(refused: Sequence[tuple[str, str]], jobs: int) -> str:
    reasons = {why for _, why in refused}
    if len(reasons) == 1 and len(refused) == jobs:
        return reasons.pop()
    lines = [f"  {which}: {why.splitlines()[0]}" for which, why in refused[:_FEW]]
    more = [f"  and {len(refused) - _FEW} more"] if len(refused) > _FEW else []
    head = f"{len(refused)} of {counted(jobs, 'run')} cannot be, so nothing was trained:"
    return "\n".join([head, *lines, *more])
