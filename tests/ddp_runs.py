"""Runs of two processes; see `test_ddp`. The functions here are called in each of them."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

import tiny
from seq2seq_lab.training.callbacks.interruption import Interrupted
from seq2seq_lab.training.processes import rank


class Frozen(pl.Callback):
    """Freezes the encoder, as callbacks of users do."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Freeze it."""
        pl_module.model.encoder.requires_grad_(False)


def train_all(
    outputs: Path, runs: Mapping[str, Sequence[str]], resumed: Sequence[str], begun: Path
) -> dict[str, float]:
    """Train a run of each name, one that only process 1 is asked to stop, and the rest of one that was begun."""
    for name, settings in runs.items():
        tiny.train(outputs / name, *settings)
    asked = tiny.interrupted_in_block(5) if rank() == 1 else nullcontext()
    with asked, suppress(Interrupted):
        tiny.train(outputs / "begun by two", *resumed)
    tiny.train(begun, *resumed, folder=begun)
    return {}
