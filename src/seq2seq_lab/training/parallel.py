"""Updates on several devices (`trainer=ddp`): data parallelism with one process for each device.

The run's own process uses the first device; only it has the optimizer, evaluates and writes. Each other process has a
copy of the model, computes gradients for its share of an update's pairs, and ends with the run's process. Random
numbers belong to a pair, so it does not matter where a pair is computed, and nothing of the others has to be saved.
"""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from seq2seq_lab.config import modules
from seq2seq_lab.data.batches import Batch, Block
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.errors import UserError, first_line
from seq2seq_lab.forcing.plan import Plan
from seq2seq_lab.models.seq2seq import Seq2Seq
from seq2seq_lab.targets.base import Target
from seq2seq_lab.training.objectives.base import Objective
from seq2seq_lab.training.update import Job, Made, backward, joined, measures_of, step

_WORKER = "from seq2seq_lab.training.parallel import work; work()"
_READY = b"ready\n"


class Share(NamedTuple):
    """One process of R, and what it computes with.

    Attributes:
        model: its copy of the model, on its device.
        objective: what is minimised.
        target: what is learnt.
        rank: its number; it computes the pairs rank, rank + R, … of each update.
        processes: R.
    """

    model: Seq2Seq
    objective: Objective
    target: Target
    rank: int
    processes: int

    def receive_weights(self) -> None:
        """Take the parameters of process 0, as they are before an update."""
        parameters = [each.data for each in self.model.parameters()]
        flat = torch.cat([each.reshape(-1) for each in parameters])
        dist.broadcast(flat, src=0)
        if self.rank:
            for parameter, value in zip(parameters, _split(flat, parameters), strict=True):
                parameter.copy_(value)

    def gradient(self, batch: Batch, plan: Plan, draws: Draws) -> Made:
        """Compute the gradient of the mean loss of all B pairs; process 0 has it in its parameters afterwards.

        Returns:
            The losses and shares of forced words of all pairs, in process 0.
        """
        size = len(batch.target)
        rows = slice(self.rank, size, self.processes)
        names = measures_of(self.target, self.objective)
        results = batch.target.new_zeros((2 + len(names), size), dtype=next(self.model.parameters()).dtype)
        self.model.zero_grad()
        if self.rank < size:  # else the update has no pair for this process
            made = backward(
                self.model,
                self.objective,
                _part(batch, rows),
                plan.rows(rows, batch.target.shape[1]),
                draws[rows],
                target=self.target,
                of=size,
            )
            found = (made.losses, made.forced_share, *(made.measured[name] for name in names))
            results[:, rows] = torch.stack([each.to(results) for each in found])
        parameters = list(self.model.parameters())
        # A parameter without a gradient in any process must stay without one: an optimizer does not change it.
        used = results.new_tensor([each.grad is not None for each in parameters])
        gradients = [torch.zeros_like(each) if each.grad is None else each.grad for each in parameters]
        sums = torch.cat([each.reshape(-1) for each in (*gradients, used, results)])
        dist.reduce(sums, dst=0)
        *gradients, used, results = _split(sums, [*gradients, used, results])
        if self.rank == 0:
            for parameter, gradient, times in zip(parameters, gradients, used.tolist(), strict=True):
                parameter.grad = gradient if times else None
        losses, forced, *measured = results
        return Made(
            losses, forced.float().cpu(), dict(zip(names, (each.cpu() for each in measured), strict=True))
        )


