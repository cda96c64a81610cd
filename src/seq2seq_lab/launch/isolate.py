"""A job in a process of its own, with its share of the GPUs: if the system kills it, no other job ends with it."""

import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from seq2seq_lab.errors import UserError
from seq2seq_lab.runs.lock import is_alive, locked

_POLL = 0.5  # seconds between two looks at the processes that a job belongs to
_TAKEN: set[str] = set()  # the names of the environment of the sweeps that this process has worked for


T = TypeVar("T")


class KilledError(Exception):
    """The process of a job ended without a result; the message says how."""


def available() -> bool:
    """Whether this system can fork."""
    return hasattr(os, "fork")


def in_own_process(act: Callable[[], T], sweep_process: int) -> T:
    """The result of a function that is called in a fork of this process, which has not computed with PyTorch.

    A worker of joblib is such a process: it only imports what its jobs need. A worker that the system kills, for want
    of memory, would end the whole sweep.

    Args:
        act: the function; its result is pickled.
        sweep_process: what started the sweep. If it ends, the job gets the signal SIGTERM, on which it saves a
            checkpoint, and this worker ends.

    Raises:
        KilledError: the process ended without a result.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    read, write = os.pipe()
    worker = os.getpid()
    child = os.fork()
    if not child:
        os.close(read)
        status = 1
        try:
            # As Ctrl-C, from the beginning on: training has a handler of its own, which is there after some seconds.
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            _watch(lambda: os.getppid() != worker or not is_alive(sweep_process))
            contents = pickle.dumps(act())
            with os.fdopen(write, "wb") as pipe:
                pipe.write(contents)
            status = 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    os.close(write)
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the job too, and it saves first
    try:
        with os.fdopen(read, "rb") as pipe:
            contents = pipe.read()
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        signal.signal(signal.SIGINT, handler)
    if not is_alive(sweep_process):
        os._exit(1)
    if contents and ended == 0:
        return pickle.loads(contents)  # type: ignore[no-any-return]
    if ended < 0:
        raise KilledError(
            f"its process was killed ({signal.Signals(-ended).name}), perhaps for want of memory"
        )
    raise KilledError(f"its process ended with status {ended}")


def _watch(over: Callable[[], bool]) -> None:
    """Send this process SIGTERM when something is over, and end it if that has no effect."""

    def look() -> None:
        while not over():
            time.sleep(_POLL)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=look, daemon=True).start()


def take_surroundings(folder: Path, environment: Mapping[str, str]) -> None:
    """Let a worker have the working folder and the environment of the sweep; it may have been started for another one.

    What only the worker has, such as joblib's number of threads, stays.
    """
    for name in _TAKEN - environment.keys():
        os.environ.pop(name, None)
    os.environ.update(environment)
    _TAKEN.update(environment)
    os.chdir(folder)


@contextmanager
def own_cards(job: int, trainer: Mapping[str, Any], lock: Path) -> Iterator[None]:
    """Let this process see its share of the GPUs: one, or several with `trainer=ddp`; it ends with the job.

    A share is taken that no other job has, from the one on whose turn it is by the number of the job; if each is taken,
    that one is shared. Where the run names its GPUs (`trainer.devices=[2]`), it sees all.

    Args:
        lock: where the files of the shares are, which say by their suffix which one is taken.
    """
    import torch  # CUDA has not been used yet

    given = str(trainer.get("devices", 1))
    count = int(given) if given.isdecimal() else 0
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    cards = visible.split(",") if visible else [str(card) for card in range(torch.cuda.device_count())]
    shares = len(cards) // count if count else 0
    with ExitStack() as stack:
        if shares > 1:
            turn = job % shares
            for share in (*range(turn, shares), *range(turn)):
                with suppress(UserError, OSError):
                    stack.enter_context(locked(lock.with_suffix(f".cards-{share}")))
                    turn = share
                    break
            os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(cards[turn * count : (turn + 1) * count])
        yield
