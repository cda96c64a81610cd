"""What is measured, in one place."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


def sentence_losses(logits: Tensor, target: Tensor, target_lengths: Tensor | None) -> Tensor:
    """Each sentence's negative log-likelihood, summed over its target positions: [B].

    logits [B, T, V]; target [B, T]; target_lengths [B], or None where no target is padded.
    """
    losses = nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none").view_as(
        target
    )
    if target_lengths is not None:
        losses = losses * (torch.arange(target.shape[1], device=target.device) < target_lengths.unsqueeze(1))
    return losses.sum(dim=1)


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
