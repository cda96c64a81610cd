"""Beam search."""

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from seq2seq_lab.data.vocabulary import EOS, SOS
from seq2seq_lab.decoding import LARGEST_ALPHA
from seq2seq_lab.decoding.unroll import Steps, encode
from seq2seq_lab.errors import is_whole
from seq2seq_lab.models.best_word import best_word
from seq2seq_lab.models.interface import Model


class Hypothesis(NamedTuple):
    """A translation.

    Attributes:
        words: ids, with `<eos>` if it ends before the maximum length.
        log_probability: the sum of log p(word | source, words before it), in nats.
        score: log_probability / length_penalty(number of words), which hypotheses are ranked by.
    """

    words: list[int]
    log_probability: float
    score: float


_NONE = Hypothesis([], -math.inf, -math.inf)
_BATCH = 64  # sources that are translated at a time


def length_penalty(words: int, alpha: float) -> float:
    """((5 + n) / 6)^alpha for n words, of which `<eos>` is one (Wu et al. 2016, eq. 14).

    https://arxiv.org/abs/1609.08144. With alpha = 0, hypotheses are ranked by their probability, which prefers short
    ones.
    """
    return float(((5 + words) / 6) ** alpha)


def check_search(*, beam: Any, alpha: Any, n_best: Any = 1) -> None:
    """Refuse a search that cannot be, before anything is searched.

    Raises:
        ValueError: `beam` or `n_best` is no whole number or out of its range, or `alpha` is out of its range.
    """
    for name, value in (("beam", beam), ("n_best", n_best)):
        if not is_whole(value):
            raise ValueError(f"{name} must be a whole number, got {value!r}")
    if beam < 1:
        raise ValueError(f"beam must be at least 1, got {beam}")
    if not 1 <= n_best <= beam:
        raise ValueError(f"n_best must be between 1 and the beam, {beam}, got {n_best}")
    if not isinstance(alpha, Real) or not abs(float(alpha)) <= LARGEST_ALPHA:  # NaN is not
        raise ValueError(
            f"the length penalty must be between -{LARGEST_ALPHA} and {LARGEST_ALPHA}, got {alpha!r}"
        )


def best_hypotheses(
    model: Model,
    sources: Sequence[Sequence[int]],
    max_length: int,
    *,
    beam: int = 1,
    alpha: float = 1.0,
    n_best: int = 1,
) -> list[list[Hypothesis]]:
    """The best hypotheses of any number of sources, in batches; the other arguments and errors are of `beam_search`.

    Args:
        sources: the ids of each, without `<eos>`; one that has no id has no hypothesis.
    """
    check_search(beam=beam, alpha=alpha, n_best=n_best)
    found: list[list[Hypothesis]] = [[] for _ in sources]
    known = [row for row, ids in enumerate(sources) if ids]
    for start in range(0, len(known), _BATCH):
        rows = known[start : start + _BATCH]
        ids = [torch.tensor([*sources[row], EOS]) for row in rows]
        lengths = torch.tensor([len(each) for each in ids])
        several = beam_search(
            model,
            pad_sequence(ids, batch_first=True),
            None if bool((lengths == lengths[0]).all()) else lengths,
            max_length,
            beam=beam,
            alpha=alpha,
            n_best=n_best,
        )
        for row, each in zip(rows, several, strict=True):
            found[row] = each
    return found


