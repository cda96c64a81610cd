"""Scores of translations, on normalised text: sacreBLEU's BLEU and chrF, and exact match.

A hypothesis may match any of its references. A segment counts once (`Evaluation.segments`). The normalisation already
separates punctuation from words, so no tokenizer is used.
"""

from collections.abc import Sequence

from seq2seq_lab.evaluation.evaluate import Evaluation
from seq2seq_lab.evaluation.measures import measure
from seq2seq_lab.evaluation.references import streams


class Bleu:
    """Corpus BLEU (Papineni et al. 2002, https://aclanthology.org/P02-1040)."""

    facts = measure("bleu")

    def __call__(self, evaluation: Evaluation) -> float:
        import sacrebleu  # imported here, as it takes 0.3 s and most commands do not need it

        hypotheses, references = evaluation.translations()
        return sacrebleu.corpus_bleu(hypotheses, streams(references), tokenize="none", force=True).score


class Chrf:
    """Corpus chrF2 (Popović 2015, https://aclanthology.org/W15-3049)."""

    facts = measure("chrf")

    def __call__(self, evaluation: Evaluation) -> float:
        import sacrebleu

        hypotheses, references = evaluation.translations()
        return sacrebleu.corpus_chrf(hypotheses, streams(references)).score


class ExactMatch:
    """The share of hypotheses that equal one of their references."""

    facts = measure("exact_match")

    def __call__(self, evaluation: Evaluation) -> float:
        return exact_match(*evaluation.translations())


def exact_match(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """The share of hypotheses that equal one of their references, of which each has some."""
    pairs = zip(hypotheses, references, strict=True)
    return sum(hypothesis in row for hypothesis, row in pairs) / len(hypotheses)
