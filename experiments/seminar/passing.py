"""What the seminar's loss is made of: `python -m experiments.seminar.passing RUN…`.

Trains each run for one epoch more and takes the loss of every pair in passing, just before the update on it.
passing.csv, beside this file and between the README's markers, has the means over pairs that were forced, over those
on which the decoder was fed its own words, and over those whose source has one translation or several in the corpus;
and which part of the sum a tenth of the pairs makes.
"""

import math
from collections import Counter

import torch
from threadpoolctl import threadpool_limits

from experiments.seminar.conditions import STUDY, quirks_of
from experiments.tables import run, shown, write
from seq2seq_lab.compare.statistics import Estimate
from seq2seq_lab.data.batches import Block
from seq2seq_lab.runs.load import load_model
from seq2seq_lab.training.accelerator import Updates
from seq2seq_lab.training.module import TranslationModule
from seq2seq_lab.training.parts.data import make_data
from seq2seq_lab.training.parts.module import make_module

Kind = tuple[str, str, str]  # experiment, quirks, epochs


def in_passing(module: TranslationModule, block: Block, updates: Updates, epoch: int) -> torch.Tensor:
    """Losses per target position and whether each pair was forced throughout, [2, N]."""
    pairs = module.pairs(block, epoch, epoch + 1)
    plan = module.plan(pairs)
    losses = updates(block, plan, pairs.draws).losses
    return torch.stack((losses / block.target_lengths, plan.gold.all(dim=1)))


def parts(folder: str) -> tuple[Kind, dict[str, float]]:
    """What kind of run it is, and the columns of passing.csv."""
    config, model, _ = load_model(folder, checkpoint="last")
    data = make_data(config)
    module = make_module(config, data)
    module.model.load_state_dict(model.state_dict())
    (optimizer,), _ = module.configure_optimizers()
    updates = module.select(module.job(optimizer)).updates
    epoch = config["trainer"]["max_epochs"]
    blocks = [in_passing(module, block, updates, epoch) for block in data.train_dataloader()]
    losses, forced = torch.cat(blocks, dim=1)
    sources = [tuple(data.corpus.source[index].tolist()) for index in data.training]
    several = torch.tensor([count > 1 for count in map(Counter(sources).get, sources)])
    worst = losses.sort(descending=True).values[: len(losses) // 10]
    found = {
        "all pairs": losses.mean(),
        "forced": losses[forced == 1].mean(),
        "own words": losses[forced == 0].mean(),
        "one translation": losses[~several].mean(),
        "several": losses[several].mean(),
        "median": losses.median(),
        "share of the worst tenth": worst.sum() / losses.sum(),
    }
    kind = config["name"].removeprefix("seminar/"), quirks_of(config), str(config["trainer"]["max_epochs"])
    return kind, {name: float(value) for name, value in found.items()}


def main(folders: list[str]) -> None:
    """A row a kind of run."""
    kinds: dict[Kind, list[dict[str, float]]] = {}
    for folder in folders:
        kind, found = parts(folder)
        kinds.setdefault(kind, []).append(found)
    rows = []
    for kind, runs in kinds.items():
        estimates = {name: Estimate.of([run[name] for run in runs]) for name in runs[0]}
        columns = {name: shown(e, 3) if math.isfinite(e.mean) else "" for name, e in estimates.items()}
        names = dict(zip(("experiment", "quirks", "epochs"), kind, strict=True))
        rows.append({**names, **columns, "n": str(len(runs))})
    write(rows, "passing", STUDY)


if __name__ == "__main__":
    torch.set_num_threads(1)
    threadpool_limits(1)
    run(main)
