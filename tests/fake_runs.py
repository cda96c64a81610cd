"""Run folders in the form that training writes, with curves from a formula: no training, no torch."""

import csv
import json
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

METRICS = (
    "train/loss",
    "val/loss_forced",
    "val/loss_free",
    "val/exposure_gap",
    "val/bleu",
    "val/exact_match",
)
TOY = {
    "fingerprint": "70e" + "0" * 61,
    "pairs": 200,
    "loss_floor": 0.012,
    "origin": "200 pairs of a toy grammar",
}
ENG_FRA = {
    "fingerprint": "e4f" + "0" * 61,
    "pairs": 5318,
    "loss_floor": 0.0198,
    "origin": "5,318 of 135,842 pairs",
}
SENTENCES = (
    ("je suis grand .", "i am tall .", "i m tall ."),
    ("elle n est pas la .", "she isn t here .", "she is not there ."),
    ("tu es <b>fou</b> & moi ?", "you are <b>mad</b> & me ?", "you re mad ?"),
)


def config(
    *, model: str = "seq2seq", forcing: str = "mixed", ratio: float = 0.5, seed: int = 0, epochs: int = 8
) -> dict[str, Any]:
    """A resolved configuration in the form that training saves."""
    unmasked = {"unmasked_positions": None} if model == "attention" else {}
    coin = {"ratio": ratio, "unit": "sentence"} if forcing == "mixed" else {}
    return {
        "data": {"_target_": "seq2seq_lab.data.sources.toy.ToyCorpus", "pairs": 200, "max_words": 6},
        "loader": {"batch_size": 32, "shuffle": True, "predict_sos": False},
        "model": {"_target_": f"seq2seq_lab.models.{model}_model", "hidden_size": 64, **unmasked},
        "forcing": {"_target_": f"seq2seq_lab.forcing.{forcing}.{forcing.title()}Forcing", **coin},
        "optimizer": {"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.01},
        "trainer": {"max_epochs": epochs, "accelerator": "cpu"},
        "callbacks": {"checkpoint": {"every": 1}},
        "logger": {"_target_": "pytorch_lightning.loggers.TensorBoardLogger", "name": ""},
        "seed": seed,
        "name": f"{model}-{forcing}-{ratio}",
        "threads": seed + 1,
        "choices": {
            "data": "toy",
            "model": model,
            "forcing": forcing,
            "optimizer": "sgd",
            "experiment": "none",
        },
    }


def curves(
    settings: Mapping[str, Any], epochs: int, metrics: Sequence[str] = METRICS
) -> list[dict[str, Any]]:
    """Rows of plausible metrics that depend on the model, the ratio and the seed."""
    rng = random.Random(json.dumps([settings["model"], settings["forcing"], settings["seed"]]))
    pace = 1.2 if "attention" in settings["model"]["_target_"] else 1.0
    gap = 0.4 * settings["forcing"].get("ratio", 1.0)
    shift = rng.gauss(0, 0.04)
    rows = []
    for epoch in range(1, epochs + 1):
        loss = 3 * math.exp(-0.5 * pace * epoch) + 0.03 * math.exp(shift + rng.gauss(0, 0.02))
        free = loss + gap * math.exp(shift)
        measured = {
            "train/loss": loss,
            "val/loss_forced": loss + 0.1,
            "val/loss_free": free + 0.1,
            "val/exposure_gap": free - loss,
            "val/bleu": 90 * math.exp(-free) * math.exp(shift / 4),
            "val/exact_match": 0.9 * math.exp(-free),
        }
        rows.append({"epoch": epoch} | {metric: measured[metric] for metric in metrics if metric in measured})
    return rows


def write_run(
    folder: Path,
    settings: Mapping[str, Any],
    *,
    rows: Sequence[Mapping[str, Any]] | None = None,
    status: str = "finished",
    corpus: Mapping[str, Any] = TOY,
    started: str = "2026-11-01T10:00:00+00:00",
    sentences: Sequence[Sequence[str]] = SENTENCES,
    measures: Mapping[str, Any] | None = None,
    reference: Mapping[str, Any] | None = None,
) -> Path:
    """Write one run; returns its folder. Without measures and reference it has the form of the first version."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = curves(settings, settings["trainer"]["max_epochs"]) if rows is None else rows
    (folder / "config.yaml").write_text(
        yaml.safe_dump({**settings, "output_dir": str(folder.parents[1])}, sort_keys=False)
    )
    with (folder / "metrics.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["epoch"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    summary = {
        "status": status,
        "epochs": len(rows),
        "seconds": 12.5,
        "version": "0.1.0",
        "commit": "0123abc",
        "machine": "a computer",
        "command": "seq2seq-lab train --multirun model=seq2seq,attention",
        "corpus": dict(corpus),
        "started": started,
    }
    summary |= {} if measures is None else {"measures": measures}
    summary |= {} if reference is None else {"reference": reference}
    (folder / "summary.json").write_text(json.dumps(summary))
    translations = [_translated(settings, n, *sentence) for n, sentence in enumerate(sentences)]
    (folder / "translations.json").write_text(json.dumps(translations))
    return folder


def _translated(settings: Mapping[str, Any], number: int, source: str, *references: str) -> dict[str, Any]:
    exact = "attention" in settings["model"]["_target_"] or number == 0
    hypothesis = references[0] if exact else "i am . ."
    translation: dict[str, Any] = {"source": source, "references": list(references), "hypothesis": hypothesis}
    if "attention" in settings["model"]["_target_"]:
        length, width = len(hypothesis.split()) + 1, len(source.split()) + 1
        weights = [[math.exp(-2 * abs(i * width / length - j)) for j in range(width)] for i in range(length)]
        translation["attention"] = [[w / sum(row) for w in row] for row in weights]
    return translation


def write_sweep(
    root: Path,
    *,
    models: Sequence[str] = ("seq2seq", "attention"),
    ratios: Sequence[float] = (0.25, 0.5, 0.75),
    seeds: Sequence[int] = (0, 1, 2),
    epochs: int = 8,
    **more: Any,
) -> Path:
    """Write the runs of a sweep; returns the folder that contains them."""
    for model in models:
        for ratio in ratios:
            for seed in seeds:
                settings = config(model=model, ratio=ratio, seed=seed, epochs=epochs)
                write_run(root / f"{model}-mixed-{ratio}" / f"seed-{seed}", settings, **more)
    return root
