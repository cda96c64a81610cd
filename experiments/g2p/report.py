"""Words and their sounds: `python -m experiments.g2p.report outputs/g2p`; after `make g2p`.

Adds to runs.csv (a row a run and beam of `seq2seq-lab evaluate`, and a row a beam for all runs of a preset as one),
from which it writes results.csv and the table of README.md: WER and PER in per cent.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from experiments.g2p.ensemble import scores
from experiments.tables import Row, add_to_csv, alike, finished, read_csv, run, shown, write
from seq2seq_lab.compare.statistics import Estimate
from seq2seq_lab.runs.run import Run

STUDY = Path(__file__).parent
BEAMS = (1, 5)
AND = "+"  # between the seeds of an ensemble
MEASURES = {"WER %": "sequence_error_rate", "PER %": "symbol_error_rate"}


def rows_of(each: Run) -> Iterator[Row]:
    """A row for each beam."""
    evaluated = each.evaluations["test"]
    words = sum(evaluated.analyses["by_target_length"]["sentences"])
    single = {"beam": [1]} | {name: [evaluated.measures[name]] for name in MEASURES.values()}
    table = evaluated.analyses.get("beams") or single
    for number, beam in enumerate(table["beam"]):
        measured = {name: f"{100 * table[key][number]:.6g}" for name, key in MEASURES.items()}
        preset = str(each.config()["name"])
        yield {"preset": preset, "beam": str(beam), "seed": str(each.seed), **measured, "words": str(words)}


def rows_together(runs: Sequence[Run]) -> Iterator[Row]:
    """A row for each beam of all runs of a preset as one, if there are several; its seed is those of all."""
    preset, seeds = str(runs[0].config()["name"]), [str(each.seed) for each in runs]
    if len(runs) > 1:
        words, by_beam = scores(runs, BEAMS)
        for beam, found in by_beam.items():
            measured = {name: f"{100 * found[key]:.6g}" for name, key in MEASURES.items()}
            yield {
                "preset": preset,
                "beam": str(beam),
                "seed": AND.join(seeds),
                **measured,
                "words": str(words),
            }


def results(runs: Sequence[Row]) -> list[Row]:
    """A row for each preset and beam, and for each ensemble and beam."""
    single = [row for row in runs if AND not in row["seed"]]
    together = [row for row in runs if AND in row["seed"]]
    return [
        result(rows)
        for rows in (*alike(single, "preset", "beam"), *alike(together, "preset", "beam", "seed"))
    ]


def result(rows: Sequence[Row]) -> Row:
    """Mean ± sd over the runs of a preset and beam, and the 95 % interval that the choice of the words gives."""
    wer, per = (Estimate.of([float(row[name]) for row in rows]) for name in MEASURES)
    share, words = wer.mean / 100, int(rows[0]["words"])
    seeds = rows[0]["seed"].split(AND)
    ensemble = f", ensemble of {len(seeds)}" if len(seeds) > 1 else ""
    return {
        "preset": f"{rows[0]['preset']}{ensemble}",
        "beam": rows[0]["beam"],
        "WER %": shown(wer, 2),
        "± of the test words": f"{196 * math.sqrt(share * (1 - share) / words):.2f}",
        "PER %": shown(per, 2),
        "words": str(words),
        "seeds": str(max(len(rows), len(seeds))),
    }


def main(folders: list[str]) -> None:
    """Write the tables of runs.csv, to which the runs of some folders are added."""
    if folders:
        groups = finished(folders, "g2p/", "make g2p")
        rows = [row for group in groups for each in group.runs for row in rows_of(each)]
        rows += [row for group in groups for row in rows_together(group.runs)]
        add_to_csv(rows, "runs", STUDY, "preset", "beam", "seed")
    write(results(read_csv("runs", STUDY)), "results", STUDY)


if __name__ == "__main__":
    run(main)
