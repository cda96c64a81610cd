"""What is measured, in one place."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


def sentence_losses(logits: Tensor, target: Tensor, target_lengths: Tensor | None) -> Tensor:
    """Each sentence's negative log-likelihood, summed over its target positions: [B].

    logits [B, T, V]; target [B, T]; target_lengths [B], or None where no target is padded.
    """
    inside = None
    if target_lengths is not None:
        inside = torch.arange(target.shape[1], device=target.device) < target_lengths.unsqueeze(1)
    losses: Tensor = _SentenceLosses.apply(logits, target, inside)
    return losses


class _SentenceLosses(Function):
    """-Σ_t log softmax(logits_t)[target_t]: logits [B, T, V], target [B, T], positions that count [B, T] → [B].

    Cross-entropy with no more passes over the vocabulary than each direction needs.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor, inside: Tensor | None) -> Tensor:
        log_probabilities = logits.log_softmax(dim=2)
        chosen = target.unsqueeze(2)
        ctx.log_probabilities, ctx.chosen, ctx.inside = log_probabilities, chosen, inside
        losses = log_probabilities.gather(2, chosen).squeeze(2).neg_()
        if inside is not None:
            losses *= inside
        return losses.sum(dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, delta: Tensor) -> tuple[Tensor | None, ...]:
        delta = delta.view(-1, 1, 1).expand(ctx.chosen.shape)
        if ctx.inside is not None:
            delta = delta * ctx.inside.unsqueeze(2)
        delta_logits = ctx.log_probabilities.exp().mul_(delta)
        return delta_logits.scatter_add_(2, ctx.chosen, -delta), None, None


def translation_scores(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """BLEU and chrF2 (0 to 100) and the share of exact matches (0 to 1), on normalised text.

    A hypothesis may match any of its references; each has at least one. Full stops are words here, split off
    by the normalisation, so no tokenizer is run over them.
    """
    import sacrebleu  # 0.3 s that most commands do not need

    most = max(map(len, references))
    streams = [[row[i] if i < len(row) else None for row in references] for i in range(most)]
    exact = sum(hypothesis in row for hypothesis, row in zip(hypotheses, references, strict=True))
    return {
        "bleu": sacrebleu.corpus_bleu(hypotheses, streams, tokenize="none", force=True).score,
        "chrf": sacrebleu.corpus_chrf(hypotheses, streams).score,
        "exact_match": exact / len(hypotheses),
    }
