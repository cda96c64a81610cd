"""One update in plain PyTorch. It is the reference: every accelerator must give the same numbers."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from seq2seq_lab.data.batches import Batch, Block
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.forcing.passes import follow
from seq2seq_lab.forcing.plan import Plan, mean_over_words
from seq2seq_lab.models.interface import Model
from seq2seq_lab.models.likelihood import sentence_losses
from seq2seq_lab.training.objectives.base import Objective, Outcome


class Made(NamedTuple):
    """Results of the updates on N pairs.

    Attributes:
        losses: negative log-likelihood of each target before its own update, summed over positions, [N].
        forced_share: share of the target positions of each pair where the decoder was fed the gold word, [N], on the
            CPU.
    """

    losses: Tensor
    forced_share: Tensor


def update(
    model: Model,
    optimizer: Optimizer,
    objective: Objective,
    batch: Batch,
    plan: Plan,
    draws: Draws,
    *,
    gradient_clip: float | None = None,
) -> Made:
    """One optimizer step on the B pairs of one batch.

    Args:
        model: in training mode.
        optimizer: optimizer of its parameters.
        objective: computes the loss of each pair; the gradient is that of the mean loss.
        batch: the pairs.
        plan: what the decoder is fed at each position; on the CPU.
        draws: random numbers of the pairs, on the model's device.
        gradient_clip: maximum norm of the gradient; None: no clipping.
    """
    optimizer.zero_grad()
    made = backward(model, objective, batch, plan, draws)
    step(model, optimizer, gradient_clip)
    return made


def backward(
    model: Model, objective: Objective, batch: Batch, plan: Plan, draws: Draws, *, of: int | None = None
) -> Made:
    """Add the gradient of the loss of B pairs to the parameters: the sum over the pairs, divided by `of`.

    Args:
        of: pairs of the update, if these are only some of them; None: these are all, and the gradient is that of the
            mean.
    """
    followed = follow(
        model,
        batch.source,
        batch.target,
        plan,
        source_lengths=batch.source_lengths,
        target_lengths=batch.target_lengths,
        draws=draws,
    )
    losses = sentence_losses(followed.decoded.logits, batch.target, batch.target_lengths)
    minimised = objective(Outcome(model, batch, followed.decoded, losses, draws))
    if followed.first is not None:
        of_first = sentence_losses(followed.first.logits, batch.target, batch.target_lengths)
        minimised = minimised + plan.first_pass * objective(
            Outcome(model, batch, followed.first, of_first, draws)
        )
    loss = minimised.mean() if of is None else minimised.sum() / of
    loss.backward()  # type: ignore[no-untyped-call]
    lengths = batch.target_lengths
    if lengths is None:
        lengths = torch.full((len(batch.target),), batch.target.shape[1])
    return Made(losses.detach(), mean_over_words(followed.gold, lengths.cpu()))


def step(model: Model, optimizer: Optimizer, gradient_clip: float | None) -> None:
    """Clip the gradient, and make the optimizer's step."""
    if gradient_clip is not None:
        nn.utils.clip_grad_norm_(model.parameters(), gradient_clip)
    optimizer.step()


class Job(NamedTuple):
    """A training job: what is trained, and how.

    Attributes:
        model: on its device.
        optimizer: of its parameters.
        objective: what is minimised.
        gradient_clip: limit of the gradient's norm; None does not clip.
        batch_size: pairs an update.
        plan: of a pair, for what the policy feeds; another pair's may still be of another kind.
    """

    model: Model
    optimizer: Optimizer
    objective: Objective
    gradient_clip: float | None
    batch_size: int
    plan: Plan

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        return next(self.model.parameters()).device


class EagerUpdates:
    """Makes the updates of a block one after the other, with `update`.

    Args:
        job: the training job.
    """

    def __init__(self, job: Job) -> None:
        self.job = job

    def __call__(self, block: Block, plan: Plan, draws: Draws) -> Made:
        """Make the updates of the block's N pairs."""
        job = self.job
        made = [
            update(
                job.model,
                job.optimizer,
                job.objective,
                batch,
                plan.rows(batch.rows, batch.target.shape[1]),
                draws[batch.rows],
                gradient_clip=job.gradient_clip,
            )
            for batch in block
        ]
        losses, shares = zip(*made, strict=True)
        return Made(torch.cat(losses), torch.cat(shares))
