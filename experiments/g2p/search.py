"""Which settings have the fewest errors on the validation words? `python -m experiments.g2p.search train outputs`.

`train` trains each of `SETTINGS` with seeds that no result has; what is finished is not trained again. Those of one
seed are trained before those of the next, so that a search that is stopped has as many of each. `report` writes
search_runs.csv (a row a run), and search.csv and its table in README.md (a row a setting); without a folder, the table
is made from search_runs.csv alone. The test words take no part.
"""

import os
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from experiments.g2p.report import STUDY
from experiments.tables import Row, alike, best_validation, read_csv, run, shown, write, write_csv
from seq2seq_lab import sweep
from seq2seq_lab.compare.statistics import Estimate
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs.run import Run
from seq2seq_lab.runs.select import select

Settings = Mapping[str, Any]
JOBS = 2
SEEDS = {"g2p/attention": (100, 101, 102), "g2p/transformer": (100, 101)}  # a Transformer takes longer
WORDS = {"data.train": "fre_train.tsv", "data.validation": "fre_dev.tsv", "data.test": "fre_test.tsv"}
# What the settings change is given in all of them, so that they stay those of the search when a preset is changed.
ATTENTION: Settings = {
    "experiment": "g2p/attention",
    "model/cell": "gru",
    "model.hidden_size": 256,
    "model.embedding_size": 256,
    "model.layers": 1,
    "model.dropout": 0.5,
    "model.output_dropout": 0.5,
    "objective.label_smoothing": 0.1,
    "optimizer.lr": 0.002,
    "loader.batch_size": 64,
    "trainer.max_epochs": 40,
}
UNITS_512: Settings = {"model.hidden_size": 512, "model.embedding_size": 512, "optimizer.lr": 0.001}
EPOCHS_80: Settings = {"trainer.max_epochs": 80}
DROPOUT_06: Settings = {"model.dropout": 0.6, "model.output_dropout": 0.6}
R_DROP: Settings = {"objective": "r_drop"}
OF_ATTENTION: Mapping[str, Settings] = {
    "start": {},
    "lr 0.001": {"optimizer.lr": 0.001},
    "dropout 0.4": {"model.dropout": 0.4, "model.output_dropout": 0.4},
    "dropout 0.6": DROPOUT_06,
    "no label smoothing": {"objective.label_smoothing": 0.0},
    "80 epochs": EPOCHS_80,
    "2 layers": {"model.layers": 2},
    "LSTM": {"model/cell": "lstm"},
    "R-Drop": R_DROP,
    "512 units": UNITS_512,
    "512 units, dropout 0.6": UNITS_512 | DROPOUT_06,
    # After the results of those above: the three best of them together.
    "80 epochs, 2 layers": EPOCHS_80 | {"model.layers": 2},
    "80 epochs, 512 units, dropout 0.6": EPOCHS_80 | UNITS_512 | DROPOUT_06,
}
TRANSFORMER: Settings = {
    "experiment": "g2p/transformer",
    "model.hidden_size": 256,
    "model.layers": 2,
    "model.heads": 4,
    "model.feedforward_size": 512,
    "model.dropout": 0.3,
    "objective.label_smoothing": 0.1,
    "optimizer.lr": 0.001,
    "lr_schedule.warm_up": 400,
    "loader.batch_size": 64,
    "trainer.max_epochs": 40,  # half of the preset's: the schedule does not depend on the number of epochs
}
OF_TRANSFORMER: Mapping[str, Settings] = {
    "Transformer": {},
    "Transformer, dropout 0.2": {"model.dropout": 0.2},
    "Transformer, dropout 0.4": {"model.dropout": 0.4},
    "Transformer, lr 0.0005": {"optimizer.lr": 0.0005},
    "Transformer, 128 units": {"model.hidden_size": 128, "model.feedforward_size": 256},
    "Transformer, batches of 32": {"loader.batch_size": 32},
}
SETTINGS: Mapping[str, Settings] = {
    **{name: ATTENTION | each for name, each in OF_ATTENTION.items()},
    **{name: TRANSFORMER | each for name, each in OF_TRANSFORMER.items()},
}


def train(outputs: Path, words: Path, names: Sequence[str], **settings: Any) -> None:
    """Train the runs of some settings.

    Args:
        words: the folder of the files of words.
        settings: further ones of all runs; a test makes them small.
    """
    data = {key: str(words / file) for key, file in WORDS.items()}
    seeds = sorted({seed for each in SEEDS.values() for seed in each})
    jobs = [
        SETTINGS[name] | data | settings | {"name": f"g2p_search/{name}", "seed": seed}
        for seed, name in product(seeds, names)
        if seed in SEEDS[SETTINGS[name]["experiment"]]
    ]
    sweep(jobs, output_dir=outputs, jobs=JOBS)


def row_of(each: Run) -> Row:
    """What a run has on the validation words."""
    loss = each.best("val/loss_forced", "lower")
    assert loss is not None, each.folder
    return {
        "preset": SETTINGS[setting(each)]["experiment"],
        "setting": setting(each),
        "seed": str(each.seed),
        "exact match": f"{best_validation(each):.6g}",
        "lowest loss": f"{loss[0]:.6g}",
        "epochs": str(each.epochs),
    }


def setting(each: Run) -> str:
    """The name of a run's setting."""
    return Path(each.config()["name"]).name


def results(rows: Sequence[Row]) -> list[Row]:
    """A row a setting: mean ± sd over seeds; of those of a preset the one with the most words right is the first, of
    equal ones that with the lowest loss."""
    found = list[tuple[tuple[str, float, float], Row]]()
    for own in alike(rows, "setting"):
        exact, loss = (
            Estimate.of([float(row[name]) for row in own]) for name in ("exact match", "lowest loss")
        )
        row = {key: own[0][key] for key in ("preset", "setting")}
        row |= {"exact match, validation": shown(exact, 4)}
        row |= {"lowest loss, validation": shown(loss, 3), "seeds": str(len(own))}
        found.append(((row["preset"], -exact.mean, loss.mean), row))
    return [row for _, row in sorted(found, key=lambda each: each[0])]


def main(arguments: list[str]) -> None:
    """Train or report the settings."""
    what, folder, *names = [*arguments, *[""] * (2 - len(arguments))]
    if what not in ("train", "report") or (what == "train" and not folder):
        raise UserError("usage: search train OUTPUTS [SETTING …], or search report [OUTPUTS]")
    if unknown := [name for name in names if name not in SETTINGS]:
        raise UserError(f"{unknown[0]}: no such setting; they are {'; '.join(SETTINGS)}")
    if what == "train":
        if not (words := os.environ.get("G2P_FOLDER")):
            raise UserError(f"set G2P_FOLDER to the folder of {', '.join(WORDS.values())}")
        train(Path(folder), Path(words), names or [*SETTINGS])
        return
    if folder:
        runs = [each for each in select([Path(folder) / "g2p_search"]).runs if each.finished]
        rows = [row_of(each) for name in SETTINGS for each in runs if setting(each) == name]
        write_csv(rows, "search_runs", STUDY)
    write(results(read_csv("search_runs", STUDY)), "search", STUDY)


if __name__ == "__main__":
    run(main)
