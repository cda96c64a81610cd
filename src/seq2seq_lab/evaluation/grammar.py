"""Measures of exposure bias against the true distribution of translations, which is known for a corpus of a
grammar."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seq2seq_lab.data.vocabulary import EOS, SOS, SPECIAL_WORDS, Vocabulary
from seq2seq_lab.evaluation.analysis import Distribution, Subject
from seq2seq_lab.models.seq2seq import Seq2Seq

END = SPECIAL_WORDS[EOS]
_NOTHING = 1e-3  # a distance, as a share of the largest; a ratio of two smaller ones says nothing


class AgainstGrammar:
    """Exact measures where the distribution of the data is known; see `exact`. Empty elsewhere."""

    name = "grammar"

    def __call__(self, subject: Subject) -> dict[str, Any]:
        if subject.distribution is None:
            return {}
        found: dict[str, Compared] = {}
        for batch, _, rows in subject.few(len(subject.sources)):
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
        return exact(found.values())


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
def compared(
    model: Seq2Seq, source: Tensor, nodes: Sequence[Prefix], *, predict_sos: bool = False
) -> Compared:
    """Compare the model with the data after every prefix that the data can produce for one source.

    Args:
        source: ids [1, S].
        nodes: see `prefixes`.
        predict_sos: whether `<sos>` is the first word that the model predicts; it is then given, as in the data.
    """
    o, log_p = _data(nodes, model.decoder.output.out_features), _model(model, source, nodes, predict_sos)
    p, middle = log_p.exp(), (o + log_p.exp()) / 2
    own: dict[tuple[int, ...], float] = {(): 1.0}
    for row, each in enumerate(nodes):
        own |= {(*each.words, word): own[each.words] * float(p[row, word]) for word in each.next}
    return Compared(
        length=torch.tensor([float(len(each.words)) for each in nodes]).double(),
        data=torch.tensor([each.data for each in nodes], dtype=torch.float64),
        model=torch.tensor([own[each.words] for each in nodes], dtype=torch.float64),
        ended=torch.tensor([own.get((*each.words, EOS), 0.0) for each in nodes], dtype=torch.float64),
        total_variation=(o - p).abs().sum(dim=1) / 2,
        jensen_shannon=(torch.xlogy(o, o) + torch.xlogy(p, p) - 2 * torch.xlogy(middle, middle)).sum(dim=1)
        / 2,
        divergence=(torch.xlogy(o, o) - o * log_p).sum(dim=1),
    )


def _data(nodes: Sequence[Prefix], size: int) -> Tensor:
    o = torch.zeros(len(nodes), size, dtype=torch.float64)
    for row, each in enumerate(nodes):
        o[row, list(each.next)] = torch.tensor(list(each.next.values()), dtype=torch.float64)
    return o


def _model(model: Seq2Seq, source: Tensor, nodes: Sequence[Prefix], predict_sos: bool) -> Tensor:
    """log p(v | prefix, source), float64 [N, V] on the CPU."""
    fed = [(SOS, SOS, *each.words) if predict_sos else (SOS, *each.words) for each in nodes]
    longest = max(map(len, fed))
    words = torch.tensor([[*each, *[SOS] * (longest - len(each))] for each in fed], device=source.device)
    rows = torch.arange(len(nodes), device=source.device)
    memory = model.encoder(source).select(torch.zeros_like(rows))
    decoded = model(source.expand(len(nodes), -1), words, inputs=model.decoder.embed(words), memory=memory)
    last = torch.tensor([len(each) - 1 for each in fed], device=source.device)
    scores: Tensor = decoded.logits[rows, last]
    return scores.double().log_softmax(dim=1).cpu()


def exact(sources: Iterable[Compared]) -> dict[str, Any]:
    """EB-C and the excess accumulated error, computed from all prefixes that the data can produce; nothing is sampled.

    The means are over the sources and over their prefixes of l words that have not ended, weighted with their
    probability in the data, o(prefix | source), or in the model, p(prefix | source), as ancestral sampling would draw
    them.

    The data's distribution of the next word is defined only after prefixes that the data can produce. The means over
    the model's prefixes are therefore over these alone, and "outside" is the probability that the model has left them
    within its first l words. In "model_at_most" each prefix outside counts with the largest distance, 1 for total
    variation and ln 2 for Jensen–Shannon.

    EB-C(l) = CGD under the model's prefixes / CGD under the data's, where CGD is the mean distance between the
    next-word distributions (He et al. 2021, https://arxiv.org/abs/1905.10617). 1: no bias.

    Excess accumulated error(l) = 100 (R(l) − l ε(l)) / (l ε(l)), in per cent. R(l) is the sum over t = 1 … l of the
    mean of KL(o ‖ p) after the model's prefixes of t − 1 words, and l ε(l) the same after the data's prefixes
    (Arora et al. 2022, https://arxiv.org/abs/2204.01171). 0: no bias. KL(o ‖ p) = Σ_v o(v) log(o(v) /
    p(v)); a word with o(v) = 0 adds 0, and p(v) > 0 for all words.

    Returns:
        "sources"; "prefix" l = 0 …; "outside"; "total_variation" and "jensen_shannon", each with the CGDs "data",
        "model" and "model_at_most", and "eb_c" = model / data, null where the CGD under the data's prefixes is less
        than 0.001 of the largest distance; "excess" of l + 1 words, null where l ε(l) is 0; "measures": EB-C, the ratio
        of the mean CGDs over l ≥ 1, weighted with the data's prefixes; "outside" and "excess" of the longest.
    """
    every = list(sources)
    if not every:
        return {"sources": 0, "measures": {}}
    table = Compared(*(torch.cat(column) for column in zip(*every, strict=True)))
    lengths = range(int(table.length.max()) + 1)
    rows = [Compared(*(column[table.length == n] for column in table)) for n in lengths]
    ended = torch.tensor([float(each.ended.sum()) for each in rows]).double()
    inside = torch.tensor([float(each.model.sum()) for each in rows]).double() + ended.cumsum(0) - ended
    outside = (1 - inside / len(every)).clamp(min=0).tolist()
    found: dict[str, Any] = {"sources": len(every), "prefix": list(lengths), "outside": outside}
    for name, largest in (("total_variation", 1.0), ("jensen_shannon", math.log(2))):
        found[name] = _distances(name, largest, rows, [share * len(every) for share in outside])
    found["excess"] = _excess(rows)
    return found | {"measures": _measures(found, [float(each.data.sum()) for each in rows])}


def _distances(
    name: str, largest: float, rows: Sequence[Compared], outside: Sequence[float]
) -> dict[str, list[float | None]]:
    """The CGDs by prefix length, and EB-C; `outside`: the probability of other prefixes, summed over the sources."""
    data, model, at_most = [], [], []
    for each, other in zip(rows, outside, strict=True):
        distance = getattr(each, name)
        data.append(_mean(distance, each.data))
        model.append(_mean(distance, each.model))
        inside = float(each.model.sum())
        at_most.append((model[-1] * inside + largest * other) / (inside + other) if inside + other else 0.0)
    ratios = [_ratio(a, b, _NOTHING * largest) for a, b in zip(model, data, strict=True)]
    return {"data": [*data], "model": [*model], "model_at_most": [*at_most], "eb_c": ratios}


def _excess(rows: Sequence[Compared]) -> list[float | None]:
    own, gold = (
        torch.tensor([_mean(each.divergence, getattr(each, which)) for each in rows])
        .double()
        .cumsum(0)
        .tolist()
        for which in ("model", "data")
    )
    ratios = (_ratio(a - b, b) for a, b in zip(own, gold, strict=True))
    return [None if ratio is None else 100 * ratio for ratio in ratios]


def _measures(found: Mapping[str, Any], weights: Sequence[float]) -> dict[str, float]:
    """Measures over all lengths, weighted with the data's prefixes of each length; those of no words have no bias."""
    distances = found["total_variation"]
    model, data = (
        sum(weight * cgd for weight, cgd in zip(weights[1:], distances[which][1:], strict=True))
        for which in ("model", "data")
    )
    ratio = _ratio(model, data, _NOTHING * sum(weights[1:]))
    values = {"eb_c": ratio, "outside": found["outside"][-1], "excess_error": found["excess"][-1]}
    return {name: value for name, value in values.items() if value is not None}


def _mean(values: Tensor, weights: Tensor) -> float:
    total = weights.sum()
    return float((values * weights).sum() / total) if total > 0 else 0.0


def _ratio(numerator: float, denominator: float, least: float = 1e-12) -> float | None:
    return numerator / denominator if denominator > least else None
