"""What each policy feeds, one position after the other. Position 0 is fed `<sos>`; t counts from there."""

import math
from collections.abc import Callable, Sequence

SOS, EOS = 0, 1
Scores = Callable[
    [Sequence[int]], list[list[float]]
]  # words fed after <sos> → scores of each position, [T][V]


def decay(name: str, i: float, m: float) -> float:
    """The decays of Bengio et al. 2015 with the constants of Teutsch & Mäder 2022, and tensor2tensor's warm-up."""
    if name == "constant":
        return 1.0
    if name == "linear":
        return max(0.0, 1 - i / m)
    if name == "exponential":
        return (0.5 ** (10 / m)) ** i
    if name == "inverse_exponential":
        return 1 - 0.001 ** max(0.0, 1 - i / m)
    assert name == "inverse_sigmoid"
    low, high = 1.0, 1e9  # k · ln k = m/2, by bisection
    for _ in range(200):
        k = (low + high) / 2
        low, high = (k, high) if k * math.log(k) < m / 2 else (low, k)
    return k / (k + math.exp(i / k)) if i / k < 700 else 0.0


def schedule(name: str, i: float, m: float, start: float, end: float) -> float:
    """ε after i of m steps."""
    return end + (start - end) * decay(name, i, m)


def by_step(name: str, t: int, length: int, *, f: float | None = None, joint: str = "composite") -> float:
    """ε at position t, joined with the ε of training f (Liu et al. 2021, and their code)."""
    if f is None:
        return decay(name, t, length)
    return decay(name, t * (1 - f), length) if joint == "composite" else f * decay(name, t, length)


def prefix(ratio: float, length: int) -> list[bool]:
    """Where a target of `length` positions is fed gold words: the first ⌊εT⌋ after `<sos>` (Teutsch & Mäder's D)."""
    return [True] + [t <= math.floor(ratio * length) for t in range(1, length)]


def coins(ratio: Sequence[float], uniform: Sequence[float]) -> list[bool]:
    """Where a coin a position gives gold words."""
    return [u < r for r, u in zip(ratio, uniform, strict=True)]


def share(gold: Sequence[bool], length: int) -> float:
    """The share of gold among the words that are fed."""
    words = gold[1:length]
    return sum(words) / len(words) if words else float(gold[0])


def argmax(scores: Sequence[float]) -> int:
    """The first of the largest."""
    return max(range(len(scores)), key=lambda v: (scores[v], -v))


def softmax(scores: Sequence[float]) -> list[float]:
    """Probabilities."""
    largest = max(scores)
    weights = [math.exp(each - largest) for each in scores]
    return [each / sum(weights) for each in weights]


def free(target: Sequence[int], gold: Sequence[bool], scores: Scores) -> list[int]:
    """The words fed at 1, 2, …: gold, or the arg-max that follows what was fed before."""
    fed: list[int] = []
    for t in range(1, len(target)):
        fed.append(target[t - 1] if gold[t] else argmax(scores(fed)[t - 1]))
    return fed


def two_pass(target: Sequence[int], gold: Sequence[Sequence[bool]], scores: Scores) -> list[int]:
    """The words fed at 1, 2, … of the last pass; gold[n]: the coins of pass n."""
    fed = list(target[:-1])
    for number, of_pass in enumerate(gold):
        said = [argmax(each) for each in scores(fed)]
        new = [target[t - 1] if of_pass[t] else said[t - 1] for t in range(1, len(target))]
        fed = fed[:number] + new[number:]
    return fed


def confidence(
    target: Sequence[int],
    scores: Scores,
    noise: Sequence[float],
    *,
    golden: float,
    random: float,
    special: Sequence[int] = (SOS, EOS),
) -> list[tuple[str, int]]:
    """What is fed at 1, 2, …: "gold", "own" or "noise", and the word; c of the word to predict at t decides at t."""
    first, fed = scores(target[:-1]), []
    words = [word for word in target if word not in special]
    for t in range(1, len(target)):
        c = softmax(first[t])[target[t]]
        if c <= golden or (c > random and not words):
            fed.append(
                ("gold" if c <= golden else "own", target[t - 1] if c <= golden else argmax(first[t - 1]))
            )
        elif c <= random:
            fed.append(("own", argmax(first[t - 1])))
        else:
            fed.append(("noise", words[int(noise[t] * len(words))]))
    return fed


def uniform_word(u: float, size: int, special: Sequence[int]) -> int:
    """A uniformly random word that is not special."""
    words = [word for word in range(size) if word not in special]
    return words[int(u * len(words))]
