"""What is measured, in one place."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def sentence_losses(logits: Tensor, target: Tensor, target_lengths: Tensor | None) -> Tensor:
    """Each sentence's negative log-likelihood, summed over its target positions: [B].

    logits [B, T, V]; target [B, T]; target_lengths [B], or None where no target is padded.
    """
    return _summed(logits.log_softmax(2), target, target_lengths)


def losses_and_error(logits: Tensor, target: Tensor, target_lengths: Tensor | None) -> tuple[Tensor, Tensor]:
    """`sentence_losses`, and the gradient [B, T, V] of their mean with respect to the logits.

    The gradient is (softmax(logits) - onehot(target)) / B. For one sentence, having autograd find that out would
    cost more than all the arithmetic of the loss.
    """
    log_likelihoods = logits.detach().log_softmax(2)
    losses = _summed(log_likelihoods, target, target_lengths)
    error = log_likelihoods.exp_()
    words = target.unsqueeze(2)
    error.scatter_add_(2, words, error.new_full(words.shape, -1.0))
    if target_lengths is not None:
        error *= _inside(target, target_lengths).unsqueeze(2)
    if len(target) > 1:
        error /= len(target)
    return losses, error


def _summed(log_likelihoods: Tensor, target: Tensor, target_lengths: Tensor | None) -> Tensor:
    losses = -log_likelihoods.gather(2, target.unsqueeze(2)).squeeze(2)
    if target_lengths is not None:
        losses = losses * _inside(target, target_lengths)
    return losses.sum(dim=1)


def _inside(target: Tensor, target_lengths: Tensor) -> Tensor:
    """Where target [B, T] is no padding."""
    return torch.arange(target.shape[1], device=target.device) < target_lengths.unsqueeze(1)


def translation_scores(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """BLEU and chrF2 (0 to 100) and the share of exact matches (0 to 1), on normalised text.

    A hypothesis may match any of its references; each has at least one. Full stops are words here, split off
    by the normalisation, so no tokenizer is run over them.
    """
    import sacrebleu  # 0.3 s that most commands do not need

    most = max(map(len, references))
    streams: list[Any] = [[row[i] if i < len(row) else None for row in references] for i in range(most)]
    exact = sum(hypothesis in row for hypothesis, row in zip(hypotheses, references, strict=True))
    return {
        "bleu": sacrebleu.corpus_bleu(hypotheses, streams, tokenize="none", force=True).score,
        "chrf": sacrebleu.corpus_chrf(hypotheses, streams).score,
        "exact_match": exact / len(hypotheses),
    }
