"""Optimal completion distillation: after own words, every word that leads to the nearest end."""

import torch
from torch import Tensor

from seq2seq_lab.data.batches import Batch
from seq2seq_lab.forcing.feeders.unk import UnknownWord
from seq2seq_lab.forcing.feeders.zero import Zero
from seq2seq_lab.forcing.plan import Plan
from seq2seq_lab.targets import own
from seq2seq_lab.targets.base import Fed, Target
from seq2seq_lab.targets.edits import prefix_distances
from seq2seq_lab.targets.wanted import WordSets

_INSTEAD = "use forcing=free forcing/feeder=sample"


class OptimalCompletion(Target):
    """Uniform over the words with which the edit distance to the reference stays as small as it can be.

    D(t, j) is the edit distance between the t words that were fed and the first j of the reference. Where it is least
    over j, the reference's word j + 1 is in the set; `<eos>` where j is its end. The loss is KL(uniform ‖ p) at each
    position up to the own `<eos>` (Sabour et al. 2019, https://arxiv.org/abs/1810.01398, algorithm 1). After gold words
    it is the gold word alone.

    Args:
        max_ratio: positions that an own sentence may have, as a multiple of its reference's, at least 1; it is cut
            there.

    Raises:
        ValueError: `max_ratio` is out of its range.
    """

    measures = (own.EDIT_DISTANCE,)

    def __init__(self, *, max_ratio: float = 1.2) -> None:
        own.check_max_ratio(max_ratio)
        self.max_ratio = max_ratio

    def extended(self, batch: Batch, plan: Plan) -> tuple[Batch, Plan]:
        return own.extended(batch, plan, self.max_ratio)

    def refuses(self, plan: Plan, *, always_gold: bool) -> str | None:
        if always_gold:
            return f"after gold words an optimal completion is the gold word; {_INSTEAD}"
        if isinstance(plan.feeder, UnknownWord | Zero):
            return f"an optimal completion is that of words, and the feeder gives none; {_INSTEAD}"
        if plan.passes or plan.revise is not None:
            return (
                "an optimal completion is that of what the decoder has said so far, not of an earlier pass; "
                + _INSTEAD
            )
        return None

    def __call__(self, fed: Fed) -> WordSets:
        words, target, lengths = fed.need_words(), fed.batch.target, fed.batch.lengths
        target = target[:, : int(lengths.max())]
        table = prefix_distances(words, target)
        members = optimal(table, target, lengths)
        counted = own.counted(fed, self.max_ratio)
        return WordSets(target, members, counted, own.edit_distance(table, counted, lengths))


def optimal(table: Tensor, target: Tensor, lengths: Tensor) -> Tensor:
    """Which words of a reference begin an optimal completion, each once, bool [B, T, J].

    Args:
        table: distances [B, T, J]; see `prefix_distances`.
        target: the reference [B, J]; column j is its word j + 1, and `<eos>` at its end.
        lengths: columns of each that count, [B].
    """
    columns = torch.arange(target.shape[1], device=target.device)
    inside = (columns < lengths.unsqueeze(1)).unsqueeze(1)
    least = table.masked_fill(~inside, table.shape[1] + table.shape[2]).amin(dim=2, keepdim=True)
    members = (table == least) & inside
    before = (target.unsqueeze(2) == target.unsqueeze(1)) & (columns.unsqueeze(1) < columns)  # [B, J, J]
    repeated = members.float() @ before.float() > 0
    return members & ~repeated
