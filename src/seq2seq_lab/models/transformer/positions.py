"""Sinusoidal positions."""

import math

import torch
from torch import Tensor


def sinusoids(first: int, count: int, like: Tensor) -> Tensor:
    """The vectors of `count` positions from number `first` on, [count, H], for inputs like `like` [B, T, H].

    sin(p / 10000^(2i/H)) at the even places 2i, and the cosine at the odd places after them (Vaswani et al. 2017,
    https://arxiv.org/abs/1706.03762, section 3.5). They are computed, not stored: there is no longest sentence.
    """
    size = like.shape[2]
    places = torch.arange(0, size, 2, device=like.device)
    rates = torch.exp(places.to(like.dtype) * (-math.log(10000.0) / size))
    angles = torch.arange(first, first + count, device=like.device).to(like.dtype).unsqueeze(1) * rates
    return torch.stack((angles.sin(), angles.cos()), dim=2).flatten(1)[:, :size]
