"""What each position of an update is fed: a policy makes a plan; models know nothing of policies.

At its first position a decoder is fed `<sos>`. At a later one a plan has it fed either the gold word of the position
before, or what a feeder makes of its own scores there.
"""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from seq2seq_lab.data.draws import Draws
from seq2seq_lab.decoding.unroll import Choose, argmax


class Pairs(NamedTuple):
    """What a policy may know of N pairs. It should give each pair the same whichever others are beside it.

    Attributes:
        lengths: target positions of each pair, [N].
        positions: T, of the longest.
        progress: the share of training that is done before the pair's update, in [0, 1), float64 [N].
        draws: the random numbers of the pairs; the only ones that a policy may use.
    """

    lengths: Tensor
    positions: int
    progress: Tensor
    draws: Draws

    def coins(self, unit: str = "position") -> Tensor:
        """Uniform numbers in (0, 1), [N, T]: one for each position, or (unit="sentence") one for all of a pair's."""
        if unit == "sentence":
            return self.draws.uniform("forcing/sentence").unsqueeze(1).expand(-1, self.positions)
        return self.draws.uniform("forcing/position", self.positions)


class Plan(NamedTuple):
    """What N pairs are fed.

    Attributes:
        gold: [N, T], True where the decoder is fed the gold word. The first position, which is always fed `<sos>`,
            counts as the policy says.
        choose: how a word is chosen from the decoder's scores where it is not gold.
    """

    gold: Tensor
    choose: Choose = argmax

    def rows(self, rows: slice | Tensor, positions: int) -> "Plan":
        """The plan of some of the pairs, cut to their longest target."""
        return self._replace(gold=self.gold[rows, :positions])

    @property
    def own(self) -> Tensor:
        """Where the decoder is fed its own word, [N, T]; never at the first position."""
        own = ~self.gold
        own[:, 0] = False
        return own


class ForcingPolicy(Protocol):
    """Decides what the decoder is fed while it learns."""

    def plan(self, pairs: Pairs) -> Plan:
        """The plan of these pairs."""
        ...


def forced_share(plan: Plan, lengths: Tensor) -> Tensor:
    """The share of each pair's target positions that are fed gold: [N]."""
    inside = torch.arange(plan.gold.shape[1]) < lengths.unsqueeze(1)
    return (plan.gold & inside).sum(dim=1) / lengths
