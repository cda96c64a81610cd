"""Batches: the tensors of each update, in an order that depends on the seed."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seq2seq_lab.data.corpus import Corpus
from seq2seq_lab.data.vocabulary import Ragged


def row_lengths(words: Tensor, lengths: Tensor | None) -> Tensor:
    """The lengths of rows [B, T], [B]: T each where none are given, as no row is padded."""
    return torch.full_like(words[:, 0], words.shape[1]) if lengths is None else lengths


class Batch(NamedTuple):
    """The pairs of one update.

    Attributes:
        source: ids [B, S].
        source_lengths: [B]; None if no source is padded.
        target: the ids to predict [B, T].
        target_lengths: [B]; None if no target is padded.
        rows: the rows of its pairs in the block.
    """

    source: Tensor
    source_lengths: Tensor | None
    target: Tensor
    target_lengths: Tensor | None
    rows: slice

    @property
    def lengths(self) -> Tensor:
        """The lengths of the targets, [B], also where none is padded."""
        return row_lengths(self.target, self.target_lengths)


class Shape(NamedTuple):
    """The rows of a batch in its block, and the minimum and maximum lengths of its sources and targets."""

    rows: slice
    source: tuple[int, int]
    target: tuple[int, int]


class Block:
    """The batches of consecutive updates, which are made in one Lightning step.

    Lightning's loop takes almost a millisecond per step, as much as half an update on one sentence. With many updates
    per step, this time is spent only once. The updates and their order are the same.

    Args:
        indices: indices of the N pairs in the corpus, [N].
        source, source_lengths, target, target_lengths: padded ids [N, S] or [N, T], and lengths [N].
        shapes: the batches.
        first_update: number of the block's first update in its epoch, counted from 0.
        updates: number of updates in the epoch.
    """

    # Not a dataclass: Lightning would convert the fields of a dataclass to the precision of the trainer.
    def __init__(
        self,
        indices: NDArray[np.int64],
        source: Tensor,
        source_lengths: Tensor,
        target: Tensor,
        target_lengths: Tensor,
        shapes: list[Shape],
        first_update: int = 0,
        updates: int = 1,
    ) -> None:
        self.indices = indices
        self.source = source
        self.source_lengths = source_lengths
        self.target = target
        self.target_lengths = target_lengths
        self.shapes = shapes
        self.first_update = first_update
        self.updates = updates

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[Batch]:
        for rows, (shortest_source, source), (shortest_target, target) in self.shapes:
            yield Batch(
                self.source[rows, :source],
                None if shortest_source == source else self.source_lengths[rows],
                self.target[rows, :target],
                None if shortest_target == target else self.target_lengths[rows],
                rows,
            )

    def split(self) -> Iterator["Block"]:
        """A block for each of its batches, which is cut to the batch's longest source and target."""
        for number, shape in enumerate(self.shapes):
            rows, (_, source), (_, target) = shape
            yield Block(
                self.indices[rows],
                self.source[rows, :source],
                self.source_lengths[rows],
                self.target[rows, :target],
                self.target_lengths[rows],
                [shape._replace(rows=slice(0, rows.stop - rows.start))],
                self.first_update + number,
                self.updates,
            )

    def to(self, device: torch.device) -> "Block":
        """The block with its tensors on `device`."""
        tensors = (self.source, self.source_lengths, self.target, self.target_lengths)
        source, source_lengths, target, target_lengths = (t.to(device, non_blocking=True) for t in tensors)
        return Block(
            self.indices,
            source,
            source_lengths,
            target,
            target_lengths,
            self.shapes,
            self.first_update,
            self.updates,
        )

    @property
    def update_numbers(self) -> Tensor:
        """For each pair, the number of its update in the epoch, [N]."""
        numbers = torch.empty(len(self), dtype=torch.int64)
        for number, shape in enumerate(self.shapes, self.first_update):
            numbers[shape.rows] = number
        return numbers


def _padded(ragged: Ragged, rows: NDArray[np.int64]) -> tuple[Tensor, NDArray[np.int64]]:
    """The rows as a matrix [N, longest], padded with zeros, and their lengths [N]."""
    starts = ragged.offsets[rows]
    lengths = ragged.offsets[rows + 1] - starts
    columns = np.arange(lengths.max())
    inside = columns < lengths[:, None]
    positions = np.where(inside, starts[:, None] + columns, 0)
    return torch.from_numpy(np.where(inside, ragged.values[positions], 0).astype(np.int64)), lengths


