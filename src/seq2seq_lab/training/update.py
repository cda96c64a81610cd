"""One update in plain PyTorch: the meaning of training. Whatever is faster gives the same numbers."""

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from seq2seq_lab.data.batches import Batch, Block
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.forcing.passes import follow
from seq2seq_lab.forcing.plan import Plan
from seq2seq_lab.models.likelihood import sentence_losses
from seq2seq_lab.models.seq2seq import Seq2Seq


def update(
    model: Seq2Seq,
    optimizer: Optimizer,
    batch: Batch,
    plan: Plan,
    draws: Draws,
    *,
    gradient_clip: float | None = None,
) -> Tensor:
    """One optimizer step on one batch; returns its pairs' losses, summed over target positions, [B].

    Args:
        model: in training mode.
        optimizer: of its parameters.
        batch: the pairs.
        plan: what they are fed; on the CPU.
        draws: their random numbers, on the model's device.
        gradient_clip: limit of the gradient's norm; None does not clip.
    """
    optimizer.zero_grad()
    decoded = follow(
        model, batch.source, batch.target, plan, source_lengths=batch.source_lengths, draws=draws
    )
    losses = sentence_losses(decoded.logits, batch.target, batch.target_lengths)
    losses.mean().backward()  # type: ignore[no-untyped-call]
    if gradient_clip is not None:
        nn.utils.clip_grad_norm_(model.parameters(), gradient_clip)
    optimizer.step()
    return losses.detach()


class EagerUpdates:
    """The updates of a block, one after the other, by `update`.

    Args:
        model, optimizer, gradient_clip: see `update`.
    """

    def __init__(self, model: Seq2Seq, optimizer: Optimizer, *, gradient_clip: float | None = None) -> None:
        self.model = model
        self.optimizer = optimizer
        self.gradient_clip = gradient_clip

    def __call__(self, block: Block, plan: Plan, draws: Draws) -> Tensor:
        """The losses of the block's N pairs, each before its own update, summed over target positions: [N]."""
        losses = []
        for batch in block:
            of_batch = plan.rows(batch.rows, batch.target.shape[1]), draws[batch.rows]
            losses.append(
                update(self.model, self.optimizer, batch, *of_batch, gradient_clip=self.gradient_clip)
            )
        return torch.cat(losses)
