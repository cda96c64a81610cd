"""Losses of the gold targets, with gold words or the model's own words as inputs, and their difference.

A loss is per symbol, that is per target position: a word, a subword or a character, or `<eos>`. Models of different
symbols are compared per word or per character of the same text.
"""

import torch
from torch import Tensor

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


class LossForcedPerWord:
    """The same for gold words, per word of the text."""

    facts = measure("loss_forced_per_word")

    def __call__(self, evaluation: Evaluation) -> float:
        return _mean_per(evaluation.losses_forced, words(evaluation), evaluation)


class LossFreePerWord:
    """The same for own words, per word of the text."""

    facts = measure("loss_free_per_word")

    def __call__(self, evaluation: Evaluation) -> float:
        return _mean_per(evaluation.losses_free, words(evaluation), evaluation)


class LossForcedPerCharacter:
    """The same for gold words, per character of the text."""

    facts = measure("loss_forced_per_character")

    def __call__(self, evaluation: Evaluation) -> float:
        return _mean_per(evaluation.losses_forced, characters(evaluation), evaluation)


class LossFreePerCharacter:
    """The same for own words, per character of the text."""

    facts = measure("loss_free_per_character")

    def __call__(self, evaluation: Evaluation) -> float:
        return _mean_per(evaluation.losses_free, characters(evaluation), evaluation)


class ExposureGap:
    """The free-running loss minus the teacher-forced loss."""

    facts = measure("exposure_gap")

    def __call__(self, evaluation: Evaluation) -> float:
        return float(evaluation.losses_free.mean() - evaluation.losses_forced.mean())


class ExposureGapToOwnEnd:
    """The same over the positions up to each hypothesis' own `<eos>`."""

    facts = measure("exposure_gap_to_own_end")

    def __call__(self, evaluation: Evaluation) -> float:
        return float(evaluation.gaps_to_own_end.mean())


def words(evaluation: Evaluation) -> Tensor:
    """The words of each target, float64 [N]: its positions where `data.units=words`, without `<eos>`."""
    return _counts([len(row[0].split(" ")) for row in evaluation.references])


def characters(evaluation: Evaluation) -> Tensor:
    """The characters of each target, float64 [N], and one more for the start of each word: its positions where
    `data.units=characters`, without `<eos>`."""
    return _counts([sum(len(word) + 1 for word in row[0].split(" ")) for row in evaluation.references])


def _counts(numbers: list[int]) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def _mean_per(losses: Tensor, counts: Tensor, evaluation: Evaluation) -> float:
    """The mean over pairs of −log p(target) / (count + 1). The 1 is `<eos>`; `<sos>`, where it is predicted too, costs
    next to nothing, and is not counted."""
    return float((losses * evaluation.positions / (counts + 1)).mean())
