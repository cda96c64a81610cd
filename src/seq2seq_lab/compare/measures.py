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


_LOSS = "nats per target word"
_MEASURES = {
    "loss": Measure(f"loss ({_LOSS})", "lower", log=True),
    "loss_forced": Measure(f"loss, teacher-forced ({_LOSS})", "lower", log=True),
    "loss_free": Measure(f"loss, free-running ({_LOSS})", "lower", log=True),
    "exposure_gap": Measure(f"exposure gap: free − forced ({_LOSS})", "lower"),
    "bleu": Measure("BLEU (0–100)", "higher"),
    "chrf": Measure("chrF (0–100)", "higher"),
    "exact_match": Measure("exact match (share of sentences)", "higher"),
    "forced_share": Measure("share of gold decoder inputs"),
    "sentences_per_second": Measure("speed (sentences per second)", "higher"),
    "epoch_seconds": Measure("time (seconds per epoch)", "lower"),
}
_SPLITS = {"train": "training", "val": "held-out", "test": "test"}
_DEFAULT = (
    ("train/loss", "val/loss_forced", "val/loss_free", "val/bleu", "val/exact_match"),
    ("train/loss", "train/loss_forced", "train/loss_free", "train/bleu", "train/exact_match"),
)
_FEW = 4


def measure(metric: str) -> Measure:
    """What is known of a metric such as ``val/bleu``; one that is unknown goes by its own name."""
    split, _, name = metric.rpartition("/")
    known = _MEASURES.get(name)
    if known is None:
        return Measure(metric)
    where = _SPLITS.get(split)
    return Measure(f"{where} {known.label}" if where else known.label, known.better, known.log)


def default_metrics(measured: Iterable[str]) -> list[str]:
    """The metrics to show when none is asked for: held-out ones where there are any, else training ones."""
    there = list(dict.fromkeys(measured))
    held_out = any(metric.startswith("val/") for metric in there)
    wanted = [metric for metric in _DEFAULT[0 if held_out else 1] if metric in there]
    return wanted or there[:_FEW]
