"""What each position of an update is fed: a policy makes a plan; models know nothing of policies.

At its first position a decoder is fed `<sos>`. At a later one a plan has it fed either the gold word of the position
before, or what a feeder gives: a word or a mixture of words made from the decoder's own scores, or something that is
known in advance.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from seq2seq_lab.data.draws import Draws
from seq2seq_lab.errors import UserError

UNITS = ("sentence", "position", "prefix")
ROUNDING = 1e-9  # by which a product that is a whole number may miss it, and more
_NOTHING: Mapping[str, Tensor] = MappingProxyType({})


class Pairs(NamedTuple):
    """What a policy may know of N pairs. It should give each pair the same whichever others are beside it.

    Attributes:
        lengths: target positions of each pair, [N].
        positions: T, of the longest.
        draws: the random numbers of the pairs; the only ones that a policy may use.
        update: how many updates came before the pair's own since training began, int64 [N].
        updates: of all of training; 0 where no end is set.
        epoch: counted from 0.
        epochs: of all of training; 0 where no end is set.
    """

    lengths: Tensor
    positions: int
    draws: Draws
    update: Tensor
    updates: int
    epoch: int = 0
    epochs: int = 0

    @property
    def progress(self) -> Tensor:
        """The share of training that is done before the pair's update, in [0, 1), float64 [N]."""
        return self.update.double() / max(1, self.updates)

    def coins(self, unit: str = "position", number: int = 0) -> Tensor:
        """Uniform numbers in (0, 1), [N, T]: one for each position, or (unit="sentence") one for all of a pair's.

        `number` counts the passes over the target; each has coins of its own.
        """
        check_unit(unit)
        draws = self.draws.of_pass(number)
        if unit == "sentence":
            return draws.uniform("forcing/sentence").unsqueeze(1).expand(-1, self.positions)
        return draws.uniform("forcing/position", self.positions)

    def gold(self, ratio: Tensor | float, unit: str = "position", number: int = 0) -> Tensor:
        """Where the decoder is fed gold words with probability `ratio`: bool [N, T].

        The first position is fed `<sos>` always; what a coin says there is not used.

        Args:
            ratio: ε of all, of each pair, [N], or of each position, [N, T].
            unit: `position`: a coin for each; `sentence`: one coin for all positions of a pair; `prefix`: no coin, the
                first ⌊εT⌋ words that are fed after `<sos>` are gold, of a pair with T target positions (Teutsch &
                Mäder 2022, https://arxiv.org/abs/2210.08959).
            number: of the pass.
        """
        ratio = torch.as_tensor(ratio)
        if ratio.dim() == 1:
            ratio = ratio.unsqueeze(1)
        if unit == "prefix":
            return torch.arange(self.positions) <= whole(ratio * self.lengths.unsqueeze(1))
        return self.coins(unit, number) < ratio


def checked(plan: object, pairs: Pairs) -> "Plan":
    """What a policy gave for some pairs.

    Raises:
        UserError: it is no plan of these pairs.
    """
    wanted, gold = (len(pairs.lengths), pairs.positions), getattr(plan, "gold", None)
    if (
        not isinstance(plan, Plan)
        or not isinstance(gold, Tensor)
        or gold.dtype != torch.bool
        or gold.shape != wanted
    ):
        raise UserError(
            f"forcing: plan(pairs) must give a Plan whose gold is a bool tensor of shape {wanted} [N, T]"
        )
    if not isinstance(plan.ratio, Tensor | None):
        raise UserError(f"forcing: the ratio of a plan must be a tensor, [N] or [N, T], not {plan.ratio!r}")
    return plan


def whole(share: Tensor) -> Tensor:
    """⌊εT⌋ of products εT in double precision, where rounding may have made a whole number a little smaller."""
    return (share.double() + ROUNDING).floor()


class Feeder(Protocol):
    """Gives what the decoder is fed where it is not the gold word."""

    def inputs(self, feeding: Any) -> Tensor:
        """The decoder's inputs [B, T, E] of all positions, gold ones included.

        `feeding` is a `forcing.passes.Feeding`: the decoder, its memory, the gold words, and where it is fed others.
        """
        ...


class Revised(NamedTuple):
    """What B pairs are fed, decided by an earlier pass.

    Attributes:
        words: the words that are fed where it is not the feeder's choice, [B, T].
        gold: where they are the gold ones, bool [B, T].
        own: where the feeder chooses by the scores of that pass, bool [B, T]; never at the first position.
    """

    words: Tensor
    gold: Tensor
    own: Tensor


