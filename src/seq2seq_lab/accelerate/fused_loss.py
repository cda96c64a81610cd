"""Negative log-likelihood of gold words, label smoothing and their gradient without a tensor of log-probabilities."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seq2seq_lab.accelerate.compiler import batch_kernels
from seq2seq_lab.models.likelihood import sum_of_first
from seq2seq_lab.targets.base import Fed
from seq2seq_lab.targets.gold import Gold
from seq2seq_lab.targets.wanted import Words
from seq2seq_lab.training.objectives.base import Outcome
from seq2seq_lab.training.objectives.nll import NegativeLogLikelihood


class FusedGold(Gold):
    """As `Gold`."""

    def __call__(self, fed: Fed) -> Words:
        return _FusedWords(fed.batch.target, fed.batch.target_lengths)


class _FusedWords(Words):
    """As `Words`, and the loss of a uniform target, found in the same pass."""

    uniform: Tensor | None = None

    def losses(self, logits: Tensor) -> Tensor:
        gold, uniform = _Losses.apply(logits.flatten(0, 1), self.words.flatten())  # type: ignore[no-untyped-call]
        object.__setattr__(self, "uniform", uniform.view_as(self.words))
        return gold.view_as(self.words)  # type: ignore[no-any-return]


class FusedLikelihood(NegativeLogLikelihood):
    """As `NegativeLogLikelihood`, where the target is `FusedGold`."""

    def uniform(self, outcome: Outcome) -> Tensor:
        wanted = outcome.wanted
        found = wanted.uniform if isinstance(wanted, _FusedWords) else None
        return super().uniform(outcome) if found is None else sum_of_first(found, outcome.aim.lengths)


class _Losses(torch.autograd.Function):
    """Scores [N, V], words [N] → −log p(word), and the mean of −log p over all words, [N] each.

    Raises:
        IndexError: there is no score of a word, as PyTorch's cross-entropy says.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        scores, words = scores.contiguous(), words.contiguous()
        least, most = (int(each) for each in words.aminmax())
        if least < 0 or most >= scores.shape[1]:  # the kernels do not check where they read and write
            raise IndexError(f"Target {most if least >= 0 else least} is out of bounds.")
        normalisers, gold, uniform = scores.new_empty(3, len(scores)).unbind()
        batch_kernels().losses(
            scores.numpy(), words.numpy(), normalisers.numpy(), gold.numpy(), uniform.numpy()
        )
        ctx.save_for_backward(scores, words, normalisers)
        return gold, uniform

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_gold: Tensor, of_uniform: Tensor) -> tuple[Tensor, None]:
        scores, words, normalisers = ctx.saved_tensors
        back = torch.empty_like(scores)
        batch_kernels().losses_back(
            scores.numpy(),
            words.numpy(),
            normalisers.numpy(),
            of_gold.contiguous().numpy(),
            of_uniform.contiguous().numpy(),
            back.numpy(),
        )
        return back, None
