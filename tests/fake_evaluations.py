"""Evaluations in the form that `seq2seq-lab evaluate` writes, with numbers from formulas."""

import math
import random
from pathlib import Path
from typing import Any

from seq2seq_lab.runs import evaluations


def evaluation(quality: float, seed: int) -> dict[str, Any]:
    """An evaluation of a model whose accuracy is about `quality`."""
    rng = random.Random(f"{quality} {seed}")

    def near(value: float) -> float:
        return value * math.exp(rng.gauss(0, 0.03))

    positions = list(range(1, 8))
    gold = [min(1.0, near(quality + 0.01 * t)) for t in positions]
    own = [near(quality * 0.95**t) for t in positions]
    lengths = ["1–2", "3–4", "5–6", "11–15"]
    return {
        "measures": {
            "bleu": near(60 * quality),
            "chrf": near(70 * quality),
            "exact_match": near(quality**4),
            "loss_forced": near(1.5),
            "loss_free": near(3.0),
            "exposure_gap": near(1.5),
            "accuracy_gap": gold[2] - own[2],
            "eb_m": near(1.1),
        },
        "analyses": {
            "positions": {
                "position": positions,
                "sentences": [100, 100, 90, 80, 40, 10, 2],
                "gold": gold,
                "own": own,
                "gap": [a - b for a, b in zip(gold, own, strict=True)],
                "hazard": [near(0.2), near(0.15), near(0.1), near(0.1), near(0.1), 0.0, None],
                "right_before": [100, 80, 70, 60, 30, 9, 0],
            },
            "recovery": {
                "k": [1, 2, 3],
                "positions": 300,
                "gold": [near(0.8), near(0.7), near(0.6)],
                "random": [near(0.6), near(0.5), near(0.4)],
                "second_best": [near(0.5), near(0.4), near(0.3)],
            },
            "eb_m": {
                "prefix": [1, 2, 3],
                "sentences": [90, 80, 40],
                "eb_m": [near(1.02), near(1.1), near(1.2)],
            },
            "repetition": {
                "n": [1, 2, 3, 4],
                "hypotheses": [near(0.1), near(0.03), near(0.01), 0.0],
                "references": [0.05, 0.01, 0.0, None],
            },
            "by_source_length": {
                "group": lengths,
                "sentences": [30, 40, 20, 10],
                "bleu": [near(70), near(60), near(50), near(30)],
                "exact_match": [near(0.5), near(0.3), near(0.2), near(0.1)],
                "exposure_gap": [near(0.5), near(1.0), near(1.5), near(2.0)],
            },
            "by_unknown_words": {
                "group": ["without", "with"],
                "sentences": [80, 20],
                "bleu": [near(60), near(20)],
                "exact_match": [near(0.4), near(0.01)],
                "exposure_gap": [near(1.0), near(2.0)],
            },
            "beams": {
                "beam": [1, 2, 5, 10, 50],
                "bleu": [near(30), near(31), near(31.5), near(31), near(28)],
                "length_ratio": [0.95, 0.94, 0.93, 0.91, 0.85],
            },
            "grammar": {
                "prefix": [0, 1, 2, 3],
                "outside": [0.0, near(0.1), near(0.2), near(0.3)],
                "total_variation": {
                    "data": [near(0.1), near(0.2), near(0.2), 0.0],
                    "model": [near(0.1), near(0.2), near(0.2), 0.0],
                    "eb_c": [1.0, near(1.1), near(1.2), None],
                },
                "excess": [0.0, near(5), near(9), near(14)],
            },
        },
    }


def small(quality: float, seed: int) -> dict[str, Any]:
    """An evaluation with one analysis, whose plot takes less time."""
    contents = evaluation(quality, seed)
    return contents | {"analyses": {"recovery": contents["analyses"]["recovery"]}}


def write_evaluation(folder: Path, part: str, contents: dict[str, Any]) -> None:
    """Write an evaluation without translations into the folder of a run."""
    evaluations.write_evaluation(folder, part, contents, sources=[], references=[], hypotheses=[])


def noisy(references: list[list[str]], share: float, seed: int) -> list[str]:
    """The first references, with about this share of their words replaced."""
    rng = random.Random(f"{share} {seed}")
    return [" ".join("x" if rng.random() < share else word for word in row[0].split()) for row in references]
