"""Updates on a GPU as CUDA graphs.

An update on one sentence is some hundred kernels of a few microseconds each: a GPU waits for Python to launch
them. A CUDA graph launches all of them at once (https://pytorch.org/docs/stable/notes/cuda.html#cuda-graphs). It
is bound to fixed memory and shapes, so that batches are copied into buffers of a few sizes, with their lengths
and masks beside them; results do not depend on padding, and the models branch on no tensor's value.

This path has not run on a GPU in this version, and there are no timings of it. What can be shown without one is
tested: that a padded update is the unpadded one, and that an update can be traced without looking at any value.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from seq2seq_lab.accelerate.optimizers import SGD
from seq2seq_lab.data.batches import Batch

Update = Callable[[Batch, Tensor | None, Optimizer], Tensor]
# Optimizers whose state starts at zeros, as `restore` leaves it.
_FROM_ZERO = (
    torch.optim.Adam,
    torch.optim.AdamW,
    torch.optim.RAdam,
    torch.optim.RMSprop,
    torch.optim.Adamax,
    torch.optim.Adadelta,
)
WARM_UPS = 3  # as PyTorch's documentation advises
GRANULE = 8  # lengths are rounded up to a multiple of it: few graphs, and all the seminar's sentences in one


def possible(optimizer: Optimizer, device: torch.device) -> bool:
    """Whether updates can be captured: on CUDA, with an optimizer that never looks at a value on the device."""
    if device.type != "cuda":
        return False
    if isinstance(optimizer, SGD):
        return True
    capturable = all(group.get("capturable", False) for group in optimizer.param_groups)
    return isinstance(optimizer, _FROM_ZERO) and capturable


class Buffers:
    """Fixed memory for batches of B pairs of up to S and T words."""

    def __init__(self, pairs: int, source: int, target: int, device: torch.device) -> None:
        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=torch.int64, device=device)

        self.batch = Batch(
            zeros(pairs, source), zeros(pairs), zeros(pairs, target), zeros(pairs), slice(0, pairs)
        )
        self.forced = torch.zeros(pairs, target, dtype=torch.bool, device=device)

    def fill(self, batch: Batch, forced: Tensor | None) -> None:
        """Copy a batch in; what lies beyond its lengths counts for nothing and may stay."""
        for ids, ids_lengths, buffer, lengths in (
            (batch.source, batch.source_lengths, self.batch.source, self.batch.source_lengths),
            (batch.target, batch.target_lengths, self.batch.target, self.batch.target_lengths),
        ):
            assert lengths is not None
            buffer[:, : ids.shape[1]].copy_(ids)
            if ids_lengths is None:
                lengths.fill_(ids.shape[1])
            else:
                lengths.copy_(ids_lengths)
        if forced is not None:
            self.forced[:, : forced.shape[1]].copy_(forced)


class CapturedUpdates:
    """Makes updates by replaying graphs, each captured when its shape first comes by.

    Args:
        update: an eager update; returns the losses of the pairs.
        optimizer: what it steps. A changed learning rate, which graphs hold as a number, has them captured anew.
        longest_source: no source is padded beyond it; None sets no limit.
    """

    def __init__(self, update: Update, optimizer: Optimizer, *, longest_source: int | None = None) -> None:
        self.update = update
        self.optimizer = optimizer
        self.longest_source = longest_source
        self.graphs: dict[tuple[int, int, int, bool], tuple[Buffers, torch.cuda.CUDAGraph, Tensor]] = {}
        self.rates = self._rates()

    def __call__(self, batch: Batch, forced: Tensor | None) -> Tensor:
        """One update; returns its pairs' losses summed over positions, [B]."""
        if self.rates != self._rates():
            self.graphs.clear()
            self.rates = self._rates()
        source, target = (-(-ids.shape[1] // GRANULE) * GRANULE for ids in (batch.source, batch.target))
        if self.longest_source is not None:
            source = min(source, self.longest_source)
        shape = (len(batch.source), source, target, forced is None)
        if shape not in self.graphs:
            self.graphs[shape] = self._capture(shape, batch, forced)
        buffers, graph, losses = self.graphs[shape]
        buffers.fill(batch, forced)
        graph.replay()
        return losses.clone()

    def _rates(self) -> list[float]:
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def _capture(
        self, shape: tuple[int, int, int, bool], batch: Batch, forced: Tensor | None
    ) -> tuple[Buffers, torch.cuda.CUDAGraph, Tensor]:
        pairs, source, target, fully_forced = shape
        buffers = Buffers(pairs, source, target, batch.source.device)
        buffers.fill(batch, forced)
        mask = None if fully_forced else buffers.forced
        before = snapshot(self.optimizer)
        random_state = torch.cuda.get_rng_state(batch.source.device)
        stream = torch.cuda.Stream(batch.source.device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(batch.source.device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                self.update(buffers.batch, mask, self.optimizer)
        torch.cuda.current_stream(batch.source.device).wait_stream(stream)
        restore(self.optimizer, before)
        torch.cuda.set_rng_state(random_state, batch.source.device)
        self.optimizer.zero_grad(
            set_to_none=True
        )  # so that gradients are allocated in the graph's own memory
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            losses = self.update(buffers.batch, mask, self.optimizer)
        return buffers, graph, losses


def _tensors(optimizer: Optimizer) -> Iterator[tuple[Any, Tensor]]:
    """Everything that a step changes, each with a name: parameters, and the optimizer's state of them."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            yield parameter, parameter
            for name, value in optimizer.state.get(parameter, {}).items():
                if isinstance(value, Tensor):
                    yield (parameter, name), value


def snapshot(optimizer: Optimizer) -> dict[Any, Tensor]:
    """Copies of the parameters and of the optimizer's state."""
    return {name: value.detach().clone() for name, value in _tensors(optimizer)}


@torch.no_grad()
def restore(optimizer: Optimizer, before: dict[Any, Tensor]) -> None:
    """Write a snapshot back in place; state that has come since goes back to the zeros that it starts from."""
    for name, value in _tensors(optimizer):
        if name in before:
            value.copy_(before[name])
        else:
            value.zero_()
