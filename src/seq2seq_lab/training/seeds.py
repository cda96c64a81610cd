"""A seed for each owner of random numbers."""

import hashlib
import random

import numpy as np
import torch


def owner_seed(seed: int, owner: str) -> int:
    """A seed for one owner of randomness, unrelated to the others'."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{owner}".encode()).digest()[:6], "big")


def seed_generators(seed: int) -> None:
    """Seed PyTorch's, Python's and NumPy's own generators: initial weights first, then whatever a user's code draws."""
    torch.manual_seed(owner_seed(seed, "weights"))
    random.seed(owner_seed(seed, "python"))
    np.random.seed(owner_seed(seed, "numpy") % 2**32)
