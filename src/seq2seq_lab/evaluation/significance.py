"""The paired bootstrap over the sentences of a part, for the translations of two models."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seq2seq_lab.evaluation.references import streams

SAMPLES = 1000
_SEED = 12345  # sacreBLEU's: with one sentence per component, the samples are the same


@dataclass(frozen=True)
class Bootstrapped:
    """The difference of two scores of the same sentences.

    Attributes:
        difference: second minus first.
        sd: the standard deviation of the difference over the samples.
        low, high: the 2.5 and the 97.5 % quantile of the difference over the samples.
        p: sacreBLEU's p-value; 1 if no sample has a difference. It is the share of the samples whose absolute
            difference is above its mean by more than the difference. This is half of a two-sided p-value, or less.
        units: how many components, or else sentences, a sample has. With one all samples are the same, which says
            nothing: standard deviation, interval and p-value are NaN.
        sentences: N.
        by_component: whether components were drawn.
    """

    difference: float
    sd: float
    low: float
    high: float
    p: float
    units: int
    sentences: int
    by_component: bool

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside the interval."""
        return self.low > 0 or self.high < 0


def paired_bleu(
    first: Sequence[str],
    second: Sequence[str],
    references: Sequence[Sequence[str]],
    components: Sequence[int] | None = None,
) -> Bootstrapped:
    """The difference of corpus BLEU, and its paired bootstrap with 1,000 samples.

    The test is that of Koehn 2004, https://aclanthology.org/W04-3250, as sacreBLEU computes it. A sample draws as many
    components as there are, with replacement, and all sentences of each: the sentences of a component are not
    independent (Cameron, Gelbach & Miller 2008, https://doi.org/10.1162/rest.90.3.414).

    Args:
        first, second: the hypotheses of two models, [N].
        references: of each sentence, [N].
        components: the number of each sentence's component, [N]; None: each sentence is its own.
    """
    import sacrebleu  # imported here, as it takes 0.3 s

    bleu = sacrebleu.BLEU(tokenize="none", force=True)
    by_component = components is not None
    component = np.arange(len(first)) if components is None else np.unique(components, return_inverse=True)[1]
    units = int(component.max(initial=-1)) + 1
    counts = [_counts(bleu, each, references, component, units) for each in (first, second)]
    scores = [_score(bleu, each.sum(axis=0)) for each in counts]
    difference = scores[1] - scores[0]
    if units == 1:
        nothing = math.nan
        return Bootstrapped(difference, nothing, nothing, nothing, nothing, units, len(first), by_component)
    random = np.random.default_rng(_SEED)
    samples = np.empty((2, SAMPLES))
    for sample in range(SAMPLES):
        times = np.bincount(random.choice(units, size=units), minlength=units)
        samples[:, sample] = [_score(bleu, times @ each) for each in counts]
    differences = samples[1] - samples[0]
    low, high = np.quantile(differences, (0.025, 0.975)).tolist()
    sizes = np.abs(differences)
    larger = int((sizes - sizes.mean() > abs(difference)).sum())
    p = (larger + 1) / (SAMPLES + 1) if differences.any() else 1.0
    return Bootstrapped(
        difference, float(differences.std(ddof=1)), low, high, p, units, len(first), by_component
    )


def _counts(
    bleu: Any,
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    component: NDArray[np.int64],
    units: int,
) -> NDArray[np.int64]:
    """What sacreBLEU computes BLEU from (lengths and n-grams), summed over the sentences of each component."""
    of_sentences = np.array(bleu._extract_corpus_statistics(hypotheses, streams(references)), dtype=np.int64)
    counts = np.zeros((units, of_sentences.shape[1]), dtype=np.int64)
    np.add.at(counts, component, of_sentences)
    return counts


def _score(bleu: Any, counts: NDArray[np.int64]) -> float:
    return float(bleu._compute_score_from_stats(counts.tolist()).score)
