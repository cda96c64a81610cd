"""A corpus, split and batched, as Lightning takes it."""

from typing import Any, Protocol

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray

from seq2seq_lab.data.batches import Block, BlockLoader
from seq2seq_lab.data.corpus import Corpus
from seq2seq_lab.data.splits import check_held_out, split_by_source
from seq2seq_lab.errors import UserError

EVALUATION_BATCH = 128  # results do not depend on it


class Recipe(Protocol):
    """Anything that makes a corpus; the same one each time."""

    def load(self) -> Corpus:
        """The corpus, from its cache where it has one."""
        ...


class TranslationDataModule(pl.LightningDataModule):
    """Splits a corpus and serves it in blocks of batches.

    Args:
        recipe: makes the corpus.
        batch_size: pairs an update.
        updates_per_block: updates that one Lightning step makes, one after the other.
        shuffle: a new order each epoch, decided by `seed`; else file order.
        bucketing: shuffled batches hold pairs of like lengths.
        held_out: share of the distinct sources, with all their translations, that is kept from training and
            evaluated. 0 trains on everything (the seminar's quirk C) and evaluates on the training pairs.
        held_out_seed: decides which; not `seed`, so that runs of different seeds are held against the same pairs.
        predict_sos: the seminar's quirk B, explained at `BlockLoader`.
        seed: of the order.

    Raises:
        UserError: a value is out of its range, or the split leaves a part empty.
    """

    def __init__(
        self,
        *,
        recipe: Recipe,
        batch_size: int = 1,
        updates_per_block: int = 128,
        shuffle: bool = True,
        bucketing: bool = True,
        held_out: float = 0.1,
        held_out_seed: int = 0,
        predict_sos: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        for name, value in (("batch_size", batch_size), ("updates_per_block", updates_per_block)):
            if value < 1:
                raise UserError(f"loader.{name}: {value} is less than 1")
        check_held_out(held_out, held_out_seed)
        self.recipe = recipe
        self.batch_size = batch_size
        self.updates_per_block = updates_per_block
        self.shuffle = shuffle
        self.bucketing = bucketing
        self.held_out = held_out
        self.held_out_seed = held_out_seed
        self.predict_sos = predict_sos
        self.seed = seed
        self._training_loader: BlockLoader | None = None
        self._loaded: dict[str, Any] = {}

    def prepare_data(self) -> None:
        """Fill the cache, once for all processes."""
        if not hasattr(self, "corpus"):
            self.recipe.load()

    def setup(self, stage: str | None = None) -> None:
        """Load and split; again does nothing."""
        if hasattr(self, "corpus"):
            return
        self.corpus = self.recipe.load()
        self.training, self.evaluation = split_by_source(self.corpus, self.held_out, self.held_out_seed)

    @property
    def evaluated(self) -> str:
        """What the evaluated pairs are called in metric names: `val`, or `train` where none are held out."""
        return "val" if self.held_out else "train"

    @property
    def max_length(self) -> int:
        """Positions that a hypothesis may have: those of the corpus's longest target."""
        return int(self.corpus.to_predict(predict_sos=self.predict_sos).lengths.max())

    @property
    def loss_floor(self) -> float:
        """The training loss, as this run measures it, of a model that has remembered every training pair."""
        return self.corpus.loss_floor(self.training, predict_sos=self.predict_sos)

    def references(self, indices: NDArray[np.int64]) -> list[list[str]]:
        """For each pair all translations of its source in the corpus, each once, its own first."""
        group = self.corpus.source_groups()
        translations: dict[int, list[str]] = {}
        for index, own in enumerate(group.tolist()):
            translations.setdefault(own, []).append(self.corpus.target_text(index))
        return [
            list(dict.fromkeys([self.corpus.target_text(index), *translations[group[index]]]))
            for index in indices.tolist()
        ]

    def train_dataloader(self) -> BlockLoader:
        """Blocks of the training pairs; of a resumed run, from where it was stopped."""
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
        )
        if self._loaded:
            self._training_loader.load_state_dict(self._loaded)
        return self._training_loader

    def state_dict(self) -> dict[str, Any]:
        """Where the training pairs stand.

        Lightning keeps a loader's state too, but gives it back only in the middle of an epoch: a run that goes on
        from an epoch's end would see the first epoch's order again.
        """
        return self._training_loader.state_dict() if self._training_loader else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep it for the loader that is made next."""
        self._loaded = state_dict

    def val_dataloader(self) -> BlockLoader:
        """Blocks, of one batch each, of the evaluated pairs in file order."""
        return BlockLoader(
            self.corpus, self.evaluation, batch_size=EVALUATION_BATCH, predict_sos=self.predict_sos
        )

    def transfer_batch_to_device(self, batch: Block, device: torch.device, dataloader_idx: int) -> Block:
        """A block moves as a whole; its batches are views of it."""
        return batch if device.type == "cpu" else batch.to(device)

    def block(self, indices: NDArray[np.int64]) -> Block:
        """Pairs of one's choice, in one batch."""
        return next(
            iter(BlockLoader(self.corpus, indices, batch_size=len(indices), predict_sos=self.predict_sos))
        )
