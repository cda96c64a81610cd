"""The registry of measures: their names, units, better directions and formulas.

Logging, best values, monitors, TensorBoard's HParams, tables, plots and the page `docs/measures.md` use these facts. A
metric is a measure on a part of the data, written `part/name`: `val/bleu`, `train/loss`.

A symbol is what a target position predicts: a word, a subword or a character, as `data.units` says, or `<eos>`.
"""

from collections.abc import Mapping
from dataclasses import replace

from seq2seq_lab.evaluation.measure import Better, Measure, Stage, from_dict, to_dict
from seq2seq_lab.evaluation.measures_of_analyses import MEASURES as OF_ANALYSES
from seq2seq_lab.evaluation.measures_of_analyses import ONE_PLACE, SEVERAL

__all__ = [
    "REGISTRY",
    "SPEED",
    "SYMBOL",
    "TRAINING_LOSS",
    "Better",
    "Measure",
    "Stage",
    "from_dict",
    "in_units",
    "is_shown",
    "measure",
    "tensorboard_tag",
    "to_dict",
]

SPEED = "perf/"  # before the names of the machine's speed
TEST = "test"  # the part that a trained model is evaluated on, once
SYMBOL = "symbol"  # in a unit; see `in_units`
OF_TEXT = f"{SYMBOL} of the text"  # what spaces separate, whatever the units
_PER_SYMBOL = f"nats per {SYMBOL}"


def tensorboard_tag(metric: str) -> str:
    """The tag of a metric in TensorBoard, which sorts ~ last, so that the curves of what is learnt come first."""
    return f"~{metric}" if metric.startswith((SPEED, f"{TEST}/")) else metric


def _per(unit: str, counted: str, equal: str) -> tuple[Measure, ...]:
    """The two losses per word or per character, which compare runs of different units."""
    return tuple(
        Measure(
            name=f"loss_{kind}_per_{unit}",
            label=f"{label} per {unit}",
            unit=f"nats per {unit}",
            better="lower",
            formula=f"mean over pairs of −log p(target | source, {fed} words) / {counted}; `loss_{kind}` where "
            f"`data.units={equal}` and `<sos>` is not predicted",
            perfect=f"as `loss_{kind}`, per {unit}",
            log=True,
            shown=False,
            graded=True,
        )
        for kind, label, fed in (
            ("forced", "teacher-forced loss", "gold"),
            ("free", "free-running loss", "the model's own"),
        )
    )


