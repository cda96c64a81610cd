"""Updates on several devices (`trainer=ddp`): Lightning's data parallelism, one process for each device.

PyTorch's `DistributedDataParallel` reduces the gradient of one backward pass for each training step; a step here makes
the updates of a block. So the module is not wrapped, and `SharedUpdates` sums the gradients of each update. Random
numbers belong to a pair: it does not matter which process computes it, and nothing of the others has to be saved.
"""

import atexit
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing import parent_process

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor

from seq2seq_lab.data.batches import Batch, Block
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.errors import UserError, first_line
from seq2seq_lab.forcing.plan import Plan
from seq2seq_lab.training.update import Job, UpdateResult, backward, joined, measures_of, step

SILENCE = 15.0  # seconds without an answer of a process, after which it is lost
GRACE = 3.0  # seconds in which a process ends by itself after another one was lost
LOST = 75  # exit status of a process that was lost by the others, or lost one of them
GO_ON = "the same command goes on from the last checkpoint"
_LOOK = 0.2  # seconds between two looks at the other processes


class LostError(UserError):
    """Another process of the run has ended, or does not answer."""

    def __init__(self, text: str = f"trainer=ddp: another process ended or does not answer; {GO_ON}") -> None:
        super().__init__(text)


class SharedUpdates:
    """Makes the updates of a block: each of R processes computes the gradient of the pairs rank, rank + R, … of each.

    Args:
        job: the training job of this process; all have equal weights and settings.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.begun = False

    def __call__(self, block: Block, plan: Plan, draws: Draws) -> UpdateResult:
        """Make the updates of the block's N pairs; every process gets the results of all pairs."""
        if not self.begun:  # equal weights, even if a model of the user was initialised by numbers of its own
            for each in self.job.model.state_dict().values():
                dist.broadcast(each, src=0)
            self.begun = True
        made = []
        for batch in block:
            made.append(
                self._gradient(batch, plan.rows(batch.rows, batch.target.shape[1]), draws[batch.rows])
            )
            step(self.job.model, self.job.optimizer, self.job.gradient_clip)
        return joined(made)

    def _gradient(self, batch: Batch, plan: Plan, draws: Draws) -> UpdateResult:
        """Give every process the gradient of the mean loss of all B pairs."""
        size, rank = len(batch.target), dist.get_rank()
        rows = slice(rank, size, dist.get_world_size())
        parameters = list(self.job.model.parameters())
        names = measures_of(self.job.target, self.job.objective)
        results = batch.target.new_zeros((2 + len(names), size), dtype=parameters[0].dtype)
        self.job.optimizer.zero_grad()
        if rank < size:  # else the update has no pair for this process
            of_rows = (plan.rows(rows, batch.target.shape[1]), draws[rows])
            made = backward(
                self.job.model,
                self.job.objective,
                _part(batch, rows),
                *of_rows,
                target=self.job.target,
                of=size,
            )
            found = (made.losses, made.forced_share, *(made.measured[name] for name in names))
            results[:, rows] = torch.stack([each.to(results) for each in found])
        # A parameter without a gradient in any process must stay without one: an optimizer does not change it.
        used = results.new_tensor([each.grad is not None for each in parameters])
        gradients = [torch.zeros_like(each) if each.grad is None else each.grad for each in parameters]
        sums = torch.cat([each.reshape(-1) for each in (*gradients, used, results)])
        dist.all_reduce(sums)
        *gradients, used, results = _split(sums, [*gradients, used, results])
        for parameter, gradient, times in zip(parameters, gradients, used.tolist(), strict=True):
            parameter.grad = gradient if times else None
        losses, forced, *measured = results
        return UpdateResult(
            losses, forced.float().cpu(), {n: each.cpu() for n, each in zip(names, measured, strict=True)}
        )


