"""Every combination of a policy, a feeder and a unit: what composes, and what is refused."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

import tiny
from seq2seq_lab.config.build import build
from seq2seq_lab.config.options import nests, option_files, options
from seq2seq_lab.data.batches import BlockLoader
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.forcing.plan import UNITS, Pairs, Plan
from seq2seq_lab.models import attention_model, seq2seq_model
from seq2seq_lab.training.objectives.nll import NegativeLogLikelihood
from seq2seq_lab.training.update import Job

MODELS = {"seq2seq": seq2seq_model, "attention": attention_model}
CORPUS = tiny.lettered(8)
SIZES = {
    "source_vocabulary_size": len(CORPUS.source_vocabulary),
    "target_vocabulary_size": len(CORPUS.target_vocabulary),
}
EPOCHS = 2
# Feeders that a policy does not take: they do not look at the decoder's scores.
REFUSED = {policy: {"uniform", "unk", "zero"} for policy in ("two_pass", "confidence", "free")}


def combinations() -> Iterator[tuple[str, str | None, tuple[str, ...]]]:
    """Policy, feeder (None where the policy takes none) and the overrides, of every unit there is."""
    for policy in options("forcing"):
        takes = "feeder" in nests(option_files("forcing")[policy], "forcing")
        has_unit = "unit" in tiny.configuration("data=toy", f"forcing={policy}")["forcing"]
        for feeder in options("forcing/feeder") if takes else [None]:
            for unit in UNITS if has_unit else [None]:
                chosen = (
                    f"forcing={policy}",
                    feeder and f"forcing/feeder={feeder}",
                    unit and f"forcing.unit={unit}",
                )
                yield policy, feeder, tuple(each for each in chosen if each)


COMBINATIONS = list(combinations())
ACCEPTED = [overrides for policy, feeder, overrides in COMBINATIONS if feeder not in REFUSED.get(policy, ())]


def policy_of(overrides: tuple[str, ...]) -> Any:
    """The policy that overrides of the group `forcing` make."""
    return build(tiny.configuration("data=toy", *overrides)["forcing"], "forcing")


def job_of(model: str, policy: Any, batch_size: int = 1) -> Job:
    """Of a small model in double precision, whose weights are large enough for words of its own to differ."""
    torch.manual_seed(0)
    made = MODELS[model](**SIZES, hidden_size=6, embedding_size=5).double()
    for weight in made.parameters():
        torch.nn.init.uniform_(weight, -0.7, 0.7)
    optimizer = torch.optim.SGD(made.parameters(), lr=0.05)
    one = torch.ones(1, dtype=torch.int64)
    plan = policy.plan(Pairs(2 * one, 2, Draws(0, 0, one), one - 1, updates=1, epochs=1))
    assert isinstance(plan, Plan)
    return Job(made, optimizer, NegativeLogLikelihood(), None, batch_size, plan)


def trained(updates: Any, policy: Any, batch_size: int = 1) -> tuple[Tensor, Tensor]:
    """Each pair's loss and share of gold inputs, in two epochs."""
    losses, shares = [], []
    numbers = torch.arange(len(CORPUS)).numpy()
    for epoch in range(EPOCHS):
        loader = BlockLoader(CORPUS, numbers, batch_size=batch_size, updates_per_block=5, shuffle=True)
        for block in loader:
            draws = Draws(3, epoch, torch.from_numpy(block.indices))
            pairs = Pairs(
                block.target_lengths,
                block.target.shape[1],
                draws,
                epoch * block.updates + block.update_numbers,
                EPOCHS * block.updates,
                epoch,
                EPOCHS,
            )
            made = updates(block, policy.plan(pairs), draws)
            losses.append(made.losses)
            shares.append(made.forced_share)
    return torch.cat(losses), torch.cat(shares)