class ParallelUpdates:
    """Makes the updates of a block on several devices, as one device would, up to rounding.

    The other processes start with the first block.

    Args:
        job: the training job; its model is on the first device.
        devices: the devices, at least two.
    """

    def __init__(self, job: Job, devices: Sequence[torch.device]) -> None:
        self.job = job
        self.devices = devices
        self.share = Share(job.model, job.objective, job.target, 0, len(devices))
        self.workers: list[subprocess.Popen[bytes]] = []

    def __call__(self, block: Block, plan: Plan, draws: Draws) -> Made:
        """Make the updates of the block's N pairs.

        Raises:
            UserError: another process ended; the message says why.
        """
        try:
            if not self.workers:
                self._start()
            trained = [each.requires_grad for each in self.job.model.parameters()]
            cpu = torch.device("cpu")
            message = _pickled((block.to(cpu), plan, draws.to(cpu), trained))
            for worker in self.workers:
                _write(worker, message)
            made = []
            for update in _updates(block, plan, draws):
                self.share.receive_weights()
                made.append(self.share.gradient(*update))
                step(self.job.model, self.job.optimizer, self.job.gradient_clip)
        except (RuntimeError, OSError) as error:
            if isinstance(error, torch.cuda.OutOfMemoryError) or (reason := self._reason()) is None:
                raise
            raise UserError(reason) from error
        return joined(made)

    def close(self) -> None:
        """End the other processes."""
        for worker in self.workers:
            with contextlib.suppress(OSError):  # it has ended already
                worker.stdin.close()  # type: ignore[union-attr]
        if dist.is_initialized():
            dist.destroy_process_group()
        for worker in self.workers:
            try:
                worker.wait(10)
            except subprocess.TimeoutExpired:  # in an update that was cut short
                worker.kill()
                worker.wait()
            worker.stdout.close()  # type: ignore[union-attr]
        self.workers = []

    def _start(self) -> None:
        for _ in self.devices[1:]:
            # In a session of its own: Ctrl-C reaches the run's process only, which ends the others.
            worker = subprocess.Popen(
                [sys.executable, "-P", "-c", _WORKER],  # -P: without the working folder on the path
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
            self.workers.append(worker)
        with tempfile.TemporaryDirectory() as folder:
            meeting = Path(folder) / "store"
            for rank, (worker, device) in enumerate(zip(self.workers, self.devices[1:], strict=True), 1):
                path = (sys.path, modules.named())
                _write(worker, pickle.dumps((path, torch.get_num_threads(), str(device), str(meeting))))
                # Pickled by itself: its classes are found only once the path is set.
                _write(worker, _pickled(self.share._replace(rank=rank)))
            self._wait()  # until they have what they need: else process 0 would wait for one that ended
            _meet(self.devices[0], meeting, self.share)
            self._wait()  # until they need the file no more

    def _wait(self) -> None:
        for worker in self.workers:
            if worker.stdout.readline() != _READY:  # type: ignore[union-attr]
                raise RuntimeError("a process did not start")

    def _reason(self) -> str | None:
        """Why another process ended; None if all still run."""
        for worker, device in zip(self.workers, self.devices[1:], strict=True):
            try:
                status = worker.wait(2)
            except subprocess.TimeoutExpired:
                continue
            said = worker.stdout.read().decode(errors="replace").strip()  # type: ignore[union-attr]
            why = said or (f"killed by signal {-status}" if status < 0 else f"exit status {status}")
            return f"trainer=ddp: the process of device {device} ended: {why}"
        return None


def work() -> None:
    """Be one of the other processes; messages come on the standard input, until it is closed."""
    # The run's process handles signals: it stops at the end of a block, and this one with it.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    messages, says = sys.stdin.buffer, sys.stdout.buffer
    try:
        (sys.path[:], named), threads, device, meeting = pickle.load(messages)
        modules.use(named)
        share: Share = pickle.load(messages)
        says.write(_READY)
        says.flush()
        torch.set_num_threads(threads)
        share.model.to(device).train()
        torch.set_default_dtype(next(share.model.parameters()).dtype)
        _meet(torch.device(device), Path(meeting), share)
        says.write(_READY)
        says.flush()
        while True:
            block, plan, draws, trained = pickle.load(messages)
            for parameter, requires_grad in zip(share.model.parameters(), trained, strict=True):
                parameter.requires_grad_(requires_grad)
            for update in _updates(block.to(device), plan, draws.to(device)):
                share.receive_weights()
                share.gradient(*update)
    except EOFError:  # the run's process has ended
        os._exit(0)
    except BaseException as error:
        with contextlib.suppress(OSError):  # the run's process was killed
            says.write(first_line(error).encode())
            says.flush()
        os._exit(1)  # without waiting for the process group


def _pickled(message: Any) -> bytes:
    try:
        return pickle.dumps(message)
    # The errors about a lambda, or a class inside a function.
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UserError(
            f"trainer=ddp: {first_line(error)}; the parts of a run must be classes and functions of a module, to be "
            "sent to the other processes"
        ) from error


def _write(worker: subprocess.Popen[bytes], message: bytes) -> None:
    worker.stdin.write(message)  # type: ignore[union-attr]
    worker.stdin.flush()  # type: ignore[union-attr]


def _meet(device: torch.device, meeting: Path, share: Share) -> None:
    """Join the process group; it meets at the file `meeting`."""
    if device.type == "cuda":
        torch.cuda.set_device(device)
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(
        backend, init_method=meeting.as_uri(), rank=share.rank, world_size=share.processes
    )


def _updates(block: Block, plan: Plan, draws: Draws) -> Iterator[tuple[Batch, Plan, Draws]]:
    for batch in block:
        yield batch, plan.rows(batch.rows, batch.target.shape[1]), draws[batch.rows]


def _part(batch: Batch, rows: slice) -> Batch:
    """Some pairs of a batch; they stay padded as they were."""
    lengths = (None if each is None else each[rows] for each in (batch.source_lengths, batch.target_lengths))
    source_lengths, target_lengths = lengths
    return Batch(batch.source[rows], source_lengths, batch.target[rows], target_lengths, rows)


def _split(flat: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """The parts of a flat tensor, in the shapes of `like`."""
    parts = flat.split([each.numel() for each in like])  # type: ignore[no-untyped-call]
    return [part.view_as(each) for part, each in zip(parts, like, strict=True)]
