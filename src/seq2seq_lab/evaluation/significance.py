"""The paired bootstrap over sentences, for the translations of two models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SAMPLES = 1000


@dataclass(frozen=True)
class Bootstrapped:
    """The difference of two scores of the same sentences.

    Attributes:
        difference: second minus first.
        p: how probable a difference as large is by the choice of the sentences alone; 1 if there is no difference.
    """

    difference: float
    p: float


def paired_bootstrap(
    first: Sequence[str], second: Sequence[str], references: Sequence[Sequence[str]], metric: Any
) -> Bootstrapped:
    """sacreBLEU's paired bootstrap (Koehn 2004, https://aclanthology.org/W04-3250), with 1,000 samples of the N
    sentences.

    Args:
        first, second: the hypotheses of two models, [N].
        references: in the form of sacreBLEU, streams [most][N]; None where a sentence has fewer.
        metric: a metric of sacreBLEU, such as `sacrebleu.BLEU()`.

    Raises:
        ValueError: the numbers of sentences differ, or there is none.
    """
    from sacrebleu.significance import PairedTest  # imported here, as it takes 0.3 s

    if not first or {len(second), *map(len, references)} != {len(first)}:
        raise ValueError("the hypotheses and references are not of the same sentences")
    systems: list[tuple[str, Sequence[str]]] = [("first", list(first)), ("second", list(second))]
    _, scores = PairedTest(systems, {"metric": metric}, references, test_type="bs", n_samples=SAMPLES)()
    found: Mapping[str, Any] = {name: results for name, results in scores.items() if name != "System"}
    one, other = next(iter(found.values()))
    difference = other.score - one.score
    return Bootstrapped(
        difference, other.p_value if difference else 1.0
    )  # sacreBLEU gives 1/1001 for no difference
