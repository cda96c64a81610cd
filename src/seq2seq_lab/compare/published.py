"""The training losses that the seminar published, to stand beside what is measured here."""

import csv
from functools import cache
from importlib.resources import files

from seq2seq_lab.compare.grouping import Group
from seq2seq_lab.compare.statistics import Curve

_PAIRS = 5_318  # of the seminar's corpus; its losses say nothing about another one


@cache
def published() -> dict[str, Curve]:
    """Experiment, as ``seminar/seq2seq_full`` → epoch → training loss, nats per target word."""
    with files("seq2seq_lab.compare").joinpath("published.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    experiments = [name for name in rows[0] if name != "epoch"]
    return {name: {int(row["epoch"]): float(row[name]) for row in rows} for name in experiments}


def experiment_of(group: Group) -> str | None:
    """The published experiment that a group repeats, going by its runs' names and its corpus."""
    if group.corpus.pairs != _PAIRS:
        return None
    names = [str(run.config.get("name")) for run in (*group.runs, *group.others)]
    return next((e for e in published() if any(name.startswith(e) for name in names)), None)
