"""Early stopping, with a reason that a reader of the run understands."""

from typing import Literal

import pytorch_lightning as pl
from pytorch_lightning.callbacks.early_stopping import EarlyStoppingReason

from seq2seq_lab.evaluation.measures import measure
from seq2seq_lab.training.callbacks.scalars import scalars_of


class EarlyStopping(pl.callbacks.EarlyStopping):
    """Lightning's EarlyStopping, checked at the end of those epochs in which the metric was measured.

    Lightning's own counts epochs, and takes the last value again where the metric is measured less often.

    Args:
        metric: the metric, such as `val/bleu`.
        mode: whether more of it is better (`max`) or less (`min`).
        patience: evaluations without improvement after which training stops.
        min_delta: what counts as an improvement: a change of more than this, in the metric's own unit.

    Raises:
        ValueError: a value is out of its range.
    """

    def __init__(
        self,
        *,
        metric: str,
        mode: Literal["min", "max"] = "min",
        patience: int = 5,
        min_delta: float = 0.0,
    ) -> None:
        if patience < 1:
            raise ValueError(f"patience must be at least 1, got {patience}")
        if not min_delta >= 0:
            raise ValueError(f"min_delta must be at least 0, got {min_delta}")
        super().__init__(
            monitor=metric, mode=mode, patience=patience, min_delta=min_delta, check_on_train_epoch_end=True
        )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check, if the metric was measured in this epoch."""
        if scalars_of(trainer).has_measured(self.monitor, trainer.current_epoch + 1):
            super().on_train_epoch_end(trainer, pl_module)


def why_stopped(trainer: pl.Trainer) -> str | None:
    """The reason why training ended before its last epoch; None if it did not."""
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, pl.callbacks.EarlyStopping) and (reason := _reason(callback)) is not None:
            return f"stopped early: {reason}"
    epochs, ended = trainer.max_epochs or 0, trainer.current_epoch
    if trainer.should_stop and 0 < ended < epochs:
        return f"stopped early: a callback ended training after epoch {ended}"
    return None


def _reason(callback: pl.callbacks.EarlyStopping) -> str | None:
    """Why training stopped; None where this callback did not stop it."""
    if callback.stopping_reason == EarlyStoppingReason.NOT_STOPPED:
        return None
    if callback.stopping_reason == EarlyStoppingReason.NON_FINITE_METRIC:
        return f"{callback.monitor} is not finite"
    if callback.stopping_reason != EarlyStoppingReason.PATIENCE_EXHAUSTED:
        return f"{callback.monitor} reached its threshold"
    evaluations = "evaluation" if callback.wait_count == 1 else "evaluations"
    said = f"{callback.monitor} did not improve for {callback.wait_count} {evaluations}"
    bounds = measure(callback.monitor).bounds
    worst = bounds and bounds[0 if callback.mode == "max" else 1]
    if worst is None or float(callback.best_score) != worst:
        return said
    return (
        f"{said}; it was {worst:g}, its worst value, in all of them, so that the model may not have begun to learn:"
        " choose a metric that changes sooner, or more patience"
    )
