"""One update in plain PyTorch. It is the reference: every accelerator must give the same numbers."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from seq2seq_lab.data.batches import Batch, Block, row_lengths
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.errors import UserError
from seq2seq_lab.forcing.passes import follow
from seq2seq_lab.forcing.plan import Pairs, Plan, mean_over_words
from seq2seq_lab.models.interface import Decoded, Model, gold_inputs
from seq2seq_lab.models.likelihood import sum_of_first
from seq2seq_lab.targets.base import MEASURES, Fed, Target
from seq2seq_lab.targets.gold import Gold
from seq2seq_lab.targets.own import goes_on
from seq2seq_lab.targets.wanted import Wanted
from seq2seq_lab.training.objectives.base import Objective, Outcome

GOLD = Gold()


class UpdateResult(NamedTuple):
    """Results of the updates on N pairs.

    Attributes:
        losses: loss of each pair for what it should have predicted, before its own update, summed over positions, [N]:
            with `target=gold` the negative log-likelihood of the reference.
        forced_share: share of the target positions of each pair where the decoder was fed the gold word, [N], on the
            CPU.
        measured: what the target and the objective measure of each pair, [N] each; see `measures_of`.
    """

    losses: Tensor
    forced_share: Tensor
    measured: Mapping[str, Tensor] = MappingProxyType({})


def joined(made: Sequence[UpdateResult]) -> UpdateResult:
    """The results of several updates as one."""
    losses, shares, measured = zip(*made, strict=True)
    return UpdateResult(
        torch.cat(losses),
        torch.cat(shares),
        {name: torch.cat([each[name] for each in measured]) for name in measured[0]},
    )


# What is measured while a run trains, whatever it learns.
ALWAYS = ("loss", "forced_share", "forcing_ratio", "lr")


def measures_of(target: Target, objective: Objective) -> tuple[str, ...]:
    """The names in `UpdateResult.measured`."""
    own = () if isinstance(target, Gold) else (*MEASURES, *target.measures)
    return (*own, *objective.measures)


def scheduled(pairs: Pairs, target: Target, objective: Objective) -> dict[str, Tensor]:
    """The value of the schedule of each pair, [N], of the target and of the objective that have one."""
    schedules = {"target": target.schedule, "objective": objective.schedule}
    return {name: each.ratio(pairs, name) for name, each in schedules.items() if each is not None}


def update(
    model: Model,
    optimizer: Optimizer,
    objective: Objective,
    batch: Batch,
    plan: Plan,
    draws: Draws,
    *,
    target: Target = GOLD,
    gradient_clip: float | None = None,
) -> UpdateResult:
    """One optimizer step on the B pairs of one batch.

    Args:
        model: in training mode.
        optimizer: optimizer of its parameters.
        objective: computes the loss of each pair; the gradient is that of the mean loss.
        batch: the pairs.
        plan: what the decoder is fed at each position; on the CPU.
        draws: random numbers of the pairs, on the model's device.
        target: decides what each position should predict.
        gradient_clip: maximum norm of the gradient; None: no clipping.
    """
    optimizer.zero_grad()
    made = backward(model, objective, batch, plan, draws, target=target)
    step(model, optimizer, gradient_clip)
    return made


def backward(
    model: Model,
    objective: Objective,
    batch: Batch,
    plan: Plan,
    draws: Draws,
    *,
    target: Target = GOLD,
    of: int | None = None,
) -> UpdateResult:
    """Add the gradient of the loss of B pairs to the parameters: the sum over the pairs, divided by `of`.

    Args:
        of: pairs of the update, if these are only some of them; None: these are all, and the gradient is that of the
            mean.
    """
    batch, plan = _within(model, *target.extended(batch, plan))
    followed = follow(
        model,
        batch.source,
        batch.target,
        plan,
        source_lengths=batch.source_lengths,
        target_lengths=batch.target_lengths,
        draws=draws,
    )
    shares = {name: each.to(batch.target.device) for name, each in plan.scheduled.items()}

    def learnt(decoded: Decoded, gold: Tensor, words: Tensor | None, inputs: Tensor | None) -> Learnt:
        """What is learnt of one pass of the decoder."""
        fed = Fed(
            model, batch, words, inputs, gold, decoded.logits, draws, shares.get("target"), goes_on(plan)
        )
        wanted = target(fed)
        if not hasattr(wanted, "losses"):
            raise UserError(
                f"target: it must give one of seq2seq_lab.targets.wanted, not {type(wanted).__name__}"
            )
        if not isinstance(target, Gold):
            _check_measured("target", wanted.measured, target.measures)
        by_position = wanted.losses(decoded.logits)
        if by_position.shape != batch.target.shape:
            raise UserError(
                f"target: the losses of what it wants must have the shape {tuple(batch.target.shape)} [B, T], not "
                f"{tuple(by_position.shape)}"
            )
        losses = sum_of_first(by_position, wanted.lengths)
        share = shares.get("objective")
        outcome = Outcome(model, batch, decoded, losses, draws, wanted, inputs, share)
        result = objective(outcome)
        minimised, measured = result if isinstance(result, tuple) else (result, {})
        if not isinstance(minimised, Tensor) or minimised.shape != losses.shape:
            given = tuple(minimised.shape) if isinstance(minimised, Tensor) else type(minimised).__name__
            raise UserError(
                f"objective: it must give the loss of each pair, a tensor of shape {tuple(losses.shape)} [B], not "
                f"{given}"
            )
        _check_measured("objective", measured, objective.measures)
        return Learnt(wanted, losses, minimised, measured)

    last = learnt(followed.decoded, followed.gold, followed.words, followed.inputs)
    minimised = last.minimised
    if followed.first is not None:
        everywhere = torch.ones_like(followed.gold)
        first = learnt(followed.first, everywhere, gold_inputs(batch.target), None)
        minimised = minimised + plan.first_pass * first.minimised
    loss = minimised.mean() if of is None else minimised.sum() / of
    loss.backward()  # type: ignore[no-untyped-call]
    lengths = row_lengths(batch.target, last.wanted.lengths)
    of_target = {} if isinstance(target, Gold) else _measured(last, batch)
    measured = {name: each.detach().cpu() for name, each in (of_target | dict(last.measured)).items()}
    return UpdateResult(last.losses.detach(), mean_over_words(followed.gold, lengths.cpu()), measured)


def _check_measured(key: str, measured: Mapping[str, Tensor], names: Sequence[str]) -> None:
    if set(measured) != set(names):
        raise UserError(
            f"{key}: it measures {sorted(measured)}, and its attribute measures has {sorted(names)}"
        )


def _within(model: Model, batch: Batch, plan: Plan) -> tuple[Batch, Plan]:
    """A batch and its plan, cut to the positions that the model takes."""
    most = model.target_positions
    if most is None or batch.target.shape[1] <= most:
        return batch, plan
    return batch._replace(target=batch.target[:, :most]), plan.rows(slice(None), most)


class Learnt(NamedTuple):
    """What the pairs of a batch should have predicted, the loss of it, and what is minimised, [B] each."""

    wanted: Wanted
    losses: Tensor
    minimised: Tensor
    measured: Mapping[str, Tensor]


@torch.no_grad()
def _measured(learnt: Learnt, batch: Batch) -> dict[str, Tensor]:
    """Of each pair, [B]: the loss, the entropy and the share of positions where gold is not wanted, by position."""
    wanted, lengths = learnt.wanted, row_lengths(batch.target, learnt.wanted.lengths)
    positions = torch.arange(batch.target.shape[1], device=batch.target.device)
    there = positions < batch.lengths.unsqueeze(1)
    off = ~(wanted.allows(batch.target) & there)  # the reference has no word for a position beyond its end
    return {
        "loss": learnt.losses / lengths,
        "target_entropy": sum_of_first(wanted.entropy(), lengths) / lengths,
        "target_off_gold": sum_of_first(off.float(), lengths) / lengths,
        **wanted.measured,
    }


def step(model: Model, optimizer: Optimizer, gradient_clip: float | None) -> None:
    """Clip the gradient, and make the optimizer's step."""
    if gradient_clip is not None:
        nn.utils.clip_grad_norm_(model.parameters(), gradient_clip)
    optimizer.step()


