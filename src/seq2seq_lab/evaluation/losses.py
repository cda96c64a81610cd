"""Losses of the gold targets, with gold words or the model's own words as inputs, and their difference."""

from seq2seq_lab.evaluation.evaluate import Evaluation
from seq2seq_lab.evaluation.measures import measure


class LossForced:
    """Mean loss when the decoder is fed gold words."""

    facts = measure("loss_forced")

    def __call__(self, evaluation: Evaluation) -> float:
        return float(evaluation.losses_forced.mean())


class LossFree:
    """Mean loss when the decoder is fed its own words."""

    facts = measure("loss_free")

    def __call__(self, evaluation: Evaluation) -> float:
        return float(evaluation.losses_free.mean())


class ExposureGap:
    """The free-running loss minus the teacher-forced loss."""

    facts = measure("exposure_gap")

    def __call__(self, evaluation: Evaluation) -> float:
        return float(evaluation.losses_free.mean() - evaluation.losses_forced.mean())
