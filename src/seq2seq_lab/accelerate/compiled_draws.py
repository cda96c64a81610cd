"""The same random numbers as `Draws`, bit for bit, in one compiled pass."""

import math
from functools import cache

import numpy as np
import torch
from torch import Tensor

from seq2seq_lab.accelerate.compiler import batch_kernels
from seq2seq_lab.data.draws import BITS, Draws


class CompiledDraws(Draws):
    """Draws on a CPU whose numbers of positions are compiled."""

    @classmethod
    def of(cls, draws: Draws) -> Draws:
        """The same draws; those of another class as they are."""
        known = type(draws) is Draws
        return cls(draws.seed, draws.epoch, draws.pairs, draws.passes) if known else draws

    def uniform(self, purpose: str, *sizes: int, first: int = 0) -> Tensor:
        if len(sizes) != 2:  # few numbers
            return super().uniform(purpose, *sizes, first=first)
        return self._drawn(purpose, *sizes, first, 0, 0.0)

    def kept(self, purpose: str, p: float, positions: int, size: int, first: int = 0) -> Tensor:
        # In a run of double precision the plain factors are of that precision, and the kernel's would not be.
        if torch.get_default_dtype() != torch.float32:
            return super().kept(purpose, p, positions, size, first)
        least, scale = _kept_from(p)
        return self._drawn(purpose, positions, size, first, least, scale)

    def _drawn(self, purpose: str, positions: int, size: int, first: int, least: int, scale: float) -> Tensor:
        out = torch.empty(len(self.pairs), positions, size, dtype=torch.float32)
        batch_kernels().draw(
            self.pairs.numpy().view(np.uint64),
            np.uint64(self._base(purpose) % (1 << 64)),
            first,
            np.uint64(least),
            np.float32(scale),
            out.numpy(),
        )
        return out


@cache
def _kept_from(p: float) -> tuple[int, float]:
    """The least hash of a value that is kept, and its factor: (k + 1/2) / 2^BITS is at least p from some k on."""
    least = math.ceil(float(np.float32(p)) * 2**BITS - 0.5)
    return least << (64 - BITS), float(torch.ones(1, dtype=torch.bool) / (1 - p))
