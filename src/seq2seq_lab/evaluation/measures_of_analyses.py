"""The measures of the analyses of a trained model: their part of the registry in `measures`."""

from seq2seq_lab.evaluation.measure import Measure

SEVERAL = "where a source has several translations"
ONE_PLACE = "where the translations of each source differ in at most one position"

MEASURES = (
    Measure(
        name="length_ratio",
        label="length ratio",
        unit="words of hypotheses / of references",
        formula="words of the hypotheses / words of the references that are closest in length (sacreBLEU)",
        perfect="1",
        stage="analysis",
        shown=False,
    ),
    Measure(
        name="accuracy_gold",
        label="accuracy under gold words",
        unit="share of symbols",
        better="higher",
        formula="share of target positions (symbols and `<eos>`) whose most probable symbol is right after the gold "
        "ones",
        perfect=f"below 1 {SEVERAL}: at some positions the target has not the most probable one",
        stage="analysis",
        shown=False,
    ),
    Measure(
        name="accuracy_own",
        label="accuracy under own words",
        unit="share of symbols",
        better="higher",
        formula="the same in greedy decoding, against the pair's own target; a hypothesis has no symbols after its end",
        perfect=f"as `accuracy_gold` {ONE_PLACE}, else less: only one of them can be said",
        stage="analysis",
        shown=False,
    ),
    Measure(
        name="accuracy_gap",
        label="accuracy gap",
        unit="difference of shares of symbols",
        formula="accuracy_gold − accuracy_own",
        perfect=f"0 {ONE_PLACE}, else above 0",
        stage="analysis",
        shown=False,
    ),
    Measure(
        name="accuracy_gap_to_own_end",
        label="accuracy gap up to the own end",
        unit="difference of shares of symbols",
        formula="the same over the positions up to the hypothesis' own `<eos>`, which is included",
        perfect=f"0 {ONE_PLACE}, else above 0",
        stage="analysis",
        shown=False,
    ),
    Measure(
        name="recovery_random",
        label="recovery from a random word",
        unit="share of symbols",
        better="higher",
        formula="P(the next symbol is right | the gold symbol before it was replaced by a random one)",
        perfect="about 0, as it is not defined after a prefix of no translation (`--perfect` is right after none)",
        stage="analysis",
        shown=False,
    ),
    Measure(
        name="recovery_second_best",
        label="recovery from the second-best word",
        unit="share of symbols",
        better="higher",
        formula="P(the next symbol is right | the gold symbol before it was replaced by the model's second-best one)",
        perfect="as above: right only after words that other translations have",
        stage="analysis",
        shown=False,
    ),
    Measure(
        name="eb_m",
        label="EB-M",
        unit="1 = no bias",
        formula="mean over l of BLEU after a gold prefix of l words / the same after the model's own prefix of l "
        "words, each l weighted with the number of sentences that have more words",
        perfect="1, where all translations of a source have one length",
        stage="analysis",
        graded=True,
        shown=False,
    ),
    *(
        Measure(
            name=f"repetition_{n}",
            label=f"repeated {n}-grams",
            unit="share",
            formula=f"mean over hypotheses, one a segment, of 1 − distinct {n}-grams / {n}-grams",
            perfect="that of translations",
            stage="analysis",
            shown=False,
        )
        for n in range(1, 5)
    ),
    Measure(
        name="eb_c",
        label="EB-C",
        unit="1 = no bias",
        formula="total variation from the data's next-word distribution after the model's prefixes / after the data's; "
        "1 after a prefix that has left the grammar",
        perfect="1: no distance after either",
        stage="analysis",
        shown=False,
    ),
    Measure(
        name="eb_c_inside",
        label="EB-C inside the grammar",
        unit="1 = no bias",
        formula="the same over the prefixes that have not left the grammar, so on condition of no error so far",
        perfect="1",
        stage="analysis",
        shown=False,
    ),
    Measure(
        name="outside",
        label="outside the grammar",
        unit="probability",
        better="lower",
        formula="probability that what the model says up to its `<eos>` is no translation that is possible",
        perfect="0",
        stage="analysis",
        shown=False,
    ),
    Measure(
        name="excess_error",
        label="excess accumulated error",
        unit="%",
        formula="100 (R − l ε) / (l ε): KL(data ‖ model) summed over the model's prefixes, beyond that of the data's; "
        "ln V after a prefix that has left the grammar, V words in the vocabulary",
        perfect="0: no divergence after either",
        stage="analysis",
        shown=False,
    ),
    Measure(
        name="excess_error_inside",
        label="excess accumulated error inside the grammar",
        unit="%",
        formula="the same over the prefixes that have not left the grammar, so on condition of no error so far",
        perfect="0",
        stage="analysis",
        shown=False,
    ),
)