@torch.no_grad()
def beam_search(
    model: Model,
    source: Tensor,
    source_lengths: Tensor | None,
    max_length: int,
    *,
    beam: int = 5,
    alpha: float = 1.0,
    n_best: int = 1,
) -> list[list[Hypothesis]]:
    """The best hypotheses of each source, the best one first.

    At each step the most probable continuations of all unfinished hypotheses are kept; one that ends with `<eos>`
    leaves the beam, which is then narrower by one (Sutskever et al. 2014, https://arxiv.org/abs/1409.3215). The search
    of a sentence ends when its beam is empty, or at the maximum length, where unfinished hypotheses are taken as they
    are. So a beam of 1 is greedy decoding, and nothing is lost by ending early. A sentence whose search has ended is
    computed no further. Where a model has diverged, so that nothing has a probability, the only hypothesis is empty.

    Args:
        source: ids [B, S]; its lengths [B] are as in `Model.forward`.
        max_length: maximum number of words of a hypothesis, `<eos>` included.
        beam: number of hypotheses, at least 1.
        alpha: of the length penalty, between −10 and 10.
        n_best: number of hypotheses that are returned, at most `beam`; fewer if there are fewer.

    Raises:
        ValueError: `beam`, `alpha` or `n_best` is out of its range.
    """
    check_search(beam=beam, alpha=alpha, n_best=n_best)
    decoding = Steps(model, encode(model, source, source_lengths))
    # A beam begins with one hypothesis, the empty one.
    scores = torch.zeros(len(source), 1, dtype=torch.float64, device=source.device)
    words = source.new_full((len(source), 1, 1), SOS)
    found: list[list[Hypothesis]] = [[] for _ in source]
    going = found  # of the sentences that are still searched
    for length in range(1, max_length + 1):
        logits = decoding.step(model.embed(words[:, :, -1].reshape(-1, 1))).logits
        free = beam - torch.tensor([len(each) for each in going], device=source.device)
        hypotheses = scores.shape[1]
        scores, parents, last = _best(scores, logits.view(*scores.shape, -1), free)
        rows = torch.arange(len(going), device=source.device).unsqueeze(1)
        words = torch.cat((words[rows, parents], last.unsqueeze(2)), dim=2)
        ended = ((last == EOS) | (length == max_length)) & scores.isfinite()
        _collect(going, words, scores, ended, alpha)
        scores = scores.masked_fill(ended, -torch.inf)
        on = scores.isfinite().any(dim=1)
        going = [each for each, goes_on in zip(going, on.tolist(), strict=True) if goes_on]
        if not going:
            break
        scores, words = scores[on], words[on]
        decoding.select((rows * hypotheses + parents)[on].flatten())
    return [sorted(each, key=lambda one: -one.score)[:n_best] or [_NONE] for each in found]


def _best(scores: Tensor, logits: Tensor, free: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The best continuations: their scores, the hypotheses they continue, and their words, all [B, K'].

    Args:
        scores: of the hypotheses, [B, K]; −∞ for finished ones.
        logits: of their next words, [B, K, V].
        free: for each sentence, the number of continuations to keep [B]; the others get −∞.
    """
    width = min(int(free.max()), scores.shape[1] * logits.shape[2])
    # No more than these of one hypothesis are among the best, so that nothing else needs a log-probability. By its
    # logit, a beam of 1 takes the word of greedy decoding.
    each = min(width, logits.shape[2])
    if each == 1:
        words = best_word(logits).unsqueeze(2)
        best = logits.gather(2, words)
    else:
        best, words = logits.topk(each, dim=2)
    continued = (scores.unsqueeze(2) + best.double() - _log_sum_exp(logits)).flatten(1)
    found, place = continued.topk(width, dim=1)
    found = found.masked_fill(torch.arange(width, device=free.device) >= free.unsqueeze(1), -torch.inf)
    return found, place // each, words.flatten(1).gather(1, place)


def _log_sum_exp(logits: Tensor) -> Tensor:
    """Of each hypothesis [B, K, 1], in double precision, from logits [B, K, V]."""
    most = logits.amax(dim=2, keepdim=True)
    return most.double() + (logits - most).exp_().sum(dim=2, keepdim=True).double().log()


def _collect(
    found: list[list[Hypothesis]], words: Tensor, scores: Tensor, ended: Tensor, alpha: float
) -> None:
    """Add the hypotheses that have ended, without `<sos>`."""
    penalty = length_penalty(words.shape[2] - 1, alpha)
    sentences, rows = ended.nonzero()[:, 0].tolist(), words[ended][:, 1:].tolist()
    for sentence, ids, log_probability in zip(sentences, rows, scores[ended].tolist(), strict=True):
        found[sentence].append(Hypothesis(ids, log_probability, log_probability / penalty))
