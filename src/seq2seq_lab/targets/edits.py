"""Edit distances between what was said so far and the beginnings of a reference, for a whole batch."""

import torch
from torch import Tensor


def prefix_distances(words: Tensor, target: Tensor) -> Tensor:
    """The edit distance (Levenshtein 1966) between every prefix of `words` and every prefix of `target`.

    A row of the table follows from the row before, all its columns at once: the cheapest way to end at column j, after
    a substitution or an insertion at some k ≤ j and j − k deletions, is a running minimum of cost − column.

    Args:
        words: [B, T], the first of which is `<sos>` and no word.
        target: [B, J].

    Returns:
        [B, T, J]: at (t, j) the distance between the t words after the first and the first j of the target.
    """
    positions, columns = words.shape[1], torch.arange(target.shape[1], device=words.device)
    differs = (words.unsqueeze(2) != target[:, :-1].unsqueeze(1)).long()  # [B, T, J − 1]
    row = columns.expand(len(words), -1)
    rows = [row]
    for t in range(1, positions):
        cost = row + 1
        cost[:, 1:] = torch.minimum(cost[:, 1:], row[:, :-1] + differs[:, t])
        row = (cost - columns).cummin(dim=1).values + columns
        rows.append(row)
    return torch.stack(rows, dim=1)


def distances(said: Tensor, ends: Tensor, target: Tensor, lengths: Tensor) -> Tensor:
    """The edit distance between each of N sentences and its reference, [N], without their `<eos>`.

    Args:
        said: words [N, L], the first of which is the first word.
        ends: words of each that count, [N].
        target: [N, J].
        lengths: words of each that count, [N].
    """
    shifted = torch.nn.functional.pad(said, (1, 0))
    padded = torch.nn.functional.pad(target, (0, 1))
    table = prefix_distances(shifted, padded)
    rows = torch.arange(len(said), device=said.device)
    return table[rows, ends, lengths]
