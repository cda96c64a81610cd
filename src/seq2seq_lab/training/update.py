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


class EagerUpdates:
    """The updates of a block, one after the other, by `update`.

    Args:
        model, optimizer, objective, gradient_clip: see `update`.
    """

    def __init__(
        self,
        model: Seq2Seq,
        optimizer: Optimizer,
        objective: Objective,
        *,
        gradient_clip: float | None = None,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.objective = objective
        self.gradient_clip = gradient_clip

    def __call__(self, block: Block, plan: Plan, draws: Draws) -> Made:
        """Make the updates of the block's N pairs."""
        made = [
            update(
                self.model,
                self.optimizer,
                self.objective,
                batch,
                plan.rows(batch.rows, batch.target.shape[1]),
                draws[batch.rows],
                gradient_clip=self.gradient_clip,
            )
            for batch in block
        ]
        losses, shares = zip(*made, strict=True)
        return Made(torch.cat(losses), torch.cat(shares))
