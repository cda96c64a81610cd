"""The negative log-likelihood of targets."""

import torch
from torch import Tensor, nn


def sentence_losses(logits: Tensor, target: Tensor, target_lengths: Tensor | None) -> Tensor:
    """Each pair's negative log-likelihood, summed over its target positions: [B].

    logits [B, T, V]; target [B, T]; target_lengths [B], or None if no target is padded.
    """
    losses = nn.functional.cross_entropy(logits.transpose(1, 2), target, reduction="none")
    if target_lengths is not None:
        inside = torch.arange(target.shape[1], device=target.device) < target_lengths.unsqueeze(1)
        losses = losses * inside
    return losses.sum(dim=1)
