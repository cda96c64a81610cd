"""SCAN: `python -m experiments.scan.report outputs/scan`; after `make scan`.

Adds the runs to runs.csv (a row each), from which it writes results.csv, lengths.csv and the tables of README.md: exact
match in per cent, beside the published figures.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from experiments.tables import Row, add_to_csv, alike, finished, read_csv, run, shown, write
from seq2seq_lab.compare.statistics import Estimate
from seq2seq_lab.runs.run import Run

STUDY = Path(__file__).parent
# Of Lake & Baroni 2018: their best model over all tasks, and the best one of each task.
PUBLISHED = {
    "simple": ("99.8", ""),
    "length": ("13.8", "20.8"),
    "jump": ("0.08", "1.2"),
    "turn_left": ("90.0", ""),
}
MEASURES = {
    "exact match %": ("test/exact_match", 100),
    "symbol_error_rate": ("test/symbol_error_rate", 1),
    "exposure_gap": ("test/exposure_gap", 1),
}


def row_of(each: Run) -> Row:
    """The preset and the split of a run, and what was measured on the test commands."""
    config = each.config()
    measured = {name: f"{scale * each.evaluated[key]:.6g}" for name, (key, scale) in MEASURES.items()}
    split = str(config["data"]["split_name"])
    return {"preset": str(config["name"]), "split": split, "seed": str(each.seed), **measured}


def lengths_of(each: Run) -> Row:
    """Exact match in per cent by the number of actions; empty where `evaluate` did not look at it."""
    table = each.evaluations["test"].analyses.get("by_target_length")
    if not table:
        return {}
    shares = zip(table["group"], table["exact_match"], strict=True)
    return {f"{length} actions": f"{100 * share:.6g}" for length, share in shares}


def ordered(runs: Sequence[Row]) -> list[list[Row]]:
    """The rows of each preset and split; splits in the order of the paper."""
    order = list(PUBLISHED)
    return sorted(
        alike(runs, "preset", "split"), key=lambda rows: (rows[0]["preset"], order.index(rows[0]["split"]))
    )


def results(runs: Sequence[Row]) -> list[Row]:
    """A row for each preset and split."""
    return [result(rows) for rows in ordered(runs)]


def lengths(runs: Sequence[Row]) -> list[Row]:
    """Exact match in per cent by the number of actions, a row for each preset and split."""
    columns = {name for row in runs for name in row if name.endswith(" actions")}
    names = sorted(columns, key=lambda name: int(re.split(r"\D", name)[0]))
    return [by_length(rows, names) for rows in ordered(runs)]


def result(rows: Sequence[Row]) -> Row:
    """Mean ± sd over the runs of a preset and split."""
    exact, errors, gap = (Estimate.of([float(row[name]) for row in rows]) for name in MEASURES)
    preset, split = rows[0]["preset"], rows[0]["split"]
    low, high = exact.interval((0, 100))
    return {
        "preset": preset,
        "split": split,
        "exact match %": shown(exact, 1),
        "95 % of the mean": f"{low:.1f} to {high:.1f}" if len(rows) > 1 else "",
        "published, best over all": PUBLISHED[split][0],
        "published, best of the task": PUBLISHED[split][1],
        "symbol_error_rate": shown(errors, 3),
        "exposure_gap": shown(gap, 3),
        "seeds": str(len(rows)),
    }


def by_length(rows: Sequence[Row], names: Sequence[str]) -> Row:
    """Exact match in per cent by the number of actions, mean ± sd over the runs of a preset and split."""
    of_length = {name: [float(row[name]) for row in rows if row[name]] for name in names}
    shares = {name: shown(Estimate.of(values), 1) for name, values in of_length.items()}
    return {"preset": rows[0]["preset"], "split": rows[0]["split"], **shares}


def main(folders: list[str]) -> None:
    """Write the tables of runs.csv, to which the runs of some folders are added."""
    if folders:
        found = [each for group in finished(folders, "scan/", "make scan") for each in group.runs]
        rows = [{**row_of(each), **lengths_of(each)} for each in found]
        add_to_csv(rows, "runs", STUDY, "preset", "split", "seed")
    runs = read_csv("runs", STUDY)
    write(results(runs), "results", STUDY)
    write(lengths(runs), "lengths", STUDY)


if __name__ == "__main__":
    run(main)
