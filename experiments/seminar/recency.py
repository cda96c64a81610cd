"""The loss of a run's final model by when it last saw a pair: `python experiments/seminar/recency.py RUN…`.

Prints, and writes to recency.csv beside this file, the mean teacher-forced loss per target position of each tenth
of the training pairs in file order, which is the order of training. The last tenth was seen last.
"""

import csv
import io
import sys
from pathlib import Path

import numpy as np
import torch

from seq2seq_lab.files import write_text
from seq2seq_lab.metrics import sentence_losses
from seq2seq_lab.run import load_run
from seq2seq_lab.train import make_data

PARTS = 10


def losses_by_part(folder: str) -> list[float]:
    """Mean loss per target position of each tenth of the training pairs, under the run's last checkpoint."""
    config, model, _ = load_run(folder)
    data = make_data(config)
    found = []
    with torch.no_grad():
        for indices in np.array_split(data.training, PARTS):
            block = data.block(indices)
            (batch,) = block
            logits = model(batch.source, batch.target, source_lengths=batch.source_lengths).logits
            losses = sentence_losses(logits, batch.target, batch.target_lengths)
            found.append(float((losses / block.target_lengths).mean()))
    return found


def main(folders: list[str]) -> None:
    """A row a run."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", *(f"part {part + 1}" for part in range(PARTS))])
    for folder in folders:
        name = "/".join(Path(folder).parts[-2:])
        writer.writerow([name, *(f"{loss:.3f}" for loss in losses_by_part(folder))])
    write_text(Path(__file__).with_name("recency.csv"), text.getvalue())
    print(text.getvalue(), end="")


if __name__ == "__main__":
    main(sys.argv[1:])
