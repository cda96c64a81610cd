"""Path-star graphs: `python -m experiments.path_star.report outputs/path_star`; after `make path-star`.

Adds the runs to runs.csv (a row each), from which it writes results.csv and the table of README.md.
"""

from collections.abc import Sequence
from pathlib import Path

from experiments.tables import Row, add_to_csv, alike, finished, read_csv, run, shown, write
from seq2seq_lab.compare.statistics import Estimate
from seq2seq_lab.runs.run import Run

STUDY = Path(__file__).parent
GRAPHS = ("degree", "length", "nodes", "graphs")
ALIKE = ("preset", "layers", *GRAPHS, "epochs")  # runs that differ in the seed alone
MEASURES = ("exact_match", "symbol_error_rate", "loss_forced", "loss_free")


def row_of(each: Run) -> Row:
    """What a run is, and what was measured on the test graphs."""
    config = each.config()
    what = {
        "preset": config["name"],
        "layers": config["model"]["layers"],
        **{name: config["data"][name] for name in GRAPHS},
        "epochs": each.epochs,
    }
    measured = {name: f"{each.evaluated[f'test/{name}']:.6g}" for name in MEASURES}
    return {**{name: str(value) for name, value in what.items()}, "seed": str(each.seed), **measured}


def results(runs: Sequence[Row]) -> list[Row]:
    """A row for each preset, size of model and graphs, and number of epochs; many names first, then short paths."""
    return [result(rows) for rows in sorted(alike(runs, *ALIKE), key=lambda rows: _order(rows[0]))]


def _order(row: Row) -> tuple[int, int, str]:
    return -int(row["nodes"]), int(row["length"]), row["preset"]


def result(rows: Sequence[Row]) -> Row:
    """Mean ± sd over the runs of a preset."""
    what = rows[0]
    return {
        **{name: what[name] for name in ("preset", "layers", *GRAPHS)},
        "1 / degree": f"{1 / int(what['degree']):.3f}",
        **{name: shown(Estimate.of([float(row[name]) for row in rows]), 3) for name in MEASURES},
        "epochs": what["epochs"],
        "seeds": str(len(rows)),
    }


def main(folders: list[str]) -> None:
    """Write the table of runs.csv, to which the runs of some folders are added."""
    if folders:
        found = [each for group in finished(folders, "path_star/", "make path-star") for each in group.runs]
        add_to_csv([row_of(each) for each in found], "runs", STUDY, *ALIKE, "seed")
    write(results(read_csv("runs", STUDY)), "results", STUDY)


if __name__ == "__main__":
    run(main)
