"""The paired bootstrap over sentences, for the translations of two models."""

from collections.abc import Sequence
from dataclasses import dataclass

from seq2seq_lab.evaluation.references import streams

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


def paired_bleu(
    first: Sequence[str], second: Sequence[str], references: Sequence[Sequence[str]]
) -> Bootstrapped:
    """The difference of corpus BLEU, and sacreBLEU's paired bootstrap with 1,000 samples of the N sentences.

    The test is that of Koehn 2004, https://aclanthology.org/W04-3250.

    Args:
        first, second: the hypotheses of two models, [N].
        references: of each sentence, [N].
    """
    import sacrebleu  # imported here, as it takes 0.3 s
    from sacrebleu.significance import PairedTest

    bleu = sacrebleu.BLEU(tokenize="none", force=True)
    systems = [("first", first), ("second", second)]
    _, scores = PairedTest(systems, {"BLEU": bleu}, streams(references), test_type="bs", n_samples=SAMPLES)()
    one, other = scores["BLEU"]
    assert not isinstance(one, str)
    assert not isinstance(other, str)
    difference = other.score - one.score
    # For equal translations sacreBLEU's p-value is 1/1001.
    return Bootstrapped(
        difference, 1.0 if other.p_value is None or list(first) == list(second) else other.p_value
    )
