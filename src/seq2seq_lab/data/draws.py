"""Random numbers that belong to a pair: a function of (seed, purpose, epoch, pair, position), not of a stream.

So the numbers of a pair do not depend on its batch, its block, the order, a resume or other pairs, and no state has to
be saved.
"""

import hashlib
from functools import cache, lru_cache

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)  # 2⁶⁴ divided by the golden ratio, as a signed number
_FIRST, _SECOND = 0xBF58476D1CE4E5B9 - (1 << 64), 0x94D049BB133111EB - (1 << 64)
BITS = 23  # bits of a uniform number; with the added half, it is exact in single precision


class Draws:
    """Uniform numbers for each of N pairs.

    SplitMix64 (Steele et al. 2014, https://doi.org/10.1145/2660193.2660195) with one key per pair: the i-th
    number is a hash of key + i · 2⁶⁴/φ.

    Args:
        seed: seed of the run.
        epoch: counted from 0.
        pairs: the index of each pair in the corpus, [N]; the numbers are computed on its device.
        passes: passes over the target that were drawn for before; each has numbers of its own.
    """

    def __init__(self, seed: int, epoch: int, pairs: Tensor, passes: int = 0) -> None:
        self.seed = seed
        self.epoch = epoch
        self.pairs = pairs
        self.passes = passes

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, rows: slice | Tensor) -> "Draws":
        """The draws of some of the pairs."""
        return type(self)(self.seed, self.epoch, self.pairs[rows], self.passes)

    def of_pass(self, number: int) -> "Draws":
        """The draws of the same pairs for pass `number` over their targets; those of pass 0 are the pair's own."""
        return type(self)(self.seed, self.epoch, self.pairs, number)

    def to(self, device: torch.device) -> "Draws":
        """The same draws, computed on `device`."""
        return type(self)(self.seed, self.epoch, self.pairs.to(device), self.passes)

    def uniform(self, purpose: str, *sizes: int, first: int = 0) -> Tensor:
        """Numbers in (0, 1), float32 [N, *sizes].

        A number depends only on its indices, not on the sizes: a longer sequence begins with the same numbers.

        Args:
            purpose: name of their use; other purposes have other numbers.
            sizes: at most two: positions, and numbers per position.
            first: the position of the first number.
        """
        keys = _mix(self.pairs + self._base(purpose))
        for axis, size in enumerate(sizes):
            start = first if axis == 0 else 0
            counter = torch.arange(start + 1, start + size + 1, device=keys.device)
            keys = _mix(keys.unsqueeze(-1) + counter * _GOLDEN)
        return (_shift(keys, 64 - BITS).float() + 0.5) * 2.0**-BITS

    def kept(self, purpose: str, p: float, positions: int, size: int, first: int = 0) -> Tensor:
        """Factors of dropout, float32 [N, positions, size]: 0 with probability `p`, else 1 / (1 − p)."""
        return (self.uniform(purpose, positions, size, first=first) >= p) / (1 - p)

    def _base(self, purpose: str) -> int:
        """What the numbers of all pairs have in common: a signed number of 64 bits."""
        if self.passes:
            purpose = f"{purpose}/pass {self.passes}"
        return _base(self.seed, purpose, self.epoch)


@lru_cache(maxsize=4096)
def _base(seed: int, purpose: str, epoch: int) -> int:
    return _mix_number(_key(seed, purpose) + epoch * _GOLDEN)


@cache
def _key(seed: int, purpose: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{purpose}".encode()).digest()[:8], "big", signed=True)


def _mix_number(number: int) -> int:
    return int(_mix(torch.tensor([(number + (1 << 63)) % (1 << 64) - (1 << 63)])))


def _mix(x: Tensor) -> Tensor:
    """SplitMix64's hash of 64-bit numbers; products wrap around."""
    x = (x ^ _shift(x, 30)) * _FIRST
    x = (x ^ _shift(x, 27)) * _SECOND
    return x ^ _shift(x, 31)


def _shift(x: Tensor, bits: int) -> Tensor:
    """A logical right shift; PyTorch's own keeps the sign."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)
