"""The facts of a measure, and these facts as plain data."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

Better = Literal["lower", "higher"] | None
Stage = Literal["training", "evaluation", "analysis", "speed"]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """The facts of a measure.

    Attributes:
        name: the last part of the names of its metrics, such as `bleu` in `val/bleu`.
        label: its name in tables and plots; see `in_words`.
        unit: its unit and, if it has one, its range, such as `0–100`; see `bounds` and `in_words`.
        better: the better direction; None if neither is better, and then it has no best value.
        formula: how it is computed, in one line.
        perfect: its value for a perfect model, which has exactly the data's distribution of translations.
        stage: when it is measured: in training, in an evaluation, or in an analysis; or whether it is the
            speed of the machine.
        log: whether its axis may be logarithmic, as for a loss.
        shown: whether a comparison shows it by default.
        graded: whether it says something only where a target that is partly right has a worth, as a translation has;
            see `data.task.Task`. A loss per word says the same as one per symbol elsewhere.
    """

    name: str
    label: str
    unit: str
    better: Better = None
    formula: str = ""
    perfect: str = ""
    stage: Stage = "evaluation"
    log: bool = False
    shown: bool = True
    graded: bool = False

    @property
    def axis(self) -> str:
        """Name and unit, for an axis."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The lowest and the highest value, as the unit says: `0–100`, or 0–1 for a share and a probability."""
        if found := re.fullmatch(r"(\d+)–(\d+)", self.unit):
            return float(found[1]), float(found[2])
        return (0.0, 1.0) if self.unit.startswith(("share", "probability")) else None


def in_words(facts: Measure, *, item: str, token: str) -> Measure:
    """The facts of a measure in the words of a task: a sentence is the task's item, a word its token.

    Args:
        item, token: see `data.task.Task`.
    """

    def said(text: str) -> str:
        return re.sub(r"\bsentence(?=s?\b)", item, re.sub(r"\bword(?=s?\b)", token, text))

    return replace(facts, label=said(facts.label), unit=said(facts.unit))


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
            perfect=str(facts.get("perfect", "")),
            stage=stage if stage in ("training", "analysis", "speed") else "evaluation",
            log=facts.get("log") is True,
            shown=facts.get("shown") is not False,
            graded=facts.get("graded") is True,
        )
    return found
