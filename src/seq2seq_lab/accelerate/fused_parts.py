"""Updates of plain PyTorch, some parts of which are replaced by faster ones that give the same numbers.

A part applies or does not, each by itself: so a job of any model and policy gains from those that apply to it.
"""

import copy
import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import nn
from torch.optim import Optimizer

from seq2seq_lab.accelerate.compiled_draws import CompiledDraws
from seq2seq_lab.accelerate.compiler import available
from seq2seq_lab.accelerate.fused_loss import FusedGold, FusedLikelihood
from seq2seq_lab.accelerate.fused_rnn import FusedRNN
from seq2seq_lab.accelerate.known import unknown_layers, unknown_objective, unknown_step, unknown_target
from seq2seq_lab.data.batches import Batch, Block
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.forcing.plan import Plan
from seq2seq_lab.models.seq2seq import Seq2Seq
from seq2seq_lab.training.objectives.nll import NegativeLogLikelihood
from seq2seq_lab.training.update import EagerUpdates, Job, UpdateResult, backward

_Module = TypeVar("_Module", bound=nn.Module)


class FusedParts:
    """Parts of updates on a CPU, compiled by Numba or fused by PyTorch."""

    def refuses(self, job: Job) -> str | None:
        """The reason why a job is not supported; None if it is."""
        if job.device.type != "cpu":
            return f"only the CPU is supported, but the model is on {job.device}"
        dtypes = {each.dtype for each in job.model.parameters()}
        if dtypes not in ({torch.float32}, {torch.float64}):
            return "the parameters are not all float32, nor all float64"
        return available(str(*dtypes).removeprefix("torch."), "batch_kernels")

    def updates(self, job: Job) -> "FusedUpdates":
        """The updates of a supported job."""
        return FusedUpdates(job)


def refused_parts(job: Job) -> dict[str, str | None]:
    """The parts, and of those that do not apply to a job the reason.

    draws: random numbers and dropout masks in one pass. loss: negative log-likelihood, label smoothing and gradient in
    one pass. optimizer: the step of a weight in one kernel. recurrent: a GRU over whole sequences.
    """
    return {
        "draws": None,
        "loss": unknown_target(job.target) or unknown_objective(job.objective, smoothing=True),
        "optimizer": unknown_step(job.optimizer),
        "recurrent": unknown_layers(job.model),
    }


class FusedUpdates(EagerUpdates):
    """As `EagerUpdates`; the model that it calls shares all parameters with that of the job.

    Attributes:
        parts: the parts that are replaced.
        refused: of the other parts, the reason.
    """

    def __init__(self, job: Job) -> None:
        found = refused_parts(job)
        self.parts = tuple(name for name, reason in found.items() if reason is None)
        self.refused: Mapping[str, str] = {name: reason for name, reason in found.items() if reason}
        self.parameters = list(job.model.parameters())
        if "loss" in self.parts:
            assert isinstance(job.objective, NegativeLogLikelihood)
            objective = FusedLikelihood(label_smoothing=job.objective.label_smoothing)
            job = job._replace(target=FusedGold(), objective=objective)
        if "recurrent" in self.parts:
            job = job._replace(model=_with_fused_layers(job.model))
        super().__init__(job)

    def __call__(self, block: Block, plan: Plan, draws: Draws) -> UpdateResult:
        """Make the updates of the block's N pairs."""
        with _young_garbage_only():
            return super().__call__(block, plan, CompiledDraws.of(draws))

    def update(self, batch: Batch, plan: Plan, draws: Draws) -> UpdateResult:
        """One optimizer step on the pairs of a batch."""
        gc.collect(1)  # what the update before has left; see `_young_garbage_only`
        if "optimizer" not in self.parts:
            return super().update(batch, plan, draws)
        job = self.job
        job.optimizer.zero_grad()
        made = backward(job.model, job.objective, batch, plan, draws, target=job.target)
        if job.gradient_clip is not None:
            _clip(self.parameters, job.gradient_clip)
        _step(job.optimizer)
        return made


def _with_fused_layers(model: nn.Module) -> Seq2Seq:
    """A model with other recurrent layers, which shares everything else with the given one: what a callback changes
    there, such as a dropout, takes effect here."""
    assert isinstance(model, Seq2Seq)
    encoder, decoder = _copy(model.encoder), _copy(model.decoder)
    encoder.rnn, decoder.rnn = FusedRNN(model.encoder.rnn), FusedRNN(model.decoder.rnn)
    fused = _copy(model)
    fused.encoder, fused.decoder = encoder, decoder
    return fused


def _copy(module: _Module) -> _Module:
    """A copy of a module with the same parts; one of them can be replaced."""
    made = copy.copy(module)
    made._modules = dict(module._modules)
    return made


@contextmanager
def _young_garbage_only() -> Iterator[None]:
    """Leave the automatic garbage collection, which goes through all objects of the process again and again: a tenth of
    an update."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _clip(parameters: Sequence[nn.Parameter], limit: float) -> None:
    """As `clip_grad_norm_`, which multiplies the gradients even where that is by 1."""
    norm = nn.utils.get_total_norm([each.grad for each in parameters if each.grad is not None])
    if not limit / (float(norm) + 1e-6) >= 1:  # NaN, too
        nn.utils.clip_grads_with_norm_(parameters, limit, norm)


def _step(optimizer: Optimizer) -> None:
    """One step in one kernel where it can be; the setting is not left in the optimizer, whose state is saved."""
    before = [group["fused"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["fused"] = _can_be_fused(optimizer, group)
    try:
        optimizer.step()
    finally:
        for group, fused in zip(optimizer.param_groups, before, strict=True):
            group["fused"] = fused


def _can_be_fused(optimizer: Optimizer, group: Mapping[str, Any]) -> bool:
    """Whether the gradients are dense, and with momentum all of them the first ones or none."""
    stepped = [each for each in group["params"] if each.grad is not None]
    if any(each.grad.is_sparse for each in stepped):
        return False
    if not group.get("momentum"):
        return True
    return len({optimizer.state[each].get("momentum_buffer") is not None for each in stepped}) < 2
