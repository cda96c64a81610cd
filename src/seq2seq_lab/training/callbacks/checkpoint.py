"""Checkpoints that are written atomically and that remain valid when the run's folder is moved or renamed."""

import io
import os
import shutil
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch import Tensor

from seq2seq_lab.files import replacing
from seq2seq_lab.runs import layout
from seq2seq_lab.training.callbacks.scalars import scalars_of


class Checkpoint(ModelCheckpoint):
    """Lightning's ModelCheckpoint, but of epochs with equal scores the last is the best, and folders may be moved.

    In the first epochs of a run on few pairs every BLEU is 0; Lightning's class would keep the first epoch. After its
    folder was moved or renamed it would ignore the best model, and overwrite the best checkpoint with the next one.
    Give this one `enable_version_counter=False`: an epoch that is trained again then overwrites its checkpoint.
    """

    def check_monitor_top_k(self, trainer: pl.Trainer, current: Tensor | None = None) -> bool:
        """Whether this epoch is one of the best: its score is better than that of the worst of them, or equal."""
        counted = self.monitor in ("epoch", "step")
        if not counted and not scalars_of(trainer).has_measured(str(self.monitor), trainer.current_epoch + 1):
            return False
        worst = self.best_k_models.get(self.kth_best_model_path)
        equal = current is not None and worst is not None and bool(current == worst)
        return equal or super().check_monitor_top_k(trainer, current)

    @property
    def state_key(self) -> str:
        """The name of its state in a checkpoint; several of a run may watch the same metric."""
        return f"{super().state_key} {self.filename}"

    @property
    def _legacy_state_key(self) -> str:  # type: ignore[override]
        """Where Lightning looks next: the name in checkpoints of earlier commits."""
        return super().state_key

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best scores, with the paths changed to the current folder."""
        paths = ("best_model_path", "kth_best_model_path", "last_model_path")
        there = state_dict["dirpath"] or ""
        here = {name: self._here(state_dict[name], there) for name in paths}
        best = {self._here(path, there): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **here, "best_k_models": best, "dirpath": self.dirpath})

    def _here(self, path: str, there: str) -> str:
        """A path below the folder `there`, in the folder of now; a metric's name may contain a slash."""
        return str(Path(self.dirpath or "", os.path.relpath(path, there))) if path else path


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint to a temporary file in the same folder, then renames it.

    Lightning's class writes to the system's temporary folder and copies the file. If a run is killed during the copy,
    it has no checkpoint to resume from. The checkpoint that a run goes on from is kept until the next but one, in case
    that the file is damaged.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint atomically.

        Raises:
            OSError: it cannot be written, as the disk is full; PyTorch's own writer would raise another error.
        """
        contents = io.BytesIO()
        torch.save(checkpoint, contents)
        path = Path(path)
        with replacing(path) as temporary:
            temporary.write_bytes(contents.getbuffer())
            if path.name == layout.LAST and path.exists():
                with replacing(path.with_name(layout.PREVIOUS)) as link:
                    _link(path, link)


def _link(path: Path, link: Path) -> None:
    try:
        link.hardlink_to(path)
    except OSError:  # a file system without links
        shutil.copyfile(path, link)
