"""Recovery: whether the model's next words are right after one wrong word."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from seq2seq_lab.data.batches import Batch
from seq2seq_lab.data.draws import Draws
from seq2seq_lab.data.vocabulary import EOS, SOS
from seq2seq_lab.evaluation.analysis import Subject
from seq2seq_lab.evaluation.positions import positions
from seq2seq_lab.models.best_word import best_word
from seq2seq_lab.models.interface import Model, gold_inputs, select

AFTER = 3  # words after the wrong one
_SCORES = 1 << 24  # scores in memory at a time


class Recovery:
    """Recovery from a wrong word; see `recovery`.

    Args:
        pairs: of more pairs, this many are analysed, at equal distances.
    """

    name = "recovery"

    def __init__(self, *, pairs: int = 500) -> None:
        self.pairs = pairs

    def __call__(self, subject: Subject) -> dict[str, Any]:
        words = replaceable(len(subject.vocabulary), subject.vocabulary.unk)
        return recovery(
            recovered(subject.model, batch, Draws(0, 0, rows.to(batch.target.device)), words)
            for batch, rows in subject.few(self.pairs)
        )


class Recovered(NamedTuple):
    """Words after one replaced word, for N pairs and positions (p, t).

    Attributes:
        gold, random, second_best: [N, 3], whether the next k = 1, 2, 3 words after position t are all right if the word
            at t is the gold one, or a random one, or the model's second-best one. Where the target ends earlier, they
            are the words up to its end.
    """

    gold: Tensor
    random: Tensor
    second_best: Tensor


@torch.no_grad()
def recovered(model: Model, batch: Batch, draws: Draws, replaceable: Tensor) -> Recovered:
    """Replace one word at each position of each target in turn, and predict the words after it.

    It makes no difference whether the model is fed the gold words or its own after the replaced one: as long as all
    words are right, they are the same.

    Args:
        draws: of the batch's pairs; the random word is a function of (seed, pair, position).
        replaceable: [V], True for words that can be replaced and can replace: not the special words.
    """
    target = batch.target
    replaceable = replaceable.to(target.device)
    memory = model.encode(batch.source, batch.source_lengths)
    scores = model(batch.source, target, source_lengths=batch.source_lengths, memory=memory).logits
    inside = positions(batch)
    pair, t = (replaceable[target] & inside).nonzero(as_tuple=True)
    if not len(pair):  # not every model takes a batch of nothing
        nothing = torch.zeros(0, AFTER, dtype=torch.bool)
        return Recovered(nothing, nothing, nothing)
    # Columns at the end, so that the positions after t exist in all targets.
    after = t[:, None] + torch.arange(1, AFTER + 1, device=t.device)
    wanted, exists = (nn.functional.pad(each, (0, AFTER))[pair[:, None], after] for each in (target, inside))
    predicted = nn.functional.pad(best_word(scores), (0, AFTER))[pair[:, None], after]

    known = replaceable[wanted] | (wanted == EOS)  # `<unk>` stands for different words

    def right(words: Tensor) -> Tensor:
        return ((words == wanted) & known | ~exists).cumprod(dim=1).bool()

    def after_word(word: Tensor) -> Tensor:
        found = _predict(model, batch, memory, pair, t, word, len(replaceable))
        return right(found[torch.arange(len(t), device=t.device)[:, None], after])

    chosen = draws.uniform("recovery", target.shape[1])[pair, t]
    return Recovered(
        right(predicted),
        after_word(_other_word(target[pair, t], replaceable, chosen)),
        after_word(_second_best(scores[pair, t], target[pair, t], replaceable)),
    )


def recovery(parts: Iterable[Recovered]) -> dict[str, Any]:
    """P(the next k words are right | one gold word of the prefix was replaced), after Wang & Sennrich 2020
    (https://arxiv.org/abs/2005.03642): over all positions t of words, the next k words as far as the target goes, with
    its `<eos>`. A word is a symbol of the vocabulary here, which may be a subword or a character.

    A random word is uniform over the target's vocabulary without the gold word and the special words. The second-best
    word is the model's most probable one after the gold prefix, of the same words. "gold" is the same without a
    replacement.

    Returns:
        "k" [3]; "gold", "random", "second_best": a share each [3]; "positions": the number of (pair, t), in all
        three; "measures".
    """
    joined = Recovered(*(torch.cat([each.cpu() for each in column]) for column in zip(*parts, strict=True)))
    if not len(joined.gold):  # the targets have no known words
        return {"positions": 0, "measures": {}}
    shares = {name: each.double().mean(dim=0).tolist() for name, each in joined._asdict().items()}
    return {
        "k": list(range(1, AFTER + 1)),
        **shares,
        "positions": len(joined.gold),
        "measures": {f"recovery_{kind}": shares[kind][0] for kind in ("random", "second_best")},
    }


def _other_word(gold: Tensor, replaceable: Tensor, uniform: Tensor) -> Tensor:
    """For each gold word, one of the other replaceable words, from a number in (0, 1); all [N]."""
    words = replaceable.nonzero().squeeze(1)
    place = (uniform * (len(words) - 1)).long()
    return words[place + (place >= torch.searchsorted(words, gold))]


def _second_best(scores: Tensor, gold: Tensor, replaceable: Tensor) -> Tensor:
    # A probability may be 0, but the word must be another one.
    scores = scores.clamp(min=torch.finfo(scores.dtype).min).masked_fill(~replaceable, -torch.inf)
    return best_word(scores.scatter(1, gold[:, None], -torch.inf))


def _predict(
    model: Model, batch: Batch, memory: Any, pair: Tensor, t: Tensor, words: Tensor, vocabulary_size: int
) -> Tensor:
    """The most probable words [N, T + 3] where the word at position t of a pair is replaced; zero after T."""
    inputs = gold_inputs(batch.target)[pair]
    inputs[torch.arange(len(t), device=t.device), t + 1] = words
    rows = max(1, _SCORES // (batch.target.shape[1] * vocabulary_size))
    found = []
    for part in torch.split(torch.arange(len(pair), device=pair.device), rows):
        lengths = None if batch.source_lengths is None else batch.source_lengths[pair[part]]
        decoded = model(
            batch.source[pair[part]],
            batch.target[pair[part]],
            source_lengths=lengths,
            inputs=model.embed(inputs[part]),
            memory=select(memory, pair[part]),
        )
        found.append(best_word(decoded.logits))
    return nn.functional.pad(torch.cat(found), (0, AFTER))


def replaceable(size: int, unk: int | None = None) -> Tensor:
    """[V], False for the special words `<sos>`, `<eos>` and, if there is one, `<unk>`; for all, where there is but one
    other word, which nothing could replace."""
    mask = torch.ones(size, dtype=torch.bool)
    mask[[SOS, EOS, *([] if unk is None else [unk])]] = False
    return mask if mask.sum() > 1 else torch.zeros_like(mask)
