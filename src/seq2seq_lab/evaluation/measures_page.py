"""The registry of measures as the page `docs/measures.md`."""

from collections.abc import Mapping

from seq2seq_lab.evaluation.measures import REGISTRY, Stage

_STAGES: Mapping[Stage, str] = {
    "evaluation": "At an evaluation: `val/` on held-out pairs, `train/` on the training pairs where none are held out",
    "analysis": "Of a trained model: `seq2seq-lab evaluate`",
    "training": "While a model trains: `train/`",
    "speed": "Of the machine: `perf/`, in TensorBoard `~perf/`, which it sorts last",
}

# Name in the results of `evaluate` → what it says, and what is special about it.
_ANALYSES = {
    "positions": (
        "By target position t, `<eos>` included: acc_gold(t) and acc_own(t), the shares of the sentences "
        "with a position t whose word at t is right after the gold words and after the model's own words, "
        "and their difference. The first wrong position of greedy decoding: its distribution, and the "
        "share that is wrong at t of those that are right before it. Always against the pair's own "
        "target; an unknown word is never right."
    ),
    "recovery": (
        "P(the next k words are right | one gold word of the prefix was replaced), k = 1, 2, 3, as far as "
        "the target goes, by a random word or by the model's second-best one, over all positions of words "
        "of 500 pairs (after [Wang & Sennrich 2020](https://arxiv.org/abs/2005.03642))."
    ),
    "eb_m": (
        "EB-M(l) of [He et al. 2021](https://arxiv.org/abs/1905.10617) with corpus BLEU and greedy "
        "decoding, of 500 pairs: the references of a continuation are what follows the first l words of "
        "each reference, the same for gold and own prefixes. Sentences of at most l words are left out."
    ),
    "repetition": (
        "Share of n-grams that appeared before in the same sentence ([Welleck et al. "
        "2019](https://arxiv.org/abs/1908.04319)), in hypotheses and in targets."
    ),
    "by_source_length": ("Scores and losses by the number of words of the source."),
    "by_unknown_words": (
        "Scores and losses of sentences with and without words that the model does not know."
    ),
    "grammar": (
        "For the toy corpus, whose distribution is known, exactly: EB-C(l) of He et al. 2021 with total "
        "variation and Jensen–Shannon divergence, and the excess accumulated error of [Arora et al. "
        "2022](https://arxiv.org/abs/2204.01171). After a prefix that the grammar cannot produce its "
        "distribution is not defined: the means are over the others, and `outside` is the probability of "
        "such prefixes."
    ),
}


def page() -> str:
    """The registry as a page, `docs/measures.md`."""
    lines = [
        "# Measures",
        "",
        "Made by `make docs` from `src/seq2seq_lab/evaluation/measures.py`; do not edit it by hand. A metric is a",
        "measure on a part of the data, such as `val/bleu`. A measure without a better direction has no best value.",
        "The single values of the test part, `test/…`, are `~test/…` in TensorBoard, sorted after the curves.",
    ]
    for stage, where in _STAGES.items():
        lines += ["", f"## {where}", "", "| name | measure | unit | better | how it is computed |"]
        lines.append("| --- | --- | --- | --- | --- |")
        for each in REGISTRY.values():
            if each.stage == stage:
                cells = f"`{each.name}`", each.label, each.unit, each.better or "–", each.formula
                lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    lines += ["", "## The analyses of `seq2seq-lab evaluate`", ""]
    lines += [f"- `{name}`: {what}" for name, what in _ANALYSES.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