class Job(NamedTuple):
    """A training job: what is trained, and how.

    Attributes:
        model: on its device.
        optimizer: of its parameters.
        objective: what is minimised.
        gradient_clip: limit of the gradient's norm; None does not clip.
        batch_size: pairs an update.
        plan: of a pair, for what the policy feeds; another pair's may still be of another kind.
        target: what is learnt.
    """

    model: Model
    optimizer: Optimizer
    objective: Objective
    gradient_clip: float | None
    batch_size: int
    plan: Plan
    target: Target = GOLD

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        return next(self.model.parameters()).device


class EagerUpdates:
    """Makes the updates of a block one after the other, with `update`.

    Args:
        job: the training job.
    """

    def __init__(self, job: Job) -> None:
        self.job = job

    def __call__(self, block: Block, plan: Plan, draws: Draws) -> UpdateResult:
        """Make the updates of the block's N pairs."""
        made = [
            self.update(batch, plan.rows(batch.rows, batch.target.shape[1]), draws[batch.rows])
            for batch in block
        ]
        return joined(made)

    def update(self, batch: Batch, plan: Plan, draws: Draws) -> UpdateResult:
        """One optimizer step on the pairs of a batch."""
        job = self.job
        return update(
            job.model,
            job.optimizer,
            job.objective,
            batch,
            plan,
            draws,
            target=job.target,
            gradient_clip=job.gradient_clip,
        )
