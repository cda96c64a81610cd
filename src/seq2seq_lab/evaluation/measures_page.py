"""The registry of measures as the page `docs/measures.md`."""

from collections.abc import Mapping

from seq2seq_lab.evaluation.measures import REGISTRY, Stage

_STAGES: Mapping[Stage, str] = {
    "evaluation": "At an evaluation: `val/` on held-out pairs, `train/` on the training pairs where none are held out",
    "analysis": "Of a trained model: `seq2seq-lab evaluate`",
    "training": "While a model trains: `train/`",
    "speed": "Of the machine: `perf/`",
}


def page() -> str:
    """The registry as a page, `docs/measures.md`."""
    lines = [
        "# Measures",
        "",
        "Made by `make docs` from `src/seq2seq_lab/evaluation/measures.py`; do not edit it by hand. A metric is a",
        "measure on a part of the data, such as `val/bleu`. A measure without a better direction has no best value.",
    ]
    for stage, where in _STAGES.items():
        lines += ["", f"## {where}", "", "| name | measure | unit | better | how it is computed |"]
        lines.append("| --- | --- | --- | --- | --- |")
        for each in REGISTRY.values():
            if each.stage == stage:
                cells = f"`{each.name}`", each.label, each.unit, each.better or "–", each.formula
                lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
