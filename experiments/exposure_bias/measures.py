"""Measures of exposure bias beside exact ones: `python -m experiments.exposure_bias.measures outputs/exposure_bias`.

After `make exposure-measures`. Writes runs.csv (a row a run), measures.csv and the table of README.md.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from experiments.tables import Row, finished, run, write, write_csv
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs.run import Run

STUDY = Path(__file__).parent
EXACT = ("eb_c", "outside")
MEASURES = (
    "exposure_gap",
    "exposure_gap_to_own_end",
    "accuracy_gap",
    "accuracy_gap_to_own_end",
    "recovery_random",
    "recovery_second_best",
    "eb_m",
    "repetition_4",
    "loss_free",
    "exact_match",
)
CELL = ["longest", "pairs", "units"]
DRAWS = 2000


def row(each: Run) -> Row:
    """The settings of a run and what was measured of it on the test part.

    Raises:
        UserError: it was not evaluated.
    """
    config = each.config()
    values = {name: each.last(f"test/{name}") for name in (*EXACT, *MEASURES)}
    if missing := [name for name, value in values.items() if value is None]:
        raise UserError(f"{each.folder}: {missing[0]} is not there; run `seq2seq-lab evaluate {each.folder}`")
    return {
        "longest": str(config["data"]["longest"]),
        "pairs": str(config["data"]["pairs"]),
        "units": str(config["model"]["hidden_size"]),
        "forcing": str(config["choices"]["forcing"]),
        "seed": str(each.seed),
        **{name: f"{value:.6g}" for name, value in values.items()},
    }


def table(rows: Sequence[Row]) -> list[Row]:
    """For each measure and each exact one, the rank correlation over all runs and within cells."""
    frame = pd.DataFrame(rows)
    frame[[*EXACT, *MEASURES]] = frame[[*EXACT, *MEASURES]].astype(float)
    cells = [cell for _, cell in frame.groupby(CELL)]
    return [
        {
            "measure": measure,
            "exact": exact,
            "over all runs": _interval(cells, measure, exact, within=False),
            "within cells": _interval(cells, measure, exact, within=True),
            "runs": str(len(frame)),
        }
        for exact in EXACT
        for measure in MEASURES
    ]


def _interval(cells: Sequence[pd.DataFrame], measure: str, exact: str, *, within: bool) -> str:
    """Spearman's ρ with a bootstrap interval over cells."""
    each = np.array([_rho(cell, measure, exact) for cell in cells])
    if np.isnan(each).all():
        return ""

    def rho(chosen: np.ndarray) -> float:
        if within:
            return float(np.nanmean(each[chosen]))
        return _rho(pd.concat([cells[number] for number in chosen]), measure, exact)

    draws = np.random.default_rng(0).integers(len(cells), size=(DRAWS if within else DRAWS // 10, len(cells)))
    low, high = np.nanpercentile([rho(draw) for draw in draws], [2.5, 97.5])
    return f"{rho(np.arange(len(cells))):.2f} [{low:.2f}, {high:.2f}]"


def _rho(frame: pd.DataFrame, measure: str, exact: str) -> float:
    if frame[measure].nunique() < 2 or frame[exact].nunique() < 2:
        return float("nan")  # a measure that is the same for all runs orders none
    return float(spearmanr(frame[measure], frame[exact]).statistic)


def main(folders: list[str]) -> None:
    """Write the files and the table."""
    groups = finished(folders, "exposure_bias/grammar", "make exposure-measures")
    rows = [row(each) for group in groups for each in group.runs]
    write_csv(rows, "runs", STUDY)
    write(table(rows), "measures", STUDY)


if __name__ == "__main__":
    run(main)
