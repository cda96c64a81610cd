"""The figures of the presets: `python -m experiments.baselines.report outputs/baseline`; after `make baselines`.

Writes results.csv, beams.csv and the tables of README.md.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from experiments.tables import run, shown, write
from seq2seq_lab.compare.comparison import gather
from seq2seq_lab.compare.grouping import Group
from seq2seq_lab.compare.statistics import Estimate
from seq2seq_lab.errors import UserError

STUDY = Path(__file__).parent
MEASURES = {
    "test/bleu": 2,
    "test/chrf": 2,
    "test/exact_match": 3,
    "test/loss_forced": 3,
    "test/exposure_gap": 3,
    "test/accuracy_gap": 3,
    "test/eb_m": 3,
}


def names(groups: Sequence[Group]) -> Iterator[tuple[str, str, Group]]:
    """Preset, forcing and runs of each group of a preset, the best first."""
    for group in sorted(
        (each for each in groups if each.runs), key=lambda each: -each.last("test/bleu").mean
    ):
        config = group.runs[0].config()
        if str(config["name"]).startswith("baseline/"):
            forcing = str(config["choices"]["forcing"])
            ratio = f" {config['forcing']['ratio']:g}" if "ratio" in config["forcing"] else ""
            yield str(config["name"]), f"{forcing}{ratio}", group


def main(folders: list[str]) -> None:
    """Write both tables."""
    found = list(names(gather([Path(folder) for folder in folders]).groups))
    if not found:
        raise UserError(f"no finished run of a preset in {', '.join(folders)}; run `make baselines`")
    rows = [
        {
            "preset": preset,
            "forcing": forcing,
            **{
                name.removeprefix("test/"): shown(group.last(name), digits)
                for name, digits in MEASURES.items()
            },
            "seconds": shown(Estimate.of([each.summary()["seconds"] for each in group.runs]), 0),
            "seeds": str(len(group.runs)),
        }
        for preset, forcing, group in found
    ]
    write(rows, "results", STUDY)
    beams = []
    for preset, forcing, group in found:
        evaluated = [each.evaluations["test"].analyses.get("beams") for each in group.runs]
        if not all(evaluated):
            continue
        for measure in ("bleu", "length_ratio"):
            columns = [dict(zip(each["beam"], each[measure], strict=True)) for each in evaluated]
            values = {f"beam {b}": shown(Estimate.of([c[b] for c in columns]), 2) for b in columns[0]}
            beams.append({"preset": preset, "forcing": forcing, "": measure, **values})
    if beams:
        width = max(beams, key=len)
        write([{key: row.get(key, "") for key in width} for row in beams], "beams", STUDY)


if __name__ == "__main__":
    run(main)
