"""The loss of a run's final model by when it last saw a pair: `python -m experiments.seminar.recency RUN…`.

recency.csv, beside this file and between the README's markers, has the mean teacher-forced loss per target position
of each tenth of the training pairs in file order, which is the order of training. The last tenth was seen last.
"""

import numpy as np
import torch

from experiments.seminar.conditions import STUDY
from experiments.tables import run, shown, write
from seq2seq_lab.compare.statistics import Estimate
from seq2seq_lab.models.likelihood import sentence_losses
from seq2seq_lab.runs.load import load_model
from seq2seq_lab.training.parts.data import make_data

PARTS = 10


def losses_by_part(folder: str) -> tuple[str, list[float]]:
    """A run's experiment, and the mean loss of each tenth of the training pairs under its last checkpoint."""
    config, model, _ = load_model(folder, checkpoint="last")
    data = make_data(config)
    found = []
    with torch.no_grad():
        for indices in np.array_split(data.training, PARTS):
            block = data.block(indices)
            (batch,) = block
            logits = model(batch.source, batch.target, source_lengths=batch.source_lengths).logits
            losses = sentence_losses(logits, batch.target, batch.target_lengths)
            found.append(float((losses / block.target_lengths).mean()))
    return config["name"].removeprefix("seminar/"), found


def main(folders: list[str]) -> None:
    """A row an experiment."""
    experiments: dict[str, list[list[float]]] = {}
    for folder in folders:
        experiment, losses = losses_by_part(folder)
        experiments.setdefault(experiment, []).append(losses)
    rows = []
    for experiment, runs in experiments.items():
        means = (Estimate.of(part) for part in zip(*runs, strict=True))
        columns = {f"tenth {part}": shown(mean, 2) for part, mean in enumerate(means, start=1)}
        rows.append({"experiment": experiment, **columns, "n": str(len(runs))})
    write(rows, "recency", STUDY)


if __name__ == "__main__":
    run(main)
