"""The registry of measures: their names, units, better directions and formulas.

Logging, best values, monitors, TensorBoard's HParams, tables, plots and the page `docs/measures.md` use these facts. A
metric is a measure on a part of the data, written `part/name`: `val/bleu`, `train/loss`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Better = Literal["lower", "higher"] | None
Stage = Literal["training", "evaluation", "analysis", "speed"]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """The facts of a measure.

    Attributes:
        name: the last part of the names of its metrics, such as `bleu` in `val/bleu`.
        label: its name in tables and plots.
        unit: its unit and, if it has one, its range.
        better: the better direction; None if neither is better, and then it has no best value.
        formula: how it is computed, in one line.
        stage: when it is measured: in training, in an evaluation, or in an analysis; or whether it is the
            speed of the machine.
        log: whether its axis may be logarithmic, as for a loss.
        shown: whether a comparison shows it by default.
    """

    name: str
    label: str
    unit: str
    better: Better = None
    formula: str = ""
    stage: Stage = "evaluation"
    log: bool = False
    shown: bool = True

    @property
    def axis(self) -> str:
        """Name and unit, for an axis."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


SPEED = "perf/"  # before the names of the machine's speed
TEST = "test"  # the part that a trained model is evaluated on, once


def tensorboard_tag(metric: str) -> str:
    """The tag of a metric in TensorBoard, which sorts ~ last: curves of what is learnt come before the single values of
    the test part and before the machine's speed."""
    return f"~{metric}" if metric.startswith((SPEED, f"{TEST}/")) else metric


_REGISTRY = (
    Measure(
        name="loss",
        label="loss",
        unit="nats per word",
        better="lower",
        formula="mean over pairs of −log p(target | source, words fed) / target positions, as training feeds them",
        stage="training",
        log=True,
    ),
    Measure(
        name="forced_share",
        label="share of gold decoder inputs",
        unit="0–1",
        formula="mean over pairs of (target positions fed the gold word) / target positions",
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
        name="lr",
        label="learning rate",
        unit="",
        formula="of the epoch's last update, in the optimizer's first group of parameters",
        stage="training",
        log=True,
        shown=False,
    ),
    Measure(
        name="loss_forced",
        label="teacher-forced loss",
        unit="nats per word",
        better="lower",
        formula="mean over pairs of −log p(target | source, gold words) / target positions",
        log=True,
    ),
    Measure(
        name="loss_free",
        label="free-running loss",
        unit="nats per word",
        better="lower",
        formula="mean over pairs of −log p(target | source, the model's own words) / target positions",
        log=True,
    ),
    Measure(
        name="exposure_gap",
        label="exposure gap",
        unit="nats per word",
        better=None,  # not a measure of quality: an untrained model has no gap
        formula="loss_free − loss_forced, on the same sentences",
    ),
    Measure(
        name="bleu",
        label="BLEU",
        unit="0–100",
        better="higher",
        formula="corpus BLEU (sacreBLEU) of greedy translations against all references, on normalised text",
    ),
    Measure(
        name="chrf",
        label="chrF",
        unit="0–100",
        better="higher",
        formula="corpus chrF2 (sacreBLEU) of greedy translations against all references, on normalised text",
        shown=False,
    ),
    Measure(
        name="exact_match",
        label="exact match",
        unit="share of sentences",
        better="higher",
        formula="share of greedy translations that equal one of their references",
    ),
    Measure(
        name="length_ratio",
        label="length ratio",
        unit="words of hypotheses / of references",
        formula="words of the hypotheses / words of the references that are closest in length (sacreBLEU)",
        stage="analysis",
        shown=False,
    ),
    Measure(
        name="accuracy_gold",
        label="accuracy under gold words",
        unit="share of positions",
        better="higher",
        formula="share of target positions, `<eos>` included, whose most probable word is right after the gold words",
        stage="analysis",
        shown=False,
    ),
    Measure(
        name="accuracy_own",
        label="accuracy under own words",
        unit="share of positions",
        better="higher",
        formula="the same in greedy decoding, against the pair's own target; a hypothesis has no words after its end",
        stage="analysis",
        shown=False,
    ),
    Measure(
        name="accuracy_gap",
        label="accuracy gap",
        unit="share of positions",
        formula="accuracy_gold − accuracy_own",
        stage="analysis",
        shown=False,
    ),
    Measure(
        name="recovery_random",
        label="recovery from a random word",
        unit="share of positions",
        better="higher",
        formula="P(the next word is right | the gold word before it was replaced by a random one)",
        stage="analysis",
        shown=False,
    ),
    Measure(
        name="recovery_second_best",
        label="recovery from the second-best word",
        unit="share of positions",
        better="higher",
        formula="P(the next word is right | the gold word before it was replaced by the model's second-best one)",
        stage="analysis",
        shown=False,
    ),
    Measure(
        name="eb_m",
        label="EB-M",
        unit="1 = no bias",
        formula="mean over l of BLEU after a gold prefix of l words / the same after the model's own prefix of l words",
        stage="analysis",
        shown=False,
    ),
    *(
        Measure(
            name=f"repetition_{n}",
            label=f"repeated {n}-grams",
            unit="share",
            formula=f"mean over hypotheses of 1 − distinct {n}-grams / {n}-grams",
            stage="analysis",
            shown=False,
        )
        for n in range(1, 5)
    ),
    Measure(
        name="eb_c",
        label="EB-C",
        unit="1 = no bias",
        formula="total variation from the data's next-word distribution after the model's prefixes / after the data's",
        stage="analysis",
        shown=False,
    ),
    Measure(
        name="outside",
        label="outside the grammar",
        unit="probability",
        better="lower",
        formula="probability that the model leaves the translations that are possible in the data",
        stage="analysis",
        shown=False,
    ),
    Measure(
        name="excess_error",
        label="excess accumulated error",
        unit="%",
        formula="100 (R − l ε) / (l ε): KL(data ‖ model) summed over the model's prefixes, beyond that of the data's",
        stage="analysis",
        shown=False,
    ),
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
REGISTRY: Mapping[str, Measure] = {each.name: each for each in _REGISTRY}
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


def to_dict(measures: Iterable[Measure]) -> dict[str, dict[str, Any]]:
    """Measures as plain data, by name, for a run's summary: the run can be read without their classes."""
    return {each.name: asdict(each) for each in measures}


def from_dict(described: Any) -> dict[str, Measure]:
    """The inverse of `to_dict`. Invalid entries are skipped, as the file may come from another user."""
    found: dict[str, Measure] = {}
    for name, facts in described.items() if isinstance(described, Mapping) else ():
        if not isinstance(facts, Mapping):
            continue
        better, stage = facts.get("better"), facts.get("stage")
        found[str(name)] = Measure(
            name=str(name),
            label=str(facts.get("label", name)),
            unit=str(facts.get("unit", "")),
            better=better if better in ("lower", "higher") else None,
            formula=str(facts.get("formula", "")),
            stage=stage if stage in ("training", "analysis", "speed") else "evaluation",
            log=facts.get("log") is True,
            shown=facts.get("shown") is not False,
        )
    return found
