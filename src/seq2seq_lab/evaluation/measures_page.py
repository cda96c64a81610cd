"""The registry of measures as the page `docs/measures.md`."""

from collections.abc import Mapping, Sequence

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
        "By target position t, which is a symbol (a word, a subword or a character) or `<eos>`: acc_gold(t) and "
        "acc_own(t), the shares of the sentences with a position t whose symbol at t is right after the gold ones and "
        "after the model's own ones, and their difference. The first wrong position of greedy decoding: its "
        "distribution, and the share that is wrong at t of those that are right before it. Always against the pair's "
        "own target; an unknown word is never right."
    ),
    "recovery": (
        "P(the next k symbols are right | one gold symbol of the prefix was replaced), k = 1, 2, 3, as far as "
        "the target goes, by a random one or by the model's second-best one, over all positions of symbols "
        "of 500 pairs at equal distances (after [Wang & Sennrich 2020](https://arxiv.org/abs/2005.03642))."
    ),
    "eb_m": (
        "EB-M(l) of [He et al. 2021](https://arxiv.org/abs/1905.10617) with corpus BLEU and greedy decoding, of 500 "
        "pairs at equal distances: the references of a continuation are what follows the first l words of each "
        "reference, the same for gold and own prefixes. Sentences of at most l words are left out."
    ),
    "repetition": (
        "Share of n-grams that appeared before in the same sentence ([Welleck et al. "
        "2019](https://arxiv.org/abs/1908.04319)), in hypotheses and in targets."
    ),
    "by_near_duplicates": (
        "In every evaluation of translations but that of the training part. Scores and losses of the pairs that have a "
        "training pair within one word on both sides (edit distance of normalised words at most 1), and of the others. "
        "`seq2seq-lab data` shows their share."
    ),
    "by_source_length": ("Scores and losses by the number of words of the source."),
    "by_target_length": ("Scores and losses by the number of words of the target, the output that is right."),
    "by_form": (
        "Scores and losses by the form of the source, where the task names one: of SCAN, the words of the command that "
        "say how its actions are composed."
    ),
    "by_unknown_words": (
        "Scores and losses of sentences with and without words that the model does not know."
    ),
    "grammar": (
        "For `data=toy` and `data=grammar`, whose distribution is known, exactly: EB-C(l) of He et al. 2021 with total "
        "variation and Jensen–Shannon divergence, and the excess accumulated error of [Arora et al. "
        "2022](https://arxiv.org/abs/2204.01171). After a prefix that the grammar cannot produce the data's "
        "distribution is not defined; `outside` is the probability of such prefixes. They count with the largest "
        "distance: 1, ln 2 and, for KL, which has none, ln V. The columns `…_inside` are over the other prefixes "
        "alone: on condition of no error so far, they may fall where a model errs more."
    ),
}

_WORDS = (
    "- A **symbol** is what a target position predicts: a word, a subword or a character, as `data.units` says, or",
    "  `<eos>`, which each target has once. So a loss per symbol of a run of subwords and one of a run of words do",
    "  not compare; those per word and per character do. The same holds for accuracy and recovery: of symbols.",
    "- A **segment** is what counts once in a score of translations: a source, with all its translations as",
    "  references. `segments=pair` (`evaluate --segments pair`) counts each pair, as version 0.2 did: a source with",
    "  several translations then counts several times. Results say which; `compare` says where they differ.",
    "- A **perfect model** has exactly the data's distribution of translations: it has the value that a measure gives",
    "  without any fault. `seq2seq-lab evaluate RUN --perfect` shows it for `data=toy` and `data=grammar`, whose",
    "  distribution is known; all translations of the grammar are references there.",
    "- BLEU, chrF, EB-M and the losses per word and per character are not shown where a target is right or wrong and",
    "  nothing between: actions, phones, nodes. There the symbol error rate is shown in their place.",
)


def page() -> str:
    """The registry as a page, `docs/measures.md`."""
    lines = [
        "# Measures",
        "",
        "Made by `make docs` from `src/seq2seq_lab/evaluation/measures.py`; do not edit it by hand. A metric is a",
        "measure on a part of the data, such as `val/bleu`. A measure without a better direction has no best value.",
        "The single values of the test part, `test/…`, are `~test/…` in TensorBoard, sorted after the curves.",
    ]
    lines += ["", *_WORDS]
    for stage, where in _STAGES.items():
        of_stage = [each for each in REGISTRY.values() if each.stage == stage]
        names = ["name", "measure", "unit", "better", "how it is computed"]
        rows = [[f"`{m.name}`", m.label, m.unit, m.better or "–", m.formula] for m in of_stage]
        if any(each.perfect for each in of_stage):
            names.append("of a perfect model")
            rows = [[*row, each.perfect or "–"] for row, each in zip(rows, of_stage, strict=True)]
        lines += ["", f"## {where}", "", _row(names), _row(["---"] * len(names)), *map(_row, rows)]
    lines += ["", "## The analyses of `seq2seq-lab evaluate`", ""]
    lines += [f"- `{name}`: {what}" for name, what in _ANALYSES.items()]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    print(page(), end="")
