"""Losses of the gold words, and what the model loses when it is fed its own."""

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
    """The free-running loss less the teacher-forced one."""

    facts = measure("exposure_gap")

    def __call__(self, evaluation: Evaluation) -> float:
        return float(evaluation.losses_free.mean() - evaluation.losses_forced.mean())
