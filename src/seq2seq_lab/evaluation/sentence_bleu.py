"""BLEU of one sentence, of ids: an objective computes it thousands of times a second."""

import math
from collections import Counter
from collections.abc import Sequence

LONGEST = 4  # words of an n-gram


def sentence_bleu(hypothesis: Sequence[int], reference: Sequence[int]) -> float:
    """Smoothed sentence BLEU in [0, 1], as sacreBLEU's `sentence_bleu` computes it by default (a hundredth of it).

    The precision of n-grams without a match is 1 / (2ᵏ · total) for the k-th such n (`exp`, method 3 of Chen & Cherry
    2014, https://aclanthology.org/W14-3346). An n that is longer than the hypothesis does not count.

    Args:
        hypothesis, reference: words or their ids, without marks of beginning and end.
    """
    logs, halvings = [], 0
    for n in range(1, min(LONGEST, len(hypothesis)) + 1):
        found, wanted = (Counter(_ngrams(words, n)) for words in (hypothesis, reference))
        correct, total = (found & wanted).total(), len(hypothesis) - n + 1
        if n == 1 and not correct:
            return 0.0  # nothing longer can match
        if not correct:
            halvings += 1
        logs.append(math.log(correct / total if correct else 1 / (2**halvings * total)))
    if not logs:
        return 0.0
    brevity = min(0.0, 1 - len(reference) / len(hypothesis))
    return math.exp(brevity + sum(logs) / len(logs))


def _ngrams(words: Sequence[int], n: int) -> list[tuple[int, ...]]:
    return list(zip(*(words[start:] for start in range(n)), strict=False))
