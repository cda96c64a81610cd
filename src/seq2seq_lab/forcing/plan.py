"""Which words the decoder is fed while it learns: a policy is a mask.

A policy maps (batch_size, length, progress, generator) to a boolean mask [B, T] on the CPU, True where the decoder
is fed the gold word of the step before and False where it is fed its own. Position 0, which is always fed `<sos>`,
counts as forced or not like the rest of its sentence. A model knows nothing of policies.
"""

from typing import Protocol

import torch
from torch import Generator, Tensor


class ForcingPolicy(Protocol):
    """Anything that draws masks."""

    def __call__(self, batch_size: int, length: int, progress: float, generator: Generator) -> Tensor:
        """A mask [B, T].

        Args:
            batch_size: B.
            length: T.
            progress: the share of training that is done, in [0, 1).
            generator: the only source of randomness that a policy may use.
        """
        ...


class FullForcing:
    """Teacher forcing (Williams & Zipser 1989): the decoder is always fed the gold word."""

    def __call__(self, batch_size: int, length: int, progress: float, generator: Generator) -> Tensor:
        return torch.ones(batch_size, length, dtype=torch.bool)


class MixedForcing:
    """One coin a sentence: forced throughout with probability `ratio`, else free-running throughout.

    This is the rule of the PyTorch tutorial and of the seminar. It is not scheduled sampling, which tosses a coin
    for every word (Bengio et al. 2015, https://arxiv.org/abs/1506.03099).

    Args:
        ratio: the teacher-forcing ratio, in [0, 1].

    Raises:
        ValueError: `ratio` is not in [0, 1].
    """

    def __init__(self, *, ratio: float) -> None:
        if not 0 <= ratio <= 1:
            raise ValueError(f"ratio must lie in [0, 1], got {ratio}")
        self.ratio = ratio

    def __call__(self, batch_size: int, length: int, progress: float, generator: Generator) -> Tensor:
        heads = torch.rand(batch_size, generator=generator) < self.ratio
        return heads.unsqueeze(1).expand(batch_size, length)
