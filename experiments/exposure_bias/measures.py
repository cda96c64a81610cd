"""Measures of exposure bias beside exact ones: `python -m experiments.exposure_bias.measures [outputs/exposure_bias]`.

Writes runs.csv (a row a run) and perfect.csv (a row a corpus) from the runs of `make exposure-measures`; without a
folder they are those of the repository. From these two come measures.csv, cells.csv, against_full.csv, their tables in
measures.md, and measures.png.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import rankdata, ttest_1samp

from experiments.tables import Row, finished, read_csv, run, write, write_csv
from seq2seq_lab.compare.statistics import Estimate, holm
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs import layout
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
CORPUS = CELL[:2]
LEARNED = 0.5
FEWEST = 6  # runs of a cell that are ordered by themselves
DRAWS = 2000
FULL = "full"
COLOURS = {
    "full": "#0072B2",
    "free": "#D55E00",
    "mixed": "#009E73",
    "scheduled": "#CC79A7",
    "two_pass": "#E69F00",
    "word_dropout": "#56B4E9",
}


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


def perfect_row(each: Run) -> Row | None:
    """The settings of a run's corpus and the measures of its perfect model; None if that was not evaluated."""
    path = each.folder / layout.PERFECT / "test.json"
    if not path.exists():
        return None
    values = json.loads(path.read_text(encoding="utf-8"))["measures"]
    data = each.config()["data"]
    shown = {name: math.inf if values[name] is None else values[name] for name in (*EXACT, *MEASURES)}
    return {name: str(data[name]) for name in CORPUS} | {k: f"{v:.6g}" for k, v in shown.items()}


def frame_of(rows: Sequence[Row]) -> pd.DataFrame:
    """Rows with measures as numbers."""
    frame = pd.DataFrame(rows)
    frame[[*EXACT, *MEASURES]] = frame[[*EXACT, *MEASURES]].astype(float)
    return frame


def table(rows: Sequence[Row], perfect: Sequence[Row]) -> list[Row]:
    """For each measure and each exact one, the rank correlation over all runs and within cells.

    The same follows for learned runs: those that leave the grammar with a probability below `LEARNED`.
    """
    frame, ideal = frame_of(rows), frame_of(perfect)
    learned = frame[frame["outside"] < LEARNED]
    cells, of_learned = ([cell for _, cell in its.groupby(CELL)] for its in (frame, learned))
    return [
        {
            "measure": measure,
            "exact": exact,
            "perfect model": _range(ideal[measure]),
            "over all runs": _interval(cells, measure, exact, within=False),
            "within cells": _interval(cells, measure, exact, within=True),
            "over all, learned": _interval(of_learned, measure, exact, within=False),
            "within cells, learned": _interval(of_learned, measure, exact, within=True),
            "runs": str(len(frame)),
            "learned": str(len(learned)),
        }
        for exact in EXACT
        for measure in MEASURES
    ]


def _range(values: pd.Series) -> str:
    """The least and the greatest value, one of them where they are shown alike."""
    low, high = (f"{value:.2g}".replace("inf", "∞") for value in (values.min(), values.max()))
    return low if low == high else f"{low} to {high}"


def by_cell(rows: Sequence[Row]) -> list[Row]:
    """The exact values of each method in each cell: mean ± standard deviation over seeds."""
    frame = frame_of(rows)
    found = []
    for exact, digits in zip(EXACT, (2, 3), strict=True):
        for cell, of_cell in frame.groupby(CELL, sort=False):
            values: Mapping[str, pd.Series] = dict(list(of_cell.groupby("forcing")[exact]))
            row = {"exact": exact} | dict(zip(CELL, cell, strict=True))
            for name in COLOURS:
                each = values.get(name, pd.Series(dtype=float))
                spread = f" ± {each.std():.{digits}f}" if len(each) > 1 else ""
                row[name] = f"{each.mean():.{digits}f}{spread}" if len(each) else ""
            found.append(row)
    return sorted(found, key=lambda row: (EXACT.index(row["exact"]), *(int(row[name]) for name in CELL)))


