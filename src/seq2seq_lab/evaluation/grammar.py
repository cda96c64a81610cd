"""Measures of exposure bias against the true distribution of translations, which is known for a corpus of a
grammar."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seq2seq_lab.data.task import Distribution
from seq2seq_lab.data.vocabulary import EOS, SOS, SPECIAL_WORDS, Vocabulary
from seq2seq_lab.evaluation.analysis import Subject
from seq2seq_lab.models.interface import Model, select

END = SPECIAL_WORDS[EOS]
_NOTHING = 1e-3  # a distance, as a share of the largest; a ratio to a smaller one says nothing
_ZERO = 1e-9  # a sum of distances up to this is 0


class AgainstGrammar:
    """Exact measures where the distribution of the data is known; see `exact`. Empty elsewhere."""

    name = "grammar"

    def __call__(self, subject: Subject) -> dict[str, Any]:
        if subject.distribution is None:
            return {}
        found: dict[str, Compared] = {}
        for batch, rows in subject.few(len(subject.sources)):
            lengths = (
                [batch.source.shape[1]] * len(rows) if batch.source_lengths is None else batch.source_lengths
            )
            for number, (row, length) in enumerate(zip(rows.tolist(), lengths, strict=True)):
                source = subject.sources[row]
                nodes = [] if source in found else prefixes(subject.distribution, source, subject.vocabulary)
                if nodes:
                    ids = batch.source[number : number + 1, : int(length)]
                    predict_sos = int(batch.target[number, 0]) == SOS
                    found[source] = compared(subject.model, ids, nodes, predict_sos=predict_sos)
        return exact(found.values(), len(subject.vocabulary))


class Prefix(NamedTuple):
    """A prefix of a translation that is possible in the data.

    Attributes:
        words: ids of its words.
        data: o(prefix | source), its probability in the data.
        next: o(v | prefix, source), the probability in the data of each word v that can follow it, `<eos>` included.
    """

    words: tuple[int, ...]
    data: float
    next: Mapping[int, float]


class Compared(NamedTuple):
    """The model beside the data after N prefixes of one source, float64 [N] each.

    Attributes:
        length: words of the prefix.
        data, model: o(prefix | source) and p(prefix | source), its probabilities in the data and in the model.
        ended: p(prefix and then `<eos>` | source) where the data can end there, else 0.
        total_variation, jensen_shannon, divergence: between the distributions of the next word: ½ Σ |o − p|, the
            Jensen–Shannon divergence and KL(o ‖ p), both in nats.
    """

    length: Tensor
    data: Tensor
    model: Tensor
    ended: Tensor
    total_variation: Tensor
    jensen_shannon: Tensor
    divergence: Tensor


def prefixes(distribution: Distribution, source: str, vocabulary: Vocabulary) -> list[Prefix]:
    """All prefixes of the translations of a source, a shorter one before a longer one.

    Empty if the data has no translation, or one with a word that is not in the vocabulary.
    """
    found: list[Prefix] = []
    waiting: list[tuple[tuple[str, ...], float]] = [((), 1.0)]
    for words, probability in waiting:
        following = distribution.next_words(source, words)
        if not following or any(word not in vocabulary for word in following):
            return []
        ids = dict(zip(vocabulary.encode(list(following)), following.values(), strict=True))
        found.append(Prefix(tuple(vocabulary.encode(words)), probability, ids))
        waiting += [((*words, word), probability * share) for word, share in following.items() if word != END]
    return found


@torch.no_grad()
def compared(model: Model, source: Tensor, nodes: Sequence[Prefix], *, predict_sos: bool = False) -> Compared:
    """Compare the model with the data after every prefix that the data can produce for one source.

    Args:
        source: ids [1, S].
        nodes: see `prefixes`.
        predict_sos: whether `<sos>` is the first word that the model predicts; it is then given, as in the data.
    """
    log_p = _model(model, source, nodes, predict_sos)
    o = _data(nodes, log_p.shape[1])
    p, middle = log_p.exp(), (o + log_p.exp()) / 2
    own: dict[tuple[int, ...], float] = {(): 1.0}
    for row, each in enumerate(nodes):
        own |= {(*each.words, word): own[each.words] * float(p[row, word]) for word in each.next}
    return Compared(
        length=torch.tensor([len(each.words) for each in nodes], dtype=torch.float64),
        data=torch.tensor([each.data for each in nodes], dtype=torch.float64),
        model=torch.tensor([own[each.words] for each in nodes], dtype=torch.float64),
        ended=torch.tensor([own.get((*each.words, EOS), 0.0) for each in nodes], dtype=torch.float64),
        total_variation=(o - p).abs().sum(dim=1) / 2,
        jensen_shannon=(torch.xlogy(o, o) + torch.xlogy(p, p) - 2 * torch.xlogy(middle, middle)).sum(dim=1)
        / 2,
        divergence=torch.where(o > 0, torch.xlogy(o, o) - o * log_p, 0.0).sum(dim=1),
    )


def _data(nodes: Sequence[Prefix], size: int) -> Tensor:
    o = torch.zeros(len(nodes), size, dtype=torch.float64)
    for row, each in enumerate(nodes):
        o[row, list(each.next)] = torch.tensor(list(each.next.values()), dtype=torch.float64)
    return o


def _model(model: Model, source: Tensor, nodes: Sequence[Prefix], predict_sos: bool) -> Tensor:
    """log p(v | prefix, source), float64 [N, V] on the CPU."""
    place: dict[
        tuple[int, ...], tuple[int, int]
    ] = {}  # of each prefix: in the first of the longest ones with it
    longest: list[tuple[int, ...]] = []
    for words in (each.words for each in reversed(nodes)):
        if words not in place:
            place |= {words[:t]: (len(longest), t) for t in range(len(words) + 1) if words[:t] not in place}
            longest.append(words)
    marks = (SOS, SOS) if predict_sos else (SOS,)
    most = max(map(len, longest))
    fed = torch.tensor(
        [[*marks, *words, *[SOS] * (most - len(words))] for words in longest], device=source.device
    )
    rows = torch.arange(len(longest), device=source.device)
    memory = select(model.encode(source), torch.zeros_like(rows))
    decoded = model(source.expand(len(longest), -1), fed, inputs=model.embed(fed), memory=memory)
    row, t = torch.tensor([place[each.words] for each in nodes], device=source.device).unbind(1)
    scores: Tensor = decoded.logits[row, t + len(marks) - 1]
    return scores.double().log_softmax(dim=1).cpu()


def exact(sources: Iterable[Compared], vocabulary_size: int) -> dict[str, Any]:
    """EB-C and the excess accumulated error, computed from all prefixes that the data can produce; nothing is sampled.

    The means are over the sources and over their prefixes of l words that have not ended, weighted with their
    probability in the data, o(prefix | source), or in the model, p(prefix | source), as ancestral sampling would draw
    them.

    The data's distribution of the next word is defined only after prefixes that the data can produce: inside the
    grammar. "outside" is the probability that the model has left it within its first l words. A mean over the prefixes
    inside alone is on condition of no error so far, and can therefore fall where the model errs more. So a prefix
    outside counts too, with the largest distance: 1 for total variation, ln 2 for Jensen–Shannon. KL has no largest
    value; there it counts ln V, the divergence of a certain word from a uniform guess of V words. The means over the
    prefixes inside alone are "…_inside".

    EB-C(l) = CGD under the model's prefixes / CGD under the data's, where CGD is the mean distance between the
    next-word distributions (He et al. 2021, https://arxiv.org/abs/1905.10617). 1: no bias.

    Excess accumulated error(l) = 100 (R(l) − l ε(l)) / (l ε(l)), in per cent. R(l) is the sum over t = 1 … l of the
    mean of KL(o ‖ p) after the model's prefixes of t − 1 words, and l ε(l) the same after the data's prefixes
    (Arora et al. 2022, https://arxiv.org/abs/2204.01171). 0: no bias. KL(o ‖ p) = Σ_v o(v) log(o(v) /
    p(v)); a word with o(v) = 0 adds 0, and p(v) > 0 for all words of a trained model.

    Of a model without any distance, EB-C is 1 and the excess error 0.

    Args:
        vocabulary_size: V.

    Returns:
        "sources"; "prefix" l = 0 …; "outside"; "total_variation" and "jensen_shannon", each with the CGDs "data",
        "model" and "model_inside", and "eb_c" = model / data and "eb_c_inside", null where the CGD under the data's
        prefixes is less than 0.001 of the largest distance; "excess" and "excess_inside" of l + 1 words, null where
        l ε(l) is 0; "measures": EB-C, the ratio of the mean CGDs over l ≥ 1, weighted with the data's prefixes;
        "excess" of the longest; "outside", the probability that what the model says up to its `<eos>` is none of the
        source's translations.
    """
    every = list(sources)
    if not every:
        return {"sources": 0, "measures": {}}
    table = Compared(*(torch.cat(column) for column in zip(*every, strict=True)))
    lengths = range(int(table.length.max()) + 1)
    rows = [Compared(*(column[table.length == n] for column in table)) for n in lengths]
    ended = torch.stack([each.ended.sum() for each in rows])
    alive = torch.stack([each.model.sum() for each in rows])
    inside = alive + ended.cumsum(0) - ended
    outside = (1 - inside / len(every)).clamp(min=0).tolist()
    left = [share * len(every) for share in outside]
    found: dict[str, Any] = {"sources": len(every), "prefix": list(lengths), "outside": outside}
    for name, largest in (("total_variation", 1.0), ("jensen_shannon", math.log(2))):
        found[name] = _distances(name, largest, rows, left)
    for name, lost in (("excess", left), ("excess_inside", [0.0] * len(left))):
        found[name] = _excess(rows, math.log(vocabulary_size), lost)
    never = max(0.0, 1 - float(ended.sum()) / len(every))
    return found | {
        "measures": {"outside": never, **_measures(found, [float(each.data.sum()) for each in rows])}
    }


def _distances(
    name: str, largest: float, rows: Sequence[Compared], outside: Sequence[float]
) -> dict[str, list[float | None]]:
    """The CGDs by prefix length, and EB-C; `outside`: the probability of other prefixes, summed over the sources."""
    data = [_mean(getattr(each, name), each.data) for each in rows]
    found: dict[str, list[float | None]] = {"data": [*data]}
    for suffix, left in (("", outside), ("_inside", [0.0] * len(rows))):
        model = [_own_mean(each, getattr(each, name), largest, n) for each, n in zip(rows, left, strict=True)]
        found[f"model{suffix}"] = [*model]
        found[f"eb_c{suffix}"] = [_ratio(a, b, _NOTHING * largest) for a, b in zip(model, data, strict=True)]
    return found


def _excess(rows: Sequence[Compared], largest: float, outside: Sequence[float]) -> list[float | None]:
    own = [_own_mean(each, each.divergence, largest, n) for each, n in zip(rows, outside, strict=True)]
    gold = [_mean(each.divergence, each.data) for each in rows]
    sums = (list(accumulate(each)) for each in (own, gold))
    ratios = (_ratio(a, b) for a, b in zip(*sums, strict=True))
    return [None if ratio is None else 100 * (ratio - 1) for ratio in ratios]


def _own_mean(row: Compared, distance: Tensor, largest: float, outside: float) -> float:
    """The mean over the model's prefixes of one length, where those outside have the largest distance."""
    inside = float(row.model.sum())
    total = float((distance * row.model).sum()) + largest * outside
    return total / (inside + outside) if inside + outside else 0.0


def _measures(found: Mapping[str, Any], weights: Sequence[float]) -> dict[str, float]:
    """Measures over all lengths, weighted with the data's prefixes of each length; those of no words have no bias."""
    distances = found["total_variation"]
    values: dict[str, float | None] = {}
    for suffix in ("", "_inside"):
        model, data = (
            sum(weight * cgd for weight, cgd in zip(weights[1:], distances[which][1:], strict=True))
            for which in (f"model{suffix}", "data")
        )
        values[f"eb_c{suffix}"] = _ratio(model, data, _NOTHING * sum(weights[1:]))
        values[f"excess_error{suffix}"] = found[f"excess{suffix}"][-1]
    return {name: value for name, value in values.items() if value is not None}


def _mean(values: Tensor, weights: Tensor) -> float:
    total = weights.sum()
    return float((values * weights).sum() / total) if total > 0 else 0.0


def _ratio(numerator: float, denominator: float, least: float = _ZERO) -> float | None:
    """The ratio; 1 where both are 0, as there is no difference; None where the denominator alone is too small."""
    if max(numerator, denominator) <= _ZERO:
        return 1.0
    return numerator / denominator if denominator > least else None