class Revision(Protocol):
    """Decides what is fed when the scores of an earlier pass are known."""

    def __call__(
        self, logits: Tensor, target: Tensor, lengths: Tensor, plan: "Plan", draws: Draws | None
    ) -> Revised:
        """What is fed.

        Args:
            logits: scores of a pass under gold words, [B, T, V].
            target: the gold words [B, T], each at the position where it is predicted.
            lengths: target positions of each pair, [B].
            plan: the plan itself.
            draws: of the pairs.
        """
        ...


class Plan(NamedTuple):
    """What N pairs are fed.

    Attributes:
        gold: [N, T], True where the decoder is fed the gold word. The first position is always fed `<sos>`, which is no
            gold word: what stands there counts nowhere.
        feeder: gives what is fed elsewhere; None: the arg-max of the decoder's scores.
        ratio: ε, the probability of gold, of each pair [N] or position [N, T], for the log; None where there is none.
        passes: whole passes over a target before the one that is learnt from; own words come from the last of them. 0:
            they come from the decoder's running state, step by step.
        revise: what an earlier pass decides; None: own words replace gold ones where `gold` is False.
        earlier: [N, passes − 1, T], as `gold`, of the passes between the first and the last; None: all are as the last.
        first_pass: with `revise`, the weight of the first pass's loss, which is added to that of the last.
        unk: the id of `<unk>` among the target's words; None where there is none.
        scheduled: the values of each pair, [N], of the schedules of what is not the policy's: `target` and `objective`.
    """

    gold: Tensor
    feeder: Feeder | None = None
    ratio: Tensor | None = None
    passes: int = 0
    revise: Revision | None = None
    earlier: Tensor | None = None
    first_pass: float = 0.0
    unk: int | None = None
    scheduled: Mapping[str, Tensor] = _NOTHING

    def rows(self, rows: slice | Tensor, positions: int) -> "Plan":
        """The plan of some of the pairs, cut to their longest target."""
        ratio = self.ratio
        if ratio is not None:
            ratio = ratio[rows] if ratio.dim() == 1 else ratio[rows, :positions]
        earlier = None if self.earlier is None else self.earlier[rows, :, :positions]
        scheduled = {name: each[rows] for name, each in self.scheduled.items()}
        return self._replace(
            gold=self.gold[rows, :positions], ratio=ratio, earlier=earlier, scheduled=scheduled
        )

    @property
    def own(self) -> Tensor:
        """Where the decoder is not fed the gold word, [N, T]; never at the first position."""
        return _but_first(~self.gold)

    def own_of_pass(self, number: int) -> Tensor:
        """The same for the words that pass `number` gives, counted from 0; those of the last pass are what is fed."""
        if self.earlier is None or number == self.passes - 1:
            return self.own
        return _but_first(~self.earlier[:, number])


class ForcingPolicy(Protocol):
    """Decides what the decoder is fed while it learns."""

    def plan(self, pairs: Pairs) -> Plan:
        """The plan of these pairs."""
        ...


def check_unit(unit: str) -> None:
    """Check that a unit exists.

    Raises:
        ValueError: it is none of `UNITS`.
    """
    if unit not in UNITS:
        raise ValueError(f"unit must be one of {', '.join(UNITS)}, got {unit}")


def check_ratio(name: str, ratio: float) -> None:
    """Check that a value is a probability.

    Raises:
        ValueError: `ratio` is not in [0, 1]; the message begins with `name`.
    """
    if not 0 <= ratio <= 1:
        raise ValueError(f"{name} must lie in [0, 1], got {ratio}")


def mean_over_words(values: Tensor, lengths: Tensor) -> Tensor:
    """The mean of each row over the words that are fed, which are those of positions 1 … lengths[i] − 1.

    `<sos>`, at position 0, is no word. A row without words has the value of position 0.

    Args:
        values: of the positions, [N, T], or the same for all of a row, [N].
        lengths: target positions of each row, [N].

    Returns:
        [N].
    """
    if values.dim() == 1:
        return values
    positions = torch.arange(values.shape[1], device=values.device)
    inside = (positions > 0) & (positions < lengths.unsqueeze(1))
    inside[:, 0] = lengths <= 1
    return (values * inside).sum(dim=1) / (lengths - 1).clamp(min=1)


def _but_first(mask: Tensor) -> Tensor:
    """A mask [N, T] without its first position."""
    mask = mask.clone()
    mask[:, 0] = False
    return mask
