"""What each position should learn, by enumeration and recursion. Sentences are sequences of ids without `<eos>`."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache

SOS, EOS = 0, 1
Words = tuple[int, ...]


@cache
def edit_distance(one: Words, other: Words) -> int:
    """Insertions, deletions and substitutions that make one of the other."""
    if not one or not other:
        return len(one) + len(other)
    return min(
        edit_distance(one[:-1], other) + 1,
        edit_distance(one, other[:-1]) + 1,
        edit_distance(one[:-1], other[:-1]) + (one[-1] != other[-1]),
    )


def sentences(words: Sequence[int], longest: int) -> Iterator[Words]:
    """Every sentence of at most `longest` of these words."""
    for length in range(longest + 1):
        yield from itertools.product(words, repeat=length)


def optimal_words(prefix: Words, reference: Words, words: Sequence[int]) -> set[int]:
    """The next words, `<eos>` among them, after which some completion is as near to the reference as any can be."""
    best = {EOS: edit_distance(prefix, reference)}
    for word in words:
        best[word] = min(
            edit_distance((*prefix, word, *rest), reference) for rest in sentences(words, len(reference))
        )
    return {word for word, distance in best.items() if distance == min(best.values())}


def nearest_words(prefix: Words, reference: Words) -> set[int]:
    """The same by the distances to the beginnings of the reference: what follows the nearest of them."""
    table = [edit_distance(prefix, reference[:j]) for j in range(len(reference) + 1)]
    return {(*reference, EOS)[j] for j, distance in enumerate(table) if distance == min(table)}


def softmax(scores: Sequence[float]) -> list[float]:
    """Probabilities."""
    largest = max(scores)
    weights = [math.exp(each - largest) for each in scores]
    return [each / sum(weights) for each in weights]


def kl(one: Sequence[float], other: Sequence[float]) -> float:
    """KL(one ‖ other)."""
    return sum(p * math.log(p / q) for p, q in zip(one, other, strict=True) if p)


def divergence(kind: str, teacher: Sequence[float], student: Sequence[float], beta: float) -> float:
    """D(teacher ‖ student)."""
    if kind == "forward_kl":
        return kl(teacher, student)
    if kind == "reverse_kl":
        return kl(student, teacher)
    mixture = [beta * t + (1 - beta) * s for t, s in zip(teacher, student, strict=True)]
    return beta * kl(teacher, mixture) + (1 - beta) * kl(student, mixture)


def mixed(gold: int, scores: Sequence[float], m: float) -> float:
    """−[(1 − m) log p(gold) + m log p(arg-max)]."""
    p = softmax(scores)
    return -((1 - m) * math.log(p[gold]) + m * math.log(max(p)))


def hamming(one: Words, other: Words) -> int:
    """Positions in which two sentences of one length differ."""
    return sum(a != b for a, b in zip(one, other, strict=True))


def near(reference: Words, words: Sequence[int], tau: float) -> dict[Words, float]:
    """q(sentence) ∝ exp(−Hamming distance / τ) of every sentence of the reference's length."""
    weights = {
        each: math.exp(-hamming(each, reference) / tau)
        for each in itertools.product(words, repeat=len(reference))
    }
    return {each: weight / sum(weights.values()) for each, weight in weights.items()}


def scripts(reference: Words, words: Sequence[int], edits: int) -> Iterator[Words]:
    """What every way gives to insert words anywhere, and to delete or substitute words, with so many edits."""
    if not reference:
        yield from itertools.product(words, repeat=edits)
        return
    first, rest = reference[0], reference[1:]
    for inserted in range(edits + 1):  # before the first word
        for new in itertools.product(words, repeat=inserted):
            left = edits - inserted
            for after in scripts(rest, words, left):
                yield (*new, first, *after)
            for after in scripts(rest, words, left - 1) if left else ():
                yield (*new, *after)
                for word in words:
                    if word != first:
                        yield (*new, word, *after)


def edited(reference: Words, words: Sequence[int], tau: float) -> tuple[list[float], dict[Words, float]]:
    """The probability of each number of edits, up to one a word, and of each sentence, by the number of scripts."""
    found = [list(scripts(reference, words, e)) for e in range(len(reference) + 1)]
    weights = [len(each) * math.exp(-e / tau) for e, each in enumerate(found)]
    probabilities: dict[Words, float] = {}
    for e, each in enumerate(found):
        for sentence in each:
            share = math.exp(-e / tau) / sum(weights)
            probabilities[sentence] = probabilities.get(sentence, 0.0) + share
    return [each / sum(weights) for each in weights], probabilities


def own_sentence(next_word: Callable[[Words, int], int], start: Words, limit: int) -> tuple[Words, bool]:
    """Words from a start on until `<eos>`, or until there are `limit`; and whether `<eos>` came."""
    said = start
    while len(said) < limit:
        word = next_word(said, len(said))
        if word == EOS:
            return said, True
        said = (*said, word)
    return said, False
