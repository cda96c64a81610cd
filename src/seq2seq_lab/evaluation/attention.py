"""What a translation attended to, as a table for people."""

from typing import Any

import torch
from torch import Tensor

from seq2seq_lab.data.vocabulary import EOS, SOS, Vocabulary
from seq2seq_lab.errors import UserError
from seq2seq_lab.models.interface import HasHeads, Model, need

PADDING = "(padding)"


def check_head(model: Model, head: int, run: object) -> None:
    """Check that the attention of a model has a head of this number, counted from 1.

    Raises:
        UserError: it has not; the message names the run.
    """
    found = need(model, HasHeads, f"{run}: no single head can be drawn of")  # type: ignore[type-abstract]
    nothing = torch.full((1, 1), EOS, device=next(model.parameters()).device)
    heads = found.head_weights(nothing, nothing).shape[1]
    if not 1 <= head <= heads:
        raise UserError(f"{run}: there is no head {head}; its attention has the heads 1 to {heads}")


@torch.no_grad()
def attention_weights(model: Model, source: Tensor, words: Tensor, head: int | None = None) -> Tensor:
    """The weights [L, S'] of a translation of a model with attention.

    Args:
        model: in evaluation mode.
        source: ids [S], with `<eos>`.
        words: ids of the translation [L].
        head: its number, counted from 1; None: the weights that the model gives, such as the mean of all heads.
    """
    if head is not None:
        assert isinstance(model, HasHeads)
        return model.head_weights(source.unsqueeze(0), words.unsqueeze(0))[0, head - 1]
    weights = model(source.unsqueeze(0), words.unsqueeze(0)).weights
    return weights[0]  # type: ignore[no-any-return]


def attention_table(
    words: Tensor,
    weights: Tensor,
    source: Tensor,
    *,
    source_vocabulary: Vocabulary,
    target_vocabulary: Vocabulary,
) -> dict[str, Any]:
    """Attention weights of one translation, with a label for each row and column.

    If the model attends to positions after the source (the seminar's quirk A), the sum of their weights is the last
    column, so that the weights of a row always sum to 1.

    Args:
        words: ids of the translation [L]; those after the first `<eos>` and any `<sos>` are left out.
        weights: [L, S'], where S' is at least the length of the source.
        source: ids of the source [S], without padding, with `<eos>`.

    Returns:
        "attention": a row for each word, of rounded weights; "rows" and "columns": the labels.
    """
    positions = len(source)
    rows, labels = [], []
    outside = weights.shape[1] > positions and bool((weights[:, positions:] > 0).any())
    for word, row in zip(words.tolist(), weights.double(), strict=True):
        if word != SOS:
            columns = [*row[:positions].tolist(), *([float(row[positions:].sum())] if outside else [])]
            rows.append([round(weight, 4) for weight in columns])
            labels.append(target_vocabulary.words[word])
        if word == EOS:
            break
    columns = [source_vocabulary.words[index] for index in source.tolist()]
    return {"attention": rows, "rows": labels, "columns": [*columns, *([PADDING] if outside else [])]}
