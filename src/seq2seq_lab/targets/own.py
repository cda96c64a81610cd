"""Own sentences: how far one may go on beyond its reference, and where it ends."""

import torch
from torch import Tensor

from seq2seq_lab.data.batches import Batch
from seq2seq_lab.data.vocabulary import EOS
from seq2seq_lab.forcing.plan import ROUNDING, Plan
from seq2seq_lab.targets.base import Fed

_LARGEST = 1000  # of max_ratio
EDIT_DISTANCE = "own_edit_distance"
WORDS = "words"  # the kind of a feeder that feeds words of the decoder's own; see `forcing.feeders.base`


def check_max_ratio(max_ratio: float) -> None:
    """Check a limit of own sentences.

    Raises:
        ValueError: it is less than 1, or more than any sentence needs.
    """
    if not 1 <= max_ratio <= _LARGEST:
        raise ValueError(f"max_ratio must be at least 1 and at most {_LARGEST}, got {max_ratio}")


def goes_on(plan: Plan) -> bool:
    """Whether own words come from the decoder's running state, so that a sentence of them has an end of its own."""
    stepwise = not plan.passes and plan.revise is None
    return stepwise and (plan.feeder is None or getattr(plan.feeder, "kind", None) == WORDS)


def limits(lengths: Tensor, max_ratio: float) -> Tensor:
    """The most positions that own sentences have, [B], of references of these lengths [B]."""
    return (max_ratio * lengths.double() - ROUNDING).ceil().long()  # 1.1 · 50 is a little more than 55


def extended(batch: Batch, plan: Plan, max_ratio: float) -> tuple[Batch, Plan]:
    """A batch and its plan with positions for own sentences that are longer than their reference.

    Beyond its reference a pair is fed own words, if it is fed any; one that is fed gold words throughout ends there, as
    the gold word that follows is `<eos>`.
    """
    if not goes_on(plan) or bool(plan.gold.all()):
        return batch, plan
    lengths = batch.lengths
    size, positions = batch.target.shape
    # A process of several has some of an update's pairs, padded as all of them are.
    longest = max(positions, int(limits(lengths, max_ratio).max()))
    target = batch.target.new_full((size, longest), EOS)
    target[:, :positions] = batch.target
    places = torch.arange(longest, device=target.device)
    inside = places < lengths.unsqueeze(1)
    target = target.masked_fill(~inside, EOS)
    gold = torch.zeros((size, longest), dtype=torch.bool)
    gold[:, :positions] = plan.gold
    here = inside.cpu()
    own = ~plan.gold & here[:, :positions]
    own[:, 0] &= lengths.cpu() == 1  # what stands at `<sos>` counts only where the reference has no word
    followed = ~own.any(dim=1, keepdim=True)  # by the gold word `<eos>`
    plan = plan._replace(gold=torch.where(here, gold, followed))
    return batch._replace(target=target, target_lengths=lengths), plan


def edit_distance(table: Tensor, counted: Tensor, lengths: Tensor) -> dict[str, Tensor]:
    """The measure `own_edit_distance`: how far what counts of each own sentence is from its reference, [B].

    Args:
        table: distances of prefixes, see `targets.edits.prefix_distances`.
        counted: positions of each pair that count, [B].
        lengths: of the references, [B].
    """
    rows = torch.arange(len(table), device=table.device)
    return {EDIT_DISTANCE: table[rows, (counted - 1).clamp(min=0), lengths - 1].float()}


def counted(fed: Fed, max_ratio: float) -> Tensor:
    """The positions of each pair that count, [B]: up to the own `<eos>`, or all of the reference's."""
    lengths = fed.batch.lengths
    if not fed.goes_on:
        return lengths
    before = (fed.need_words() == EOS).cumsum(dim=1) == 0
    return torch.minimum(before.sum(dim=1), limits(lengths, max_ratio))