class BlockLoader:
    """Iterates over blocks. Each iteration is one epoch, in an order that depends only on (seed, epoch).

    It needs no sampler. Its `state_dict` is saved and restored, so that a resumed run continues with the next pair.

    Args:
        corpus: where the pairs are.
        indices: which of them, [N].
        batch_size: pairs an update.
        updates_per_block: updates a block.
        predict_sos: the seminar's quirk B: `<sos>` is the first word to predict, not only the first one fed.
        shuffle: draw a new order each epoch; else the order of `indices`.
        bucketing: shuffled batches are of pairs of like lengths, which saves padding.
        seed: of the order.
        freeze_order: every epoch has the order of the first one.
        limit: after what number (int) or share (float) of its updates an epoch ends. The length is without it, as
            Lightning, whose limit it is, takes the share of that.
    """

    def __init__(
        self,
        corpus: Corpus,
        indices: NDArray[np.int64],
        *,
        batch_size: int,
        updates_per_block: int = 1,
        predict_sos: bool = False,
        shuffle: bool = False,
        bucketing: bool = True,
        seed: int = 0,
        freeze_order: bool = False,
        limit: int | float = 1.0,
    ) -> None:
        self.corpus = corpus
        self.target = corpus.to_predict(predict_sos=predict_sos)
        self.indices = indices
        self.batch_size = batch_size
        self.updates_per_block = updates_per_block
        self.shuffle = shuffle
        self.bucketing = bucketing
        self.seed = seed
        self.freeze_order = freeze_order
        self.limit = limit
        self.epoch = 0
        self.blocks_done = 0
        self._resumed = False

    def __len__(self) -> int:
        return -(-self._most_updates // self.updates_per_block)

    @property
    def updates(self) -> int:
        """Updates of an epoch, of those that Lightning does not leave out."""
        most = self._most_updates
        return min(self.limit, most) if isinstance(self.limit, int) else int(self.limit * most)

    @property
    def _blocks(self) -> int:
        """Blocks of an epoch, of those that Lightning does not leave out."""
        return -(-self.updates // self.updates_per_block)

    @property
    def _most_updates(self) -> int:
        return -(-len(self.indices) // self.batch_size)

    def __iter__(self) -> Iterator[Block]:
        if self.blocks_done and not self._resumed:  # the previous epoch was not completed
            self.epoch, self.blocks_done = self.epoch + 1, 0
        self._resumed = False
        batches = self._batches()
        for done in range(self.blocks_done, self._blocks):
            self.blocks_done = done + 1
            if self.blocks_done == self._blocks:
                self.epoch, self.blocks_done = self.epoch + 1, 0
            first = done * self.updates_per_block
            yield self._block(batches[first : first + self.updates_per_block], first)

    def state_dict(self) -> dict[str, int]:
        """The epoch and the number of completed blocks."""
        return {"epoch": self.epoch, "blocks_done": self.blocks_done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue from `state`."""
        self.epoch, self.blocks_done = state["epoch"], state["blocks_done"]
        if self.blocks_done >= self._blocks:  # of before, when a limit did not end the loader's epoch
            self.epoch, self.blocks_done = self.epoch + 1, 0
        self._resumed = True

    def _batches(self) -> list[NDArray[np.int64]]:
        """The pairs of each update of the epoch."""
        if not self.shuffle:
            return self._cut(self.indices)
        generator = np.random.default_rng((self.seed, 0 if self.freeze_order else self.epoch))
        order = generator.permutation(self.indices)
        if self.batch_size == 1 or not self.bucketing:
            return self._cut(order)
        # Pairs that fill no batch are drawn anew in each epoch, before the sort, and are anywhere in it: otherwise the
        # same longest pairs would be the last update of every epoch.
        rest, order = np.split(order, [len(order) % self.batch_size])
        # The sort is stable and the order is shuffled, so pairs of equal length are in new batches in each epoch.
        order = order[np.lexsort((self.corpus.source.lengths[order], self.target.lengths[order]))]
        batches = self._cut(order) + ([rest] if len(rest) else [])
        return [batches[number] for number in generator.permutation(len(batches))]

    def _cut(self, order: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Batches of consecutive pairs; the last one may be smaller."""
        return [order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)]

    def _block(self, batches: Sequence[NDArray[np.int64]], first_update: int) -> Block:
        indices = np.concatenate(batches)
        source, source_lengths = _padded(self.corpus.source, indices)
        target, target_lengths = _padded(self.target, indices)
        bounds = np.cumsum([0, *map(len, batches)])
        starts = bounds[:-1]
        limits = [
            zip(
                np.minimum.reduceat(lengths, starts).tolist(),
                np.maximum.reduceat(lengths, starts).tolist(),
                strict=True,
            )
            for lengths in (source_lengths, target_lengths)
        ]
        rows = (slice(start, end) for start, end in pairwise(bounds.tolist()))
        shapes = [Shape(*shape) for shape in zip(rows, *limits, strict=True)]
        return Block(
            indices,
            source,
            torch.from_numpy(source_lengths),
            target,
            torch.from_numpy(target_lengths),
            shapes,
            first_update=first_update,
            updates=self.updates,
        )
