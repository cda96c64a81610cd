"""One update in plain PyTorch: the meaning of training. Whatever is faster gives the same numbers."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from seq2seq_lab.data.batches import Batch, Block
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.forcing.passes import follow
from seq2seq_lab.forcing.plan import Plan, mean_of_first
from seq2seq_lab.models.likelihood import sentence_losses
from seq2seq_lab.models.seq2seq import Seq2Seq
from seq2seq_lab.training.objectives.base import Objective, Outcome


class Made(NamedTuple):
    """What updates on N pairs have seen.

    Attributes:
        losses: negative log-likelihood of each target before its own update, summed over positions, [N].
        forced_share: the share of each pair's target positions that was fed the gold word, [N], on the CPU.
    """

    losses: Tensor
    forced_share: Tensor


def update(
    model: Seq2Seq,
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
        optimizer: of its parameters.
        objective: gives the loss of each pair that is minimised; the gradient is that of their mean.
        batch: the pairs.
        plan: what they are fed; on the CPU.
        draws: their random numbers, on the model's device.
        gradient_clip: limit of the gradient's norm; None does not clip.
    """
    optimizer.zero_grad()
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
    objective(Outcome(model, batch, followed.decoded, losses, draws)).mean().backward()  # type: ignore[no-untyped-call]
    if gradient_clip is not None:
        nn.utils.clip_grad_norm_(model.parameters(), gradient_clip)
    optimizer.step()
    lengths = batch.target_lengths
    if lengths is None:
        lengths = torch.full((len(batch.target),), batch.target.shape[1])
    return Made(losses.detach(), mean_of_first(followed.gold, lengths.cpu()))


class Job(NamedTuple):
    """What is to be trained, and how.

    Attributes:
        model: on its device.
        optimizer: of its parameters.
        objective: what is minimised.
        gradient_clip: limit of the gradient's norm; None does not clip.
        batch_size: pairs an update.
        plan: of a pair, for what the policy feeds; another pair's may still be of another kind.
        lr_changes: whether each update has a learning rate of its own.
    """

    model: Seq2Seq
    optimizer: Optimizer
    objective: Objective
    gradient_clip: float | None
    batch_size: int
    plan: Plan
    lr_changes: bool = False

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device


class EagerUpdates:
    """The updates of a block, one after the other, by `update`.

    Args:
        job: what is trained, and how.
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
