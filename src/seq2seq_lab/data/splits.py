"""Splits of a corpus into training pairs and evaluated pairs."""

import numpy as np
from numpy.typing import NDArray

from seq2seq_lab.data.corpus import Corpus
from seq2seq_lab.errors import UserError

Split = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Indices of the training pairs and of the evaluated pairs, each in ascending order."""


def split_by_source(corpus: Corpus, share: float, seed: int) -> Split:
    """Hold out distinct sources at random, each with all its translations.

    No source is both trained on and evaluated. The same arguments always give the same split.

    Args:
        corpus: the pairs.
        share: share of the distinct sources to hold out, in [0, 1). 0 holds out nothing: all pairs are trained on,
            and all pairs are evaluated (the seminar's quirk C).
        seed: seed of the choice; a whole number, at least 0.

    Raises:
        UserError: an argument is out of its range, or one of the two parts would be empty.
    """
    check_held_out(share, seed)
    everything = np.arange(len(corpus))
    if not share:
        return everything, everything
    group = corpus.source_groups()
    groups = int(group.max()) + 1
    chosen = np.random.default_rng(seed).permutation(groups)[: round(share * groups)]
    held_out = np.isin(group, chosen)
    if held_out.all() or not held_out.any():
        raise UserError(
            f"loader.held_out: {share} of {groups} distinct sources leaves nothing to "
            f"{'train' if held_out.all() else 'evaluate'} on; use another share, or 0 to train on everything"
        )
    return everything[~held_out], everything[held_out]


def check_held_out(share: float, seed: int) -> None:
    """Check the range of both settings before the corpus is loaded.

    Raises:
        UserError: one of them is out of its range.
    """
    if not 0 <= share < 1:
        raise UserError(f"loader.held_out: {share} is not a share in [0, 1)")
    if seed < 0:
        raise UserError(f"loader.held_out_seed: {seed} is less than 0")
