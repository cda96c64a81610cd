"""The negative log-likelihood of targets."""

import torch
from torch import Tensor, nn


def sentence_losses(logits: Tensor, target: Tensor, target_lengths: Tensor | None) -> Tensor:
    """Each pair's negative log-likelihood, summed over its target positions: [B].

    logits [B, T, V]; target [B, T]; target_lengths [B], or None if no target is padded.
    """
    # As one matrix: over the last dimension log-softmax is several times faster than over another one.
    losses = nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none").view_as(
        target
    )
    if target_lengths is not None:
        inside = torch.arange(target.shape[1], device=target.device) < target_lengths.unsqueeze(1)
        losses = losses * inside
    return losses.sum(dim=1)
