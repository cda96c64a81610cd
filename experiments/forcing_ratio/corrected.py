"""The policies that version 0.3 corrected, and curricula at a constant learning rate, each beside full forcing.

`python -m experiments.forcing_ratio.corrected outputs/forcing_ratio`, after `make corrected`. Writes corrected_runs.csv
(a row a run), corrected.csv, corrected_differences.csv, corrected_order.csv, and the tables of README.md.
"""

from collections.abc import Mapping
from pathlib import Path

from experiments.forcing_ratio.report import (
    RESULTS,
    STUDIED,
    STUDY,
    Policies,
    difference_rows,
    result_rows,
    sorted_policies,
)
from experiments.tables import run, with_interval, write, write_csv
from seq2seq_lab.compare.comparison import gather
from seq2seq_lab.compare.pairing import difference_of
from seq2seq_lab.errors import UserError

CONSTANT_LR = tuple(f"{name}_constant_lr" for name in STUDIED)
MEASURES = {
    **RESULTS,
    "test/exposure_gap": 3,
    "test/exposure_gap_to_own_end": 3,
    "test/accuracy_gap_to_own_end": 3,
    "test/eb_m": 3,
    "test/recovery_second_best": 3,
}
DOWN, UP = "scheduled linear 1 → 0", "scheduled linear 0 → 1"


def run_rows(found: Mapping[str, Policies]) -> list[dict[str, str]]:
    """A row a run: its value of each measure."""
    return [
        {
            "model": model,
            "policy": name,
            "seed": str(each.seed),
            **{
                metric.removeprefix("test/"): "" if (value := each.last(metric)) is None else f"{value:.6g}"
                for metric in MEASURES
            },
        }
        for model, policies in found.items()
        for name, group in policies.items()
        for each in group.runs
    ]


def order_rows(found: Mapping[str, Policies]) -> list[dict[str, str]]:
    """A row a model: what it changes to go from full forcing to free-running, instead of the other way round."""
    return [
        {
            "model": model,
            "difference": f"{DOWN} − {UP}",
            **{
                metric.removeprefix("test/"): with_interval(
                    difference_of(policies[UP], policies[DOWN], metric), digits
                )
                for metric, digits in MEASURES.items()
            },
        }
        for model, policies in found.items()
        if {UP, DOWN} <= set(policies)
    ]


def main(folders: list[str]) -> None:
    """Write the tables."""
    comparison = gather([Path(folder) for folder in folders])
    if mixed := [each for each in comparison.caveats if "--segments" in each]:
        raise UserError(mixed[0])
    found = sorted_policies(comparison.groups, (*STUDIED, *CONSTANT_LR))
    if not found:
        raise UserError(
            f"no finished run of {' or '.join(STUDIED)} in {', '.join(folders)}; run `make corrected`"
        )
    write_csv(run_rows(found), "corrected_runs", STUDY)
    write(result_rows(found, MEASURES), "corrected", STUDY)
    write(difference_rows(found), "corrected_differences", STUDY)
    if rows := order_rows(found):
        write(rows, "corrected_order", STUDY)


if __name__ == "__main__":
    run(main)
