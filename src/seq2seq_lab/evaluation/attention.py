"""What a translation attended to, as a table for people."""

from typing import Any

from torch import Tensor

from seq2seq_lab.data.vocabulary import EOS, SOS, Vocabulary

PADDING = "(padding)"


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
