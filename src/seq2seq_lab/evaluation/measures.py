"""What the metrics measure: their names for people, their units, and which way is better."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Better = Literal["lower", "higher"] | None


@dataclass(frozen=True)
class Measure:
    """How a metric is shown.

    Attributes:
        label: its name and unit, for an axis.
        better: which way is better; ``None`` where neither is, and then it has no best value.
        log: whether its curve is a loss, which falls over decades.
    """

    label: str
    better: Better = None
    log: bool = False


TRAINING_LOSS = "train/loss"
_MEASURES = {
    "loss": Measure("loss (nats per word)", "lower", log=True),
    "loss_forced": Measure("teacher-forced loss (nats per word)", "lower", log=True),
    "loss_free": Measure("free-running loss (nats per word)", "lower", log=True),
    "exposure_gap": Measure("exposure gap (nats per word)", "lower"),
    "bleu": Measure("BLEU (0–100)", "higher"),
    "chrf": Measure("chrF (0–100)", "higher"),
    "exact_match": Measure("exact match (share of sentences)", "higher"),
    "forced_share": Measure("share of gold decoder inputs"),
    "sentences_per_second": Measure("speed (sentences per second)", "higher"),
    "epoch_seconds": Measure("time (seconds per epoch)", "lower"),
}
_DEFAULT = (
    (TRAINING_LOSS, "val/loss_free", "val/loss_forced", "val/bleu", "val/exact_match"),
    (TRAINING_LOSS, "train/loss_free", "train/loss_forced", "train/bleu", "train/exact_match"),
)
_FEW = 4


def measure(metric: str) -> Measure:
    """What is known of a metric such as ``val/bleu``; one that is unknown goes by its own name."""
    return _MEASURES.get(metric.rpartition("/")[2], Measure(metric))


def default_metrics(measured: Iterable[str]) -> list[str]:
    """The metrics to show when none is asked for: held-out ones where there are any, else training ones."""
    there = list(dict.fromkeys(measured))
    held_out = any(metric.startswith("val/") for metric in there)
    wanted = [metric for metric in _DEFAULT[0 if held_out else 1] if metric in there]
    return wanted or there[:_FEW]
