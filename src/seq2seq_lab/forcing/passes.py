"""How a plan is carried out: what is fed is found first; then the whole sequence is one call of the model.

Where everything is gold, or known in advance, there is nothing to find. Words that the decoder chooses itself are found
step by step or in an earlier pass, without gradient. Mixtures of words are found step by step, with gradient.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from seq2seq_lab.data.batches import row_lengths
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.decoding.unroll import Choice, Encoded, argmax, encode, unroll
from seq2seq_lab.errors import UserError
from seq2seq_lab.forcing.plan import Plan
from seq2seq_lab.models.interface import Decoded, Model, gold_inputs


class PlannedDecoding(NamedTuple):
    """A model that was fed as a plan says.

    Attributes:
        decoded: its scores.
        gold: where it was fed the gold word, [B, T], on the CPU.
        first: the scores of the first pass, where its loss counts too; None where it does not.
        words: the words that it was fed, [B, T]; None where the feeder gave anything else.
        inputs: what it was fed, [B, T, E]; None where it was fed gold words throughout.
    """

    decoded: Decoded
    gold: Tensor
    first: Decoded | None = None
    words: Tensor | None = None
    inputs: Tensor | None = None


@dataclass(frozen=True)
class Feeding:
    """What a feeder works with: B pairs, each of which is fed other than gold somewhere.

    Attributes:
        model: what is fed.
        encoded: the sources.
        known: the words [B, T] that are known in advance, the gold ones, each at the position where it would be fed.
        own: [B, T], True where something else is fed.
        plan: of these pairs.
        draws: of these pairs, on the decoder's device.
        logits: scores [B, T, V] of an earlier pass that decide what is fed; None: they are yet to be found.
        fed: the words [B, T] that a feeder has embedded by `embed`, if it has.
    """

    model: Model
    encoded: Encoded
    known: Tensor
    own: Tensor
    plan: Plan
    draws: Draws | None
    logits: Tensor | None = None
    fed: list[Tensor] = field(default_factory=list)

    def embed(self, words: Tensor) -> Tensor:
        """The inputs [B, T, E] of the words that are fed, [B, T], which targets are told of."""
        self.fed.append(words)
        return self.model.embed(words)

    def need_draws(self) -> Draws:
        """The draws.

        Raises:
            ValueError: there are none.
        """
        if self.draws is None:
            raise ValueError("this plan needs draws")
        return self.draws

    @torch.no_grad()
    def words(self, choose: Choice) -> Tensor:
        """The words that are fed, [B, T]: gold, or chosen by the decoder's own scores of the position before."""
        if not (self.plan.passes or self.logits is not None):
            embedded = self.model.embed(self.known)
            unrolled = unroll(
                self.model,
                self.encoded,
                embedded,
                self.own,
                words=self.known,
                choose=choose,
                draws=self.draws,
            )
            return unrolled.need_words()

        def given(logits: Tensor, own: Tensor, number: int) -> Tensor:
            draws = None if self.draws is None else self.draws.of_pass(number)
            said = choose(logits[:, :-1], 1, draws)
            return torch.where(own, torch.cat((self.known[:, :1], said), dim=1), self.known)

        return self._of_passes(self.known, given, self.model.embed)

    def mixtures(self, mix: Callable[[Tensor], Tensor]) -> Tensor:
        """The inputs [B, T, E]: embedded gold words, or mixtures by the decoder's own scores of the position before."""
        embedded = self.model.embed(self.known)
        if not (self.plan.passes or self.logits is not None):
            return unroll(self.model, self.encoded, embedded, self.own, mix=mix, draws=self.draws).inputs

        def given(logits: Tensor, own: Tensor, number: int) -> Tensor:
            mixed = self.model.embed_mixture(mix(logits[:, :-1]))
            return torch.where(own.unsqueeze(2), torch.cat((embedded[:, :1], mixed), dim=1), embedded)

        return self._of_passes(embedded, given, lambda inputs: inputs)

    def _of_passes(
        self,
        known: Tensor,
        given: Callable[[Tensor, Tensor, int], Tensor],
        embed: Callable[[Tensor], Tensor],
    ) -> Tensor:
        """What the last of the earlier passes gives, [B, T, …].

        Pass n is fed what pass n − 1 gave, `known` if it is the first. Its first n words stay: the passes before have
        decided about them under the same words.

        Args:
            known: what is known in advance, as it is fed.
            given: scores of a pass, where it is fed other than known, number of the pass → what is fed next.
            embed: what is fed → inputs [B, T, E].
        """
        if self.logits is not None:
            return given(self.logits, self.own, 0)
        fed = known
        for number in range(self.plan.passes):
            logits = scores(self.model, self.encoded, self.known, embed(fed), self.draws).logits
            own = self.plan.own_of_pass(number).to(self.own.device)
            fed = torch.cat((fed[:, : number + 1], given(logits, own, number)[:, number + 1 :]), dim=1)
        return fed


