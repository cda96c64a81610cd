"""The figures of the presets: `python -m experiments.baselines.report outputs/baseline`; after `make baselines`.

Writes runs.csv (a row a run), results.csv, beams.csv and the tables of README.md.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from experiments.tables import Row, run, shown, write, write_csv
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
ALL = "all"


class Preset(NamedTuple):
    """The runs of a preset on one split of the corpus, which differ only in their seed."""

    name: str
    split: int
    group: Group


def presets(groups: Sequence[Group]) -> list[Preset]:
    """Each preset and split, the best preset first."""
    found = []
    for group in groups:
        config = group.runs[0].config() if group.runs else {}
        if str(config.get("name")).startswith("baseline/") and config["choices"]["forcing"] == "full":
            found.append(Preset(str(config["name"]), int(config["split"]["seed"]), group))
    best = {
        each.name: max(one.group.last("test/bleu").mean for one in found if one.name == each.name)
        for each in found
    }
    return sorted(found, key=lambda each: (-best[each.name], each.name, each.split))


def measures_of(found: Sequence[Preset]) -> dict[str, int]:
    """The measures of all runs: those of analyses are there after `seq2seq-lab evaluate`."""
    runs = [run for preset in found for run in preset.group.runs]
    return {
        name: digits for name, digits in MEASURES.items() if all(each.last(name) is not None for each in runs)
    }


def run_rows(found: Sequence[Preset]) -> list[Row]:
    """A row a run."""
    return [
        {
            "preset": preset.name,
            "split": str(preset.split),
            "seed": str(each.seed),
            **{name.removeprefix("test/"): f"{each.last(name):.6g}" for name in measures_of(found)},
            "seconds": f"{each.summary()['seconds']:.0f}",
        }
        for preset in found
        for each in preset.group.runs
    ]


def result_rows(found: Sequence[Preset]) -> list[Row]:
    """A row a preset and split, mean ± sd over seeds; where there are several splits, one more over their means."""
    rows: list[Row] = []
    measures = measures_of(found)
    for name in dict.fromkeys(each.name for each in found):
        of_preset = [each for each in found if each.name == name]
        for each in of_preset:
            low, high = each.group.last("test/bleu").interval((0, 100))
            interval = f"{low:.1f} to {high:.1f}" if len(each.group.runs) > 1 else ""
            rows.append(
                {
                    "preset": name,
                    "split": str(each.split),
                    "seeds": str(len(each.group.runs)),
                    **{
                        m.removeprefix("test/"): shown(each.group.last(m), digits)
                        for m, digits in measures.items()
                    },
                    "bleu, 95 % of the mean": interval,
                }
            )
        if len(of_preset) > 1:
            means = {m: Estimate.of([each.group.last(m).mean for each in of_preset]) for m in measures}
            low, high = means["test/bleu"].interval((0, 100))
            rows.append(
                {
                    "preset": name,
                    "split": ALL,
                    "seeds": "",
                    **{m.removeprefix("test/"): shown(means[m], digits) for m, digits in measures.items()},
                    "bleu, 95 % of the mean": f"{low:.1f} to {high:.1f}",
                }
            )
    return rows


def beam_rows(found: Sequence[Preset]) -> list[Row]:
    """Two rows a preset: BLEU and the ratio of lengths with each beam that all of its runs have, on the first split."""
    rows = []
    for preset in found:
        evaluated = [each.evaluations["test"].analyses.get("beams") for each in preset.group.runs]
        if preset.split or not all(evaluated):
            continue
        for measure in ("bleu", "length_ratio"):
            columns = [dict(zip(each["beam"], each[measure], strict=True)) for each in evaluated]
            common = [beam for beam in columns[0] if all(beam in each for each in columns)]
            values = {f"beam {b}": shown(Estimate.of([c[b] for c in columns]), 2) for b in common}
            rows.append({"preset": preset.name, "": measure, **values})
    return rows


def main(folders: list[str]) -> None:
    """Write the tables."""
    found = presets(gather([Path(folder) for folder in folders]).groups)
    if not found:
        raise UserError(f"no finished run of a preset in {', '.join(folders)}; run `make baselines`")
    write_csv(run_rows(found), "runs", STUDY)
    write(result_rows(found), "results", STUDY)
    if rows := beam_rows(found):
        write_csv(rows, "beams", STUDY)


if __name__ == "__main__":
    run(main)
