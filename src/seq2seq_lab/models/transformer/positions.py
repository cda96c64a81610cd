"""Sinusoidal positions."""

import math
from functools import lru_cache

import torch
from torch import Tensor


def sinusoids(first: int, count: int, like: Tensor) -> Tensor:
    """The vectors of `count` positions from number `first` on, [count, H], for inputs like `like` [B, T, H].

    sin(p / 10000^(2i/H)) at the even places 2i, and the cosine at the odd places after them (Vaswani et al. 2017,
    https://arxiv.org/abs/1706.03762, section 3.5). They are computed, not stored in the model: there is no longest
    sentence.
    """
    # Their dozen calls are 5 % of a step of decoding. Of an exported model, the numbers of positions are symbols.
    compute = _computed if torch.compiler.is_exporting() else _kept
    return compute(first, count, like.shape[2], like.dtype, like.device)


def _computed(first: int, count: int, size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    places = torch.arange(0, size, 2, device=device)
    rates = torch.exp(places.to(dtype) * (-math.log(10000.0) / size))
    angles = torch.arange(first, first + count, device=device).to(dtype).unsqueeze(1) * rates
    return torch.stack((angles.sin(), angles.cos()), dim=2).flatten(1)[:, :size]


_kept = lru_cache(maxsize=256)(_computed)
