"""Updates on a GPU as CUDA graphs. Not yet tested on a GPU in this version; use `accelerate=cuda_graphs`.

An update on one sentence launches some hundred kernels of a few microseconds each, so the GPU waits for Python. A
CUDA graph launches all of them at once (https://pytorch.org/docs/stable/notes/cuda.html#cuda-graphs). Its
memory and shapes are fixed, so each combination of lengths needs its own graph, up to a limit.
"""

from typing import Any

import torch
from torch import Tensor

from seq2seq_lab.accelerate.select import unknown_plan, unsupported
from seq2seq_lab.data.batches import Batch, Block
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.decoding.unroll import encode, unroll
from seq2seq_lab.forcing.feeders.argmax import ArgMax
from seq2seq_lab.forcing.plan import Plan, mean_over_words
from seq2seq_lab.models.dropout import Dropout
from seq2seq_lab.models.likelihood import sentence_losses
from seq2seq_lab.models.seq2seq import gold_inputs
from seq2seq_lab.training.update import EagerUpdates, Job, Made, update

FEEDERS = (type(None), ArgMax)
WARM_UPS = 3  # as PyTorch's documentation recommends
MOST = 256  # maximum number of graphs; after that, updates of new shapes are eager


class CudaGraphs:
    """Updates on unpadded batches by plain SGD as CUDA graphs."""

    def refuses(self, job: Job) -> str | None:
        """The reason why a job is not supported; None if it is."""
        if job.device.type != "cuda":
            return f"CUDA graphs need a CUDA GPU, but the model is on {job.device}"
        if job.batch_size != 1:
            return f"CUDA graphs support only single sentences, not loader.batch_size={job.batch_size}"
        if job.lr_changes:
            return "a CUDA graph has a fixed learning rate, and the schedule changes it with each update"
        if job.gradient_clip is not None:
            return "CUDA graphs do not support gradient clipping"
        if any(isinstance(module, Dropout) and module.p for module in job.model.modules()):
            return "CUDA graphs do not support dropout"
        return unsupported(job, FEEDERS)

    def updates(self, job: Job) -> "CapturedUpdates":
        """The updates of a supported job."""
        return CapturedUpdates(job)


class Captured:
    """One captured graph, with its input and output tensors."""

    def __init__(self, job: Job, batch: Batch, own: Tensor | None, pool: Any) -> None:
        self.source, self.target = batch.source.clone(), batch.target.clone()
        self.own = None if own is None else own.to(batch.source.device)
        model, optimizer = job.model, job.optimizer
        before = [parameter.detach().clone() for parameter in model.parameters()]
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                optimizer.zero_grad()
                self._step(job)
        torch.cuda.current_stream().wait_stream(stream)
        with torch.no_grad():
            for parameter, value in zip(model.parameters(), before, strict=True):
                parameter.copy_(value)
        optimizer.zero_grad()  # so that gradients are allocated in the graph's memory pool
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, pool=pool):
            self.losses = self._step(job)

    def _step(self, job: Job) -> Tensor:
        return captured_step(job, self.source, self.target, self.own)

    def replay(self, batch: Batch, own: Tensor | None) -> Tensor:
        """Make one update; returns the losses of its pairs, [B]."""
        self.source.copy_(batch.source)
        self.target.copy_(batch.target)
        if self.own is not None and own is not None:
            self.own.copy_(own)
        self.graph.replay()
        return self.losses.clone()


def captured_step(job: Job, source: Tensor, target: Tensor, own: Tensor | None) -> Tensor:
    """The update of `training.update.update`, without any access to the value of a tensor from Python.

    own [B, T], on the model's device, is True where the decoder is fed its own word; None if it never is.
    """
    encoded = encode(job.model, source)
    fed = gold_inputs(target)
    if own is not None:
        with torch.no_grad():
            embedded = job.model.decoder.embed(fed)
            fed = unroll(job.model, encoded, embedded, own, words=fed).need_words()
    decoded = job.model(source, target, inputs=job.model.decoder.embed(fed), memory=encoded.memory)
    losses = sentence_losses(decoded.logits, target, None)
    losses.mean().backward()  # type: ignore[no-untyped-call]
    job.optimizer.step()
    return losses.detach()


class CapturedUpdates(EagerUpdates):
    """Replays graphs. Each is captured when its shape first appears, and again after a change of the learning rate."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.graphs: dict[tuple[int, int, bool], Captured] = {}
        self.pool = torch.cuda.graph_pool_handle()
        self.rate = self._rate()

    def _rate(self) -> float:
        return float(self.job.optimizer.param_groups[0]["lr"])

    def __call__(self, block: Block, plan: Plan, draws: Draws) -> Made:
        """Make the updates of the block's N pairs."""
        if unknown_plan(plan, FEEDERS):
            return super().__call__(block, plan, draws)
        if self.rate != self._rate():
            self.graphs.clear()
            self.rate = self._rate()
        losses = torch.cat([self._update(batch, plan, draws) for batch in block])
        return Made(losses, mean_over_words(plan.gold, block.target_lengths.cpu()))

    def _update(self, batch: Batch, plan: Plan, draws: Draws) -> Tensor:
        plan = plan.rows(batch.rows, batch.target.shape[1])
        own = mask if (mask := plan.own).any() else None
        shape = (batch.source.shape[1], batch.target.shape[1], own is None)
        if shape not in self.graphs:
            if len(self.graphs) == MOST:
                part = draws[batch.rows]
                return update(
                    self.job.model, self.job.optimizer, self.job.objective, batch, plan, part
                ).losses
            self.graphs[shape] = Captured(self.job, batch, own, self.pool)
        return self.graphs[shape].replay(batch, own)
