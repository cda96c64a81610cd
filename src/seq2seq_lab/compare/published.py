"""The training losses that the seminar published, to stand beside what is measured here."""

import csv
from functools import cache
from importlib.resources import files

from seq2seq_lab.compare.grouping import Group
from seq2seq_lab.compare.statistics import Curve

_PAIRS = 5_318  # of the seminar's corpus; its losses say nothing about another one
# Of all three experiments; a model or policy that has no use for a key does not have it.
_SETTINGS = {
    "forcing.ratio": 0.5,
    "model.hidden_size": 256,
    "model.unmasked_positions": 8,
    "loader.batch_size": 1,
    "loader.predict_sos": True,
    "loader.held_out": 0,
    "loader.shuffle": False,
    "optimizer.lr": 0.01,
}


@cache
def published() -> dict[str, Curve]:
    """Experiment, as ``seminar/seq2seq_full`` → epoch → training loss, nats per target word."""
    with files("seq2seq_lab.compare").joinpath("published.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    experiments = [name for name in rows[0] if name != "epoch"]
    return {name: {int(row["epoch"]): float(row[name]) for row in rows} for name in experiments}


def experiment_of(group: Group) -> str | None:
    """The published experiment that a group repeats or varies, going by its runs' names and its corpus."""
    if group.corpus.pairs != _PAIRS:
        return None
    names = {run.config.get("name") for run in (*group.runs, *group.others)}
    return next((experiment for experiment in published() if experiment in names), None)


def is_repeated_by(group: Group) -> bool:
    """Whether a group of a published experiment's name has the seminar's settings too, as far as it says."""
    return all(group.config.get(key, value) == value for key, value in _SETTINGS.items())