_TRAINING = (
    Measure(
        name="loss",
        label="loss",
        unit=_PER_SYMBOL,
        better="lower",
        formula="mean over pairs of −log p(target | source, words fed) / target positions, as training feeds them; "
        "with a target other than `gold` its own loss, which compares with no other",
        perfect="under full forcing as `loss_forced`",
        stage="training",
        log=True,
    ),
    Measure(
        name="forced_share",
        label="share of gold decoder inputs",
        unit="0–1",
        formula="mean over pairs of (words fed that are gold) / words fed; `<sos>` is none",
        stage="training",
        shown=False,
    ),
    Measure(
        name="forcing_ratio",
        label="teacher-forcing ratio",
        unit="0–1",
        formula="mean over pairs and positions of ε, the probability of the gold word",
        stage="training",
        shown=False,
    ),
    Measure(
        name="target_entropy",
        label="entropy of the target",
        unit=_PER_SYMBOL,
        formula="mean over pairs and positions of the entropy of what it should predict; of a target other than "
        "`gold`",
        stage="training",
        shown=False,
    ),
    Measure(
        name="target_off_gold",
        label="share of positions off gold",
        unit="0–1",
        formula="mean over pairs of (positions where the reference's word, if it has one there, is not among those "
        "wanted most) / positions that count; of a target other than `gold`",
        stage="training",
        shown=False,
    ),
    Measure(
        name="own_edit_distance",
        label="edit distance of own outputs",
        unit=f"{SYMBOL}s",
        better="lower",
        formula="mean over pairs of the edit distance between the words fed and the reference; of `target=teacher` and "
        "`target=optimal_completion`",
        stage="training",
        shown=False,
    ),
    Measure(
        name="target_edits",
        label="edits of sampled references",
        unit=f"{SYMBOL}s",
        formula="mean over pairs of the edits that make the sampled reference; of `target=reward_sampled`",
        stage="training",
        shown=False,
    ),
    Measure(
        name="reward",
        label="reward",
        unit="",
        better="higher",
        formula="mean over pairs of the reward of the sampled output; of `objective=self_critical`",
        stage="training",
        shown=False,
    ),
    Measure(
        name="lr",
        label="learning rate",
        unit="",
        formula="of the epoch's last update, in the optimizer's first group of parameters",
        stage="training",
        log=True,
        shown=False,
    ),
)
_EVALUATION = (
    Measure(
        name="loss_forced",
        label="teacher-forced loss",
        unit=_PER_SYMBOL,
        better="lower",
        formula="mean over pairs of −log p(target | source, gold words) / target positions",
        perfect=f"mean over pairs of −log p(target | source) / target positions of the data: above 0 {SEVERAL}",
        log=True,
    ),
    Measure(
        name="loss_free",
        label="free-running loss",
        unit=_PER_SYMBOL,
        better="lower",
        formula="mean over pairs of −log p(target | source, the model's own words) / target positions",
        perfect=f"as `loss_forced` {ONE_PLACE}, else ∞: the words of one are fed, and another one may be the target",
        log=True,
    ),
    *_per("word", "(words + 1 for `<eos>`)", "words"),
    *_per("character", "(characters + 1 for the start of each word + 1 for `<eos>`)", "characters"),
    Measure(
        name="exposure_gap",
        label="exposure gap",
        unit=_PER_SYMBOL,
        better=None,  # not a measure of quality: an untrained model has no gap
        formula="loss_free − loss_forced, on the same pairs; own words are scored at the positions of one target, "
        "also after the model's own `<eos>`",
        perfect=f"0 {ONE_PLACE}, else ∞",
    ),
    Measure(
        name="exposure_gap_to_own_end",
        label="exposure gap up to the own end",
        unit=_PER_SYMBOL,
        formula="the same, where both losses are of the positions up to the hypothesis' own `<eos>`, which is included",
        perfect=f"0 {ONE_PLACE}, else ∞",
        shown=False,
    ),
    Measure(
        name="bleu",
        label="BLEU",
        unit="0–100",
        better="higher",
        formula="corpus BLEU (sacreBLEU) of greedy translations against all references, on normalised text; "
        "each source is one segment",
        perfect="100, if all translations are references",
        graded=True,
    ),
    Measure(
        name="chrf",
        label="chrF",
        unit="0–100",
        better="higher",
        formula="corpus chrF2 (sacreBLEU) of greedy translations against all references, on normalised text; "
        "each source is one segment",
        perfect="100, if all translations are references",
        shown=False,
        graded=True,
    ),
    Measure(
        name="exact_match",
        label="exact match",
        unit="share of segments",
        better="higher",
        formula="share of greedy translations that equal one of their references; each source is one segment",
        perfect="1, if all translations are references",
    ),
    Measure(
        name="symbol_error_rate",
        shown=False,
        label="symbol error rate",
        unit=f"edits per {OF_TEXT}",
        better="lower",
        formula="edit distance of greedy outputs to their nearest references / length of these references, in what "
        "spaces separate: PER of phones, WER of the words of a sentence; each source is one segment",
        perfect="0, if all translations are references",
    ),
    Measure(
        name="sequence_error_rate",
        label="sequence error rate",
        unit="share of segments",
        better="lower",
        formula="1 − exact_match: WER of words in phones",
        perfect="0, if all translations are references",
        shown=False,
    ),
    Measure(
        name="edit_distance",
        label="edit distance",
        unit="edits per segment",
        better="lower",
        formula="mean edit distance of greedy outputs to their nearest references, in what spaces separate",
        perfect="0, if all translations are references",
        shown=False,
    ),
)
_SPEED = (
    Measure(
        name="sentences_per_second",
        label="speed",
        unit="sentences per second",
        formula="training pairs of an epoch / epoch_seconds",
        stage="speed",
        shown=False,
    ),
    Measure(
        name="epoch_seconds",
        label="time",
        unit="seconds per epoch",
        formula="wall-clock time of an epoch's updates, evaluation not included",
        stage="speed",
        shown=False,
    ),
)
REGISTRY: Mapping[str, Measure] = {
    each.name: each for each in (*_TRAINING, *_EVALUATION, *OF_ANALYSES, *_SPEED)
}
TRAINING_LOSS = "train/loss"


def measure(metric: str, described: Mapping[str, Measure] | None = None) -> Measure:
    """The facts of a metric such as `val/bleu`. An unknown metric gets its own name as the label, and no other facts.

    Args:
        metric: `part/name`, or a name alone.
        described: measures in the summaries of runs, by name, for measures that are not in the registry.
    """
    name = metric.rpartition("/")[2]
    found = REGISTRY.get(name) or (described or {}).get(name)
    return found or Measure(name=name, label=metric, unit="", shown=False)


def is_shown(facts: Measure, *, graded: bool) -> bool:
    """Whether a measure is shown by default.

    Where targets are right or wrong, and nothing between, the symbol error rate is in the place of BLEU and chrF.

    Args:
        graded: whether a target that is partly right has a worth; see `data.task.Task`.
    """
    return facts.shown if graded else (facts.shown and not facts.graded) or facts.name == "symbol_error_rate"


def in_units(facts: Measure, units: str | None) -> Measure:
    """The facts of a measure with the name of a symbol, such as `nats per subword`.

    Args:
        units: `data.units` of the runs, such as `subwords`; None where they differ.
    """
    if units is None or OF_TEXT in facts.unit:
        return facts
    return replace(facts, unit=facts.unit.replace(SYMBOL, units.removesuffix("s")))
