"""Save and restore the state of PyTorch's random generators."""

from typing import Any

import pytorch_lightning as pl
import torch


class RandomState(pl.Callback):
    """Restores PyTorch's random generators in a resumed run, for models or policies of the user that draw from them.

    The random numbers of this package are a function of the pair (`data.draws`) and need no state.
    """

    def __init__(self) -> None:
        self._loaded: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """The state of the CPU's generator and, if CUDA is initialized, of every GPU's generator."""
        in_use = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        cuda = torch.cuda.get_rng_state_all() if in_use else []
        return {"cpu": torch.get_rng_state(), "cuda": cuda}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Store the states until training starts, because setting up the run also draws random numbers."""
        self._loaded = state_dict

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Restore the stored states before the first batch."""
        if self._loaded is not None:
            torch.set_rng_state(self._loaded["cpu"].cpu())
            if self._loaded["cuda"] and len(self._loaded["cuda"]) == torch.cuda.device_count():
                torch.cuda.set_rng_state_all([state.cpu() for state in self._loaded["cuda"]])
            self._loaded = None