def against_full(rows: Sequence[Row]) -> list[Row]:
    """What a method changes beside full forcing: means over cells with 95 % intervals, of means over the same seeds.

    The p-values are those of a t-test over cells, with Holm's correction for the methods.
    """
    frame = frame_of(rows)
    found: dict[str, dict[str, str]] = {method: {"method": method} for method in COLOURS if method != FULL}
    for measure, digits in (("exposure_gap", 3), ("outside", 3), ("eb_c", 2)):
        values = frame.pivot_table(index=[*CELL, "seed"], columns="forcing", values=measure)
        changes = {
            method: (values[method] - values[FULL]).dropna().groupby(level=CELL).mean() for method in found
        }
        adjusted = holm([float(ttest_1samp(cells, 0).pvalue) for cells in changes.values()])
        for (method, cells), p in zip(changes.items(), adjusted, strict=True):
            estimate = Estimate.of(cells.tolist())
            low, high = estimate.interval()
            found[method] |= {
                measure: f"{estimate.mean:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]",
                f"{measure} p (Holm)": f"{p:.2g}",
                f"{measure} lower in": f"{int((cells < 0).sum())} of {len(cells)} cells",
            }
    return list(found.values())


def draw(rows: Sequence[Row]) -> Figure:
    """Each measure over EB-C, a point a run, coloured by method; larger points are of longer targets."""
    frame = frame_of(rows)
    figure = Figure(figsize=(11, 5.2), layout="constrained")
    shown = [name for name in MEASURES if name not in ("accuracy_gap_to_own_end", "exact_match")]
    for place, measure in zip(figure.subplots(2, 4).flat, shown, strict=True):
        for method, colour in COLOURS.items():
            chosen = frame[frame["forcing"] == method]
            place.scatter(
                chosen["eb_c"],
                chosen[measure],
                s=chosen["longest"].astype(float),
                color=colour,
                alpha=0.7,
                label=method,
            )
        place.set_title(measure, fontsize=10)
        place.set_xlabel("EB-C (exact)", fontsize=9)
        place.grid(color="#dddddd", linewidth=0.6)
        place.set_axisbelow(True)
        place.spines[["top", "right"]].set_visible(False)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure


def _interval(cells: Sequence[pd.DataFrame], measure: str, exact: str, *, within: bool) -> str:
    """Spearman's ρ with a bootstrap interval over cells; within cells, the mean over those that have an order."""
    values = [cell[[measure, exact]].to_numpy() for cell in cells]
    of_cells = np.array([_rho(each) for each in values if len(each) >= FEWEST])
    of_cells = of_cells[~np.isnan(of_cells)]
    if not of_cells.size:
        return ""

    def rho(chosen: np.ndarray) -> float:
        if within:
            return float(of_cells[chosen].mean())
        return _rho(np.concatenate([values[number] for number in chosen]))

    number, draws = (len(of_cells), DRAWS) if within else (len(values), DRAWS // 10)
    drawn = np.random.default_rng(0).integers(number, size=(draws, number))
    low, high = np.nanpercentile([rho(draw) for draw in drawn], [2.5, 97.5])
    return f"{rho(np.arange(number)):.2f} [{low:.2f}, {high:.2f}]"


def _rho(values: np.ndarray) -> float:
    """Spearman's ρ of two columns, [N, 2]."""
    if (values == values[0]).all(axis=0).any():
        return float("nan")  # a measure that is the same for all runs orders none
    return float(np.corrcoef(rankdata(values, axis=0), rowvar=False)[0, 1])


def read(folders: Sequence[str]) -> None:
    """Write runs.csv and perfect.csv from the runs of some folders.

    Raises:
        UserError: none is there, or they were not evaluated.
    """
    groups = finished(folders, "exposure_bias/grammar", "make exposure-measures")
    runs = [each for group in groups for each in group.runs]
    rows = [row(each) for each in runs]
    perfect = [found for each in runs if (found := perfect_row(each)) is not None]
    if not perfect:
        raise UserError("no perfect model was evaluated; run `make exposure-measures`")
    write_csv(rows, "runs", STUDY)
    write_csv(perfect, "perfect", STUDY)


def main(folders: list[str]) -> None:
    """Write the files and the tables."""
    if folders:
        read(folders)
    rows, perfect = read_csv("runs", STUDY), read_csv("perfect", STUDY)
    write(table(rows, perfect), "measures", STUDY)
    write(by_cell(rows), "cells", STUDY)
    write(against_full(rows), "against_full", STUDY)
    draw(rows).savefig(STUDY / "measures.png", dpi=110)


if __name__ == "__main__":
    run(main)
