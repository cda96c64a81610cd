"""Checkpoints: whole or not there, and good wherever the run's folder lies."""

from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from seq2seq_lab.files import replacing


class Checkpoint(ModelCheckpoint):
    """Lightning's ModelCheckpoint, which also knows its best model after the folder was moved or named otherwise.

    Lightning's own forgets it then, and overwrites the best checkpoint with whatever comes next.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take back what was best, by paths in the folder as it is called now."""
        paths = ("best_model_path", "kth_best_model_path", "last_model_path")
        here = {name: self._here(state_dict[name]) for name in paths}
        best = {self._here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **here, "best_k_models": best, "dirpath": self.dirpath})

    def _here(self, path: str) -> str:
        return str(Path(self.dirpath or "", Path(path).name)) if path else path


class WholeFiles(TorchCheckpointIO):
    """Writes beside the checkpoint and renames; Lightning's own writes to the system's temporary folder and copies,
    so that a run killed in that moment has no checkpoint to go on from."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint as a whole or not at all."""
        with replacing(Path(path)) as temporary:
            torch.save(checkpoint, temporary)