class SharedStrategy(DDPStrategy):
    """Lightning's `DDPStrategy` (clusters, process group, checkpoints of process 0); the module is not wrapped."""

    watch: "Watch | None" = None

    def __init__(self) -> None:
        # Processes that this package has started are not tasks of the cluster's job that they are in.
        own = "LOCAL_RANK" in os.environ and not dist.is_torchelastic_launched()
        super().__init__(cluster_environment=LightningEnvironment() if own else None)

    def _configure_launcher(self) -> None:
        """None: the processes run already, see `training.processes`."""

    def configure_ddp(self) -> None:
        """Leave the module as it is."""


def meet(trainer: pl.Trainer, facts: object) -> None:
    """Join the other processes of a run, if there are any: process 0 must write nothing that they still read.

    Args:
        facts: what each process must have found alike, such as the checkpoint to go on from.

    Raises:
        UserError: they have not, as where machines do not share the folder of the run.
        LostError: another process ended.
    """
    strategy = trainer.strategy
    if not isinstance(strategy, SharedStrategy):
        return
    found: list[object] = [None] * trainer.world_size
    try:
        strategy.setup_environment()
        strategy.watch = Watch()
        strategy.watch.start()
        dist.all_gather_object(found, facts)
    except RuntimeError as error:
        raise LostError(f"trainer=ddp: the processes do not meet: {first_line(error)}") from error
    if any(each != found[0] for each in found):
        raise UserError(
            "trainer=ddp: the processes do not find the same; they need the same command, the same files, and one "
            "folder of runs that all machines see"
        )


@contextmanager
def watched(trainer: pl.Trainer) -> Iterator[None]:
    """Train with the other processes of a run, if there are any; at its end they are needed no more.

    Raises:
        LostError: an error whose reason is that another process was lost.
    """
    watch: Watch | None = getattr(trainer.strategy, "watch", None)
    try:
        yield
    except RuntimeError as error:
        if watch is None or not watch.lost.wait(GRACE):
            raise
        raise LostError from error
    else:
        if watch is not None:
            watch.ended.set()
            watch.join()  # until they have ended too
    finally:
        if watch is not None:
            watch.ended.set()


class Watch(threading.Thread):
    """Sees whether the other processes live, by a process group of its own, whose limit of time is short.

    That of the updates cannot be: process 0 is alone for as long as it writes, or waits for a tracker.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.group = dist.new_group(backend="gloo", timeout=timedelta(seconds=SILENCE))
        self.ended = threading.Event()  # this process needs the others no more
        self.lost = threading.Event()
        self.exits = False
        atexit.register(self.stop)

    def run(self) -> None:
        """Meet the others again and again, until none is needed."""
        ended = torch.zeros(1, dtype=torch.float32)  # not Lightning's default, which it changes meanwhile
        try:
            while ended < dist.get_world_size() and not self.exits:
                ended.fill_(self.ended.is_set())
                dist.all_reduce(ended, group=self.group)
                time.sleep(_LOOK)
        except RuntimeError:
            self.lost.set()
            if self.ended.wait(GRACE):
                return
            if parent_process() is None:  # else the process that has started this one says it
                print(LostError(), file=sys.stderr, flush=True)
            os._exit(LOST)  # the main thread waits for an answer that does not come

    def stop(self) -> None:
        """End this thread; the interpreter must not end while it is in a process group."""
        self.exits = True
        self.ended.set()
        self.join(SILENCE + GRACE)


def _part(batch: Batch, rows: slice) -> Batch:
    """Some pairs of a batch; they stay padded as they were."""
    lengths = (None if each is None else each[rows] for each in (batch.source_lengths, batch.target_lengths))
    source_lengths, target_lengths = lengths
    return Batch(batch.source[rows], source_lengths, batch.target[rows], target_lengths, rows)


def _split(flat: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """The parts of a flat tensor, in the shapes of `like`."""
    parts = flat.split([each.numel() for each in like])  # type: ignore[no-untyped-call]
    return [part.view_as(each) for part, each in zip(parts, like, strict=True)]
