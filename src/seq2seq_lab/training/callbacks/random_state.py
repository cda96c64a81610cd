"""PyTorch's own generators across a resume."""

from typing import Any

import pytorch_lightning as pl
import torch


class RandomState(pl.Callback):
    """A resumed run goes on with the state of PyTorch's generators, which a model or policy of one's own may use.

    What the package draws is a function of the pair (`data.draws`) and needs no state.
    """

    def __init__(self) -> None:
        self._loaded: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """The states of the CPU's and, where GPUs are in use, of all their generators."""
        in_use = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        cuda = torch.cuda.get_rng_state_all() if in_use else []
        return {"cpu": torch.get_rng_state(), "cuda": cuda}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep them until all that draws while a run is set up has drawn."""
        self._loaded = state_dict

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Go on from them."""
        if self._loaded is not None:
            torch.set_rng_state(self._loaded["cpu"].cpu())
            if self._loaded["cuda"] and len(self._loaded["cuda"]) == torch.cuda.device_count():
                torch.cuda.set_rng_state_all([state.cpu() for state in self._loaded["cuda"]])
            self._loaded = None
