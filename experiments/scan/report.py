"""SCAN: `python -m experiments.scan.report outputs/scan`; after `make scan`.

Writes results.csv, lengths.csv and the tables of README.md: exact match in per cent, beside the published figures.
"""

from pathlib import Path

from experiments.tables import finished, run, shown, write
from seq2seq_lab.compare.statistics import Estimate

STUDY = Path(__file__).parent
# Of Lake & Baroni 2018: their best model over all tasks, and the best one of each task.
PUBLISHED = {
    "simple": ("99.8", ""),
    "length": ("13.8", "20.8"),
    "jump": ("0.08", "1.2"),
    "turn_left": ("90.0", ""),
}


def main(folders: list[str]) -> None:
    """Write both tables."""
    rows, lengths = [], []
    for group in finished(folders, "scan/", "make scan"):
        config = group.runs[0].config()
        split = config["data"]["split_name"]
        exact = Estimate.of([100 * each.evaluated["test/exact_match"] for each in group.runs])
        rows.append(
            {
                "preset": str(config["name"]),
                "split": split,
                "exact match %": shown(exact, 1),
                "published, best over all": PUBLISHED[split][0],
                "published, best of the task": PUBLISHED[split][1],
                "symbol_error_rate": shown(group.last("test/symbol_error_rate"), 3),
                "exposure_gap": shown(group.last("test/exposure_gap"), 3),
                "seeds": str(len(group.runs)),
            }
        )
        table = group.runs[0].evaluations["test"].analyses.get("by_target_length")
        if table:
            shares = zip(table["group"], table["exact_match"], strict=True)
            named = {f"{length} actions": f"{100 * share:.1f}" for length, share in shares}
            lengths.append({"preset": str(config["name"]), "split": split, **named})
    write(rows, "results", STUDY)
    names = dict.fromkeys(name for row in lengths for name in row)
    if lengths:
        write([{name: row.get(name, "") for name in names} for row in lengths], "lengths", STUDY)


if __name__ == "__main__":
    run(main)
