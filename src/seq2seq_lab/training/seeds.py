"""A separate seed for each use of random numbers."""

import hashlib
import random

import numpy as np
import torch


def owner_seed(seed: int, owner: str) -> int:
    """The seed for one use of random numbers, independent of the others."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{owner}".encode()).digest()[:6], "big")


def seed_generators(seed: int) -> None:
    """Seed the global generators of PyTorch, Python and NumPy, for initial weights and for the user's own code."""
    torch.manual_seed(owner_seed(seed, "weights"))
    random.seed(owner_seed(seed, "python"))
    np.random.seed(owner_seed(seed, "numpy") % 2**32)
