"""The negative log-likelihood of targets."""

import torch
from torch import Tensor, nn


def sentence_losses(logits: Tensor, target: Tensor, target_lengths: Tensor | None) -> Tensor:
    """Each pair's negative log-likelihood, summed over its target positions: [B].

    logits [B, T, V]; target [B, T]; target_lengths [B], or None if no target is padded.
    """
    return sum_of_first(position_losses(logits, target), target_lengths)


def position_losses(logits: Tensor, target: Tensor) -> Tensor:
    """The negative log-likelihood of each target position, [B, T], from logits [B, T, V] and target [B, T]."""
    # As one matrix: over the last dimension log-softmax is several times faster than over another one.
    losses = nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none")
    return losses.view_as(target)


def sum_of_first(losses: Tensor, lengths: Tensor | None) -> Tensor:
    """The sum over the first positions of each row, [B], from losses [B, T] and lengths [B]; None: over all."""
    if lengths is not None:
        outside = torch.arange(losses.shape[1], device=losses.device) >= lengths.unsqueeze(1)
        losses = losses.masked_fill(outside, 0.0)  # a loss of padding may be infinite
    return losses.sum(dim=1)
