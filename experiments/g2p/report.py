"""Words and their sounds: `python -m experiments.g2p.report outputs/g2p`; after `make g2p`.

Writes results.csv and the table of README.md: WER and PER in per cent, at each beam of `seq2seq-lab evaluate`.
"""

import math
from pathlib import Path

from experiments.tables import finished, run, shown, write
from seq2seq_lab.compare.statistics import Estimate

STUDY = Path(__file__).parent


def main(folders: list[str]) -> None:
    """Write the table."""
    rows = []
    for group in finished(folders, "g2p/", "make g2p"):
        evaluated = [each.evaluations["test"] for each in group.runs]
        words = {sum(each.analyses["by_target_length"]["sentences"]) for each in evaluated}
        tables = [each.analyses.get("beams", {}) for each in evaluated]
        beams = tables[0].get("beam", [1])
        for number, beam in enumerate(beams):
            measured = {
                name: Estimate.of(
                    [
                        100 * (table[name][number] if table else each.measures[name])
                        for table, each in zip(tables, evaluated, strict=True)
                    ]
                )
                for name in ("sequence_error_rate", "symbol_error_rate")
            }
            wer = measured["sequence_error_rate"].mean / 100
            rows.append(
                {
                    "preset": str(group.runs[0].config()["name"]),
                    "beam": str(beam),
                    "WER %": shown(measured["sequence_error_rate"], 2),
                    "± of the test words": f"{196 * math.sqrt(wer * (1 - wer) / max(words)):.2f}",
                    "PER %": shown(measured["symbol_error_rate"], 2),
                    "words": ", ".join(map(str, sorted(words))),
                    "seeds": str(len(group.runs)),
                }
            )
    write(rows, "results", STUDY)


if __name__ == "__main__":
    run(main)