def scores(
    model: Model, encoded: Encoded, target: Tensor, inputs: Tensor | None, draws: Draws | None
) -> Decoded:
    """The scores of a model for inputs [B, T, E] whose source is encoded; None feeds the gold words of `target`."""
    return model(  # type: ignore[no-any-return]
        encoded.source,
        target,
        source_lengths=encoded.source_lengths,
        inputs=inputs,
        memory=encoded.memory,
        draws=draws,
    )


def follow(
    model: Model,
    source: Tensor,
    target: Tensor,
    plan: Plan,
    *,
    source_lengths: Tensor | None = None,
    target_lengths: Tensor | None = None,
    draws: Draws | None = None,
) -> PlannedDecoding:
    """The scores of a model that is fed as a plan says.

    Args:
        model: what is fed.
        source, target, source_lengths, target_lengths: as in `Model.forward` and `Batch`.
        plan: of these pairs; on the CPU.
        draws: of the same pairs, on the model's device.
    """
    if plan.revise is not None:
        encoded = encode(model, source, source_lengths, draws)
        return _revised(model, encoded, target, target_lengths, plan, draws)
    own = plan.own
    rows = own.any(dim=1).nonzero().squeeze(1)  # pairs that are fed gold throughout need no steps
    if not len(rows):
        decoded = model(source, target, source_lengths=source_lengths, draws=draws)
        return PlannedDecoding(decoded, plan.gold, words=gold_inputs(target))
    encoded = encode(model, source, source_lengths, draws)
    known = gold_inputs(target)
    own, here = own.to(source.device), rows.to(source.device)
    if everything := len(rows) == len(source):
        feeding = Feeding(model, encoded, known, own, plan, draws)
    else:
        part, some = None if draws is None else draws[here], plan.rows(rows, target.shape[1])
        feeding = Feeding(model, encoded.select(here), known[here], own[here], some, part)
    inputs, words = _inputs(feeding)
    if not everything:
        inputs = model.embed(known).index_copy(0, here, inputs)
        words = None if words is None else known.index_copy(0, here, words)
    decoded = scores(model, encoded, target, inputs, draws)
    return PlannedDecoding(decoded, plan.gold, words=words, inputs=inputs)


def _inputs(feeding: Feeding) -> tuple[Tensor, Tensor | None]:
    """What is fed, [B, T, E], and its words, [B, T], where it is words."""
    if feeding.plan.feeder is None:
        inputs = feeding.embed(feeding.words(argmax))
    else:
        inputs = feeding.plan.feeder.inputs(feeding)
        if not isinstance(inputs, Tensor) or inputs.dim() != 3 or inputs.shape[:2] != feeding.known.shape:
            given = tuple(inputs.shape) if isinstance(inputs, Tensor) else type(inputs).__name__
            wanted = "({}, {}, E) [B, T, E]".format(*feeding.known.shape)
            raise UserError(
                f"forcing.feeder: it must give the decoder's inputs, a tensor of shape {wanted}, not {given}"
            )
    return inputs, feeding.fed[-1] if feeding.fed else None


def _revised(
    model: Model,
    encoded: Encoded,
    target: Tensor,
    target_lengths: Tensor | None,
    plan: Plan,
    draws: Draws | None,
) -> PlannedDecoding:
    """Fed as a plan decides when it has seen the scores of a pass under gold words."""
    assert plan.revise is not None
    with torch.set_grad_enabled(plan.first_pass > 0):
        first = scores(model, encoded, target, None, draws)
    logits = first.logits.detach()
    revised = plan.revise(logits, target, row_lengths(target, target_lengths), plan, draws)
    feeding = Feeding(model, encoded, revised.words, revised.own, plan, draws, logits)
    inputs, words = _inputs(feeding)
    decoded = scores(model, encoded, target, inputs, draws)
    return PlannedDecoding(decoded, revised.gold.cpu(), first if plan.first_pass else None, words, inputs)
