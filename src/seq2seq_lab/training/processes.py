"""The processes of a run on several devices: those of torchrun or srun, or, where there are none, started here."""

import contextlib
import math
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from lightning_fabric.plugins.environments.lightning import find_free_network_port

from seq2seq_lab.config import modules
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs.run import Run
from seq2seq_lab.terminal import clean_output, ignore_closed
from seq2seq_lab.training.callbacks.interruption import SAME_SIGNAL, Interrupted
from seq2seq_lab.training.ddp import GO_ON, GRACE, LOST, SILENCE, LostError
from seq2seq_lab.training.machine import devices

_OF_NODES = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_POLL = 0.2  # seconds between two looks at a second Ctrl-C


def to_start(trainer: Mapping[str, Any]) -> int:
    """How many processes of a run this one has to start on this machine; 0: it is the only one, or one of them.

    Raises:
        UserError: the machines of several do not know each other.
    """
    nodes, here = trainer.get("num_nodes", 1), len(devices(trainer))
    if here * nodes <= 1 or "LOCAL_RANK" in os.environ or int(os.environ.get("SLURM_NTASKS", 1)) > 1:
        return 0
    if nodes > 1 and (missing := [name for name in _OF_NODES if name not in os.environ]):
        raise UserError(
            f"trainer.num_nodes: {nodes}; start the command on each machine by torchrun or srun, or set "
            f"{', '.join(missing)}"
        )
    return here


def rank() -> int:
    """The number of this process among those of its run."""
    return int(os.environ.get("RANK", os.environ.get("SLURM_PROCID", 0)))


def is_first(trainer: Mapping[str, Any]) -> bool:
    """Whether this process is the only one of its run, or the first one; srun may start several with a run each."""
    return trainer.get("strategy") != "ddp" or rank() == 0


@contextlib.contextmanager
def run_of_process(run: Run, trainer: Mapping[str, Any]) -> Iterator[Run]:
    """Where this process of a run writes: the first one in the run's folder; another one in one that is removed.

    That one also prints nothing. So no part of a run has to know which process it is in.
    """
    if is_first(trainer):
        yield run
        return
    with (
        tempfile.TemporaryDirectory(prefix="seq2seq-lab-") as folder,
        open(os.devnull, "w") as nowhere,  # noqa: PTH123, as it is not a path
        contextlib.redirect_stdout(nowhere),
    ):
        yield Run(Path(folder, run.folder.name))


def start_processes(
    count: int, act: Callable[..., dict[str, float]], *given: Any, **more: Any
) -> dict[str, float]:
    """Call a function of a module in each of several processes; returns what the first one returns.

    Ctrl-C and SIGTERM are passed on to the first one, with which the others stop. After the second time none is left.

    Raises:
        UserError: that of one of them, or how one of them ended.
        Interrupted: they were interrupted.
        KeyboardInterrupt: they were interrupted before or after training.
    """
    context = multiprocessing.get_context("spawn")
    port = os.environ.get("MASTER_PORT", str(find_free_network_port()))
    workers: dict[Connection, SpawnProcess] = {}
    asked: list[float] = []
    with _passing_on(workers, asked):
        for local in range(count):
            number = int(os.environ.get("NODE_RANK", 0)) * count + local
            names = {"LOCAL_RANK": str(local), "RANK": str(number), "MASTER_PORT": port}
            read, write = context.Pipe(duplex=False)
            workers[read] = context.Process(
                target=_work, args=(write, names, modules.named(), act, given, more)
            )
            with _blocked(), _spawning():
                workers[read].start()
            write.close()
        outcomes = _outcomes(workers, asked)
    return _result(outcomes, asked=bool(asked))


def _outcomes(workers: Mapping[Connection, SpawnProcess], asked: list[float]) -> list[Any]:
    """What each process returned or raised, or in words how else it ended."""
    outcomes: dict[Connection, Any] = {}
    first, until = next(iter(workers)), math.inf
    while missing := [each for each in workers if each not in outcomes]:
        for each in wait(missing, timeout=_POLL):
            assert isinstance(each, Connection)
            try:
                outcomes[each] = each.recv()
            except EOFError:
                workers[each].join()
                outcomes[each] = _ended(workers[each].exitcode or 0)
            # All notice by themselves that one was lost, and the first one is the last to work.
            if each is first or isinstance(outcomes[each], str | LostError):
                until = min(until, time.monotonic() + 2 * GRACE)
            elif isinstance(
                outcomes[each], UserError
            ):  # the first one may have more to write, or wait for this one
                until = min(until, time.monotonic() + SILENCE)
        if len(asked) > 1:
            until = min(until, asked[1] + 2 * GRACE)
        if time.monotonic() > until:
            for each in [each for each in missing if each not in outcomes]:
                outcomes[each] = "does not answer"
                workers[each].kill()
    for worker in workers.values():
        worker.join()
    return [outcomes[each] for each in workers]


def _ended(status: int) -> Any:
    if status == LOST:
        return LostError()
    if status >= 0:
        return f"ended with status {status}"
    return f"was killed ({signal.Signals(-status).name})"


def _result(outcomes: list[Any], *, asked: bool) -> dict[str, float]:
    """What the first process returned; else the error of one that did not only lose another one."""
    if isinstance(outcomes[0], dict):
        return outcomes[0]
    for each in outcomes:
        if isinstance(each, BaseException) and not isinstance(each, LostError):
            raise each
    if asked:
        raise KeyboardInterrupt
    for number, each in enumerate(outcomes):
        if isinstance(each, str):
            raise UserError(f"trainer=ddp: process {number} of {len(outcomes)} {each}; {GO_ON}")
    raise LostError


@contextlib.contextmanager
def _passing_on(workers: Mapping[Connection, SpawnProcess], asked: list[float]) -> Iterator[None]:
    """Pass Ctrl-C and SIGTERM on to the first process; those of a terminal come to this one only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def pass_on(number: int, frame: object) -> None:
        # Ctrl-C in a terminal comes twice to a job of a sweep: from the terminal and from the sweep.
        if asked and time.monotonic() - asked[-1] < SAME_SIGNAL:
            return
        asked.append(time.monotonic())
        for worker in list(workers.values())[:1]:
            os.kill(worker.pid or 0, number)

    before = {each: signal.signal(each, pass_on) for each in _SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextlib.contextmanager
def _spawning() -> Iterator[None]:
    """Let a process that starts here know the start method `spawn` alone: joblib's workers have one of their own."""
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method("spawn", force=True)
    try:
        yield
    finally:
        multiprocessing.set_start_method(before, force=True)


@contextlib.contextmanager
def _blocked() -> Iterator[None]:
    """Let signals wait: a process that starts here has them wait until it can answer."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        _unblock()


def _unblock() -> None:
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def _work(
    write: Connection,
    names: Mapping[str, str],
    named: modules.Named | None,
    act: Callable[..., dict[str, float]],
    given: tuple[Any, ...],
    more: Mapping[str, Any],
) -> None:
    """Be one of the processes."""
    if hasattr(os, "setsid"):
        os.setsid()
    os.environ.update(names)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    clean_output()
    ignore_closed()
    modules.use(named)
    try:
        _unblock()
        outcome: Any = act(*given, **more)
    except (UserError, Interrupted, KeyboardInterrupt, OSError, MemoryError) as error:
        outcome = error
    write.send(outcome)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # without waiting for other threads


def _end_with_parent() -> None:
    """Save and end when the process that has started this one is gone."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
