"""How a plan is carried out: as one call of the model wherever what is fed is known, else step by step first."""

import torch
from torch import Tensor

from seq2seq_lab.data.draws import Draws
from seq2seq_lab.decoding.unroll import unroll
from seq2seq_lab.forcing.plan import Plan
from seq2seq_lab.models.decoder import Decoded
from seq2seq_lab.models.seq2seq import Seq2Seq, gold_inputs


def follow(
    model: Seq2Seq,
    source: Tensor,
    target: Tensor,
    plan: Plan,
    *,
    source_lengths: Tensor | None = None,
    draws: Draws | None = None,
) -> Decoded:
    """The scores [B, T, V] of a model that is fed as a plan says.

    No gradient flows through a choice of words. So the words are found first, step by step and without gradient, and
    then the whole sequence is one call, as under full forcing: the same numbers, in fewer and larger products.

    Args:
        model: what is fed.
        source, target, source_lengths: as in `Seq2Seq.forward`.
        plan: of these pairs; on the CPU.
        draws: of the same pairs, on the model's device.
    """
    own = plan.own
    rows = own.any(dim=1).nonzero().squeeze(1)  # the pairs that are fed gold throughout need no steps
    if not len(rows):
        return model(source, target, source_lengths=source_lengths, draws=draws)  # type: ignore[no-any-return]
    memory = model.encoder(source, source_lengths, draws)
    fed = gold_inputs(target)
    own, rows = own.to(source.device), rows.to(source.device)
    with torch.no_grad():
        known, part = fed[rows], None if draws is None else draws[rows]
        fed[rows] = unroll(
            model.decoder, memory.select(rows), known, own[rows], choose=plan.choose, draws=part
        ).fed
    return model(source, target, fed=fed, memory=memory, draws=draws)  # type: ignore[no-any-return]
