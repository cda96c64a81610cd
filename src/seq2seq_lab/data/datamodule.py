"""The data module: splits a corpus and makes batches for Lightning."""

from typing import Any, Protocol

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray

from seq2seq_lab.data.batches import Block, BlockLoader
from seq2seq_lab.data.corpus import Corpus
from seq2seq_lab.data.splits import Splitting, has_unknown, holds_out_validation, parts_of
from seq2seq_lab.errors import UserError

EVALUATION_BATCH = 128  # results do not depend on it


class Recipe(Protocol):
    """Anything with a method that returns a corpus, always the same one."""

    def load(self) -> Corpus:
        """Return the corpus, from the cache if it is there."""
        ...


class TranslationDataModule(pl.LightningDataModule):
    """Splits a corpus and returns loaders of blocks of batches.

    Args:
        recipe: returns the corpus.
        split: deals its pairs to the training, validation and test parts, where the corpus does not give them itself.
            The vocabularies and the maximum length of a hypothesis are those of the training part.
        batch_size: pairs per update.
        updates_per_block: updates in one Lightning step.
        shuffle: a new order for each epoch, which depends on `seed`; if false, file order.
        bucketing: put pairs of similar lengths into one batch if shuffled.
        predict_sos: the seminar's quirk B; see `BlockLoader`.
        seed: seed of the order.

    Raises:
        UserError: a value is out of its range, or one part of the split would be empty.
    """

    def __init__(
        self,
        *,
        recipe: Recipe,
        split: Splitting,
        batch_size: int = 1,
        updates_per_block: int = 128,
        shuffle: bool = True,
        bucketing: bool = True,
        predict_sos: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        for name, value in (("batch_size", batch_size), ("updates_per_block", updates_per_block)):
            if value < 1:
                raise UserError(f"loader.{name}: {value} is less than 1")
        self.recipe = recipe
        self.split = split
        self.batch_size = batch_size
        self.updates_per_block = updates_per_block
        self.shuffle = shuffle
        self.bucketing = bucketing
        self.predict_sos = predict_sos
        self.seed = seed
        self._training_loader: BlockLoader | None = None
        self._loaded: dict[str, Any] = {}

    def prepare_data(self) -> None:
        """Fill the cache; called in one process only."""
        if not hasattr(self, "corpus"):
            self.recipe.load()

    def setup(self, stage: str | None = None) -> None:
        """Load and split the corpus; a second call does nothing."""
        if hasattr(self, "corpus"):
            return
        corpus = self.recipe.load()
        if not isinstance(corpus, Corpus):
            raise UserError(f"data: load() must give a Corpus, not {type(corpus).__name__}")
        self.parts = parts_of(corpus, self.split)
        self.holds_out = holds_out_validation(corpus, self.split)
        self.corpus = corpus.numbered(self.parts.train, unknown=has_unknown(corpus, self.split))

    @property
    def training(self) -> NDArray[np.int64]:
        """Indices of the training pairs."""
        return self.parts.train

    @property
    def evaluation(self) -> NDArray[np.int64]:
        """Indices of the pairs that are evaluated in training."""
        return self.parts.validation

    @property
    def test(self) -> NDArray[np.int64]:
        """Indices of the pairs that the final results are for."""
        return self.parts.test

    @property
    def evaluated(self) -> str:
        """The prefix of the evaluated pairs in metric names: `val`, or `train` if none are held out."""
        return "val" if self.holds_out else "train"

    @property
    def max_length(self) -> int:
        """Maximum number of positions of a hypothesis: the length of the longest training target."""
        return int(self.target_lengths[self.training].max())

    @property
    def target_lengths(self) -> NDArray[np.int64]:
        """The number of target positions of each pair of the corpus."""
        return self.corpus.to_predict(predict_sos=self.predict_sos).lengths

    @property
    def loss_floor(self) -> float:
        """The lowest training loss that a model can reach on the training pairs; see `Corpus.loss_floor`."""
        return self.corpus.loss_floor(self.training, predict_sos=self.predict_sos)

    def references(self, indices: NDArray[np.int64]) -> list[list[str]]:
        """For each pair, all known distinct translations of its source; its own target is the first one."""
        return self.corpus.references(indices)

    def segments(self, indices: NDArray[np.int64], counted: str) -> list[int] | None:
        """For each pair the number of its segment: that of its source, or None where each `pair` is counted."""
        return self.corpus.source_groups()[indices].tolist() if counted == "source" else None

    def train_dataloader(self) -> BlockLoader:
        """Blocks of the training pairs; in a resumed run, from the block where it was stopped."""
        self._training_loader = BlockLoader(
            self.corpus,
            self.training,
            batch_size=self.batch_size,
            updates_per_block=self.updates_per_block,
            predict_sos=self.predict_sos,
            shuffle=self.shuffle,
            bucketing=self.bucketing,
            seed=self.seed,
            # Lightning freezes the order of its own loaders only.
            freeze_order=getattr(self.trainer, "overfit_batches", 0) > 0,
            limit=getattr(self.trainer, "limit_train_batches", 1.0),
        )
        if self._loaded:
            self._training_loader.load_state_dict(self._loaded)
        return self._training_loader

    def state_dict(self) -> dict[str, Any]:
        """The state of the training loader.

        Lightning also saves a loader's state, but restores it only in the middle of an epoch: a run that is resumed at
        the end of an epoch would use the order of the first epoch again.
        """
        return self._training_loader.state_dict() if self._training_loader else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Store the state for the next training loader."""
        self._loaded = state_dict

    def val_dataloader(self) -> BlockLoader:
        """Blocks of the validation pairs in file order, with one batch per block."""
        return self.evaluation_loader(self.parts.validation)

    def test_dataloader(self) -> BlockLoader:
        """Blocks of the test pairs in file order, with one batch per block."""
        return self.evaluation_loader(self.parts.test)

    def evaluation_loader(self, indices: NDArray[np.int64]) -> BlockLoader:
        """Blocks of the given pairs, with one batch per block."""
        return BlockLoader(self.corpus, indices, batch_size=EVALUATION_BATCH, predict_sos=self.predict_sos)

    def transfer_batch_to_device(self, batch: Block, device: torch.device, dataloader_idx: int) -> Block:
        """Move a block to a device; its batches are views of its tensors."""
        return batch if device.type == "cpu" else batch.to(device)

    def block(self, indices: NDArray[np.int64]) -> Block:
        """The given pairs as one block with one batch."""
        return next(
            iter(BlockLoader(self.corpus, indices, batch_size=len(indices), predict_sos=self.predict_sos))
        )
