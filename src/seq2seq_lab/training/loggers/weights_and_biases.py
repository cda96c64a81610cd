"""Weights & Biases."""

from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import WandbLogger

from seq2seq_lab.training.loggers.base import Facts, missing


class WeightsAndBiases(WandbLogger):
    """Lightning's logger, with a run of its own for each run of a sweep.

    A run that goes on logs all its epochs again, with the same id: they replace what was there.

    Args:
        save_dir: the run's folder.
        facts: what names the run.
        project: the project.
        offline: keep everything in the run's folder; `wandb sync` sends it.
        options: of `wandb.init`.

    Raises:
        UserError: wandb is not installed.
    """

    def __init__(
        self,
        *,
        save_dir: str,
        facts: Facts,
        project: str = "seq2seq-lab",
        offline: bool = True,
        **options: Any,
    ) -> None:
        try:
            import wandb  # noqa: F401
        except ImportError:
            raise missing("wandb") from None
        Path(save_dir).mkdir(parents=True, exist_ok=True)
        super().__init__(
            name=facts.name,
            id=facts.identity,
            project=project,
            group=facts.group,
            config=dict(facts.config),
            save_dir=save_dir,
            offline=offline,
            **options,
        )

    def end_run(self) -> None:
        """End the tracker's run, if it has begun."""
        if self._experiment is not None:
            self.experiment.finish()
