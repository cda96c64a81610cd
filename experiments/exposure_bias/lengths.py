"""Does a method lose more where outputs are longer? `python -m experiments.exposure_bias.lengths TASK outputs`.

After `make exposure-quality TASK=…` and, for tasks that have other pairs too, `make exposure-shift TASK=…`, whose
translations are read here: a group is what has the same number of words in its shortest reference. Adds its runs to
TASK-lengths_runs.csv (a row a run and group), and writes TASK-lengths.csv with its table on a page. Without a folder,
the table is made from the first file alone.
"""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from experiments.exposure_bias.plan import TASKS, Task
from experiments.exposure_bias.quality import PART, STUDY, add, by_method, evaluated
from experiments.tables import (
    Row,
    alike,
    page_of,
    paired_differences,
    read_csv,
    run,
    shown,
    with_star,
    write,
)
from seq2seq_lab.compare.statistics import Estimate
from seq2seq_lab.errors import UserError
from seq2seq_lab.evaluation.groups import by_group, length_group
from seq2seq_lab.evaluation.part import Scorer
from seq2seq_lab.runs.evaluations import SOURCE, Translated, read_translated
from seq2seq_lab.runs.run import Run

FEWEST = 50  # outputs of a group
LONGER = "longer"


def measured(each: Run, task: Task) -> Iterator[Row]:
    """A row for each kind of pairs and group of a run, but for small groups.

    Raises:
        UserError: it was not evaluated on some of the pairs.
    """
    quality = task.quality.removeprefix(f"{PART}/")
    for kind in (PART, *([LONGER] if LONGER in task.shifts else [])):
        if kind not in each.evaluations:
            raise UserError(f"{each.folder}: it was not evaluated on {kind}; run `make exposure-shift`")
        translated = read_translated(each.evaluations[kind].path, SOURCE)
        assert translated is not None, each.folder
        names = [length_group(min(len(text.split()) for text in own)) for own in translated.references]
        found = by_group(names, partial(_scores, translated))
        for name, count, value in zip(found["group"], found["sentences"], found[quality], strict=True):
            if count >= FEWEST:
                yield {"pairs": kind, "words": name, "n": str(count), quality: f"{value:.6g}"}


def _scores(translated: Translated, rows: Sequence[int]) -> dict[str, float]:
    references = [translated.references[row] for row in rows]
    return Scorer(references)([translated.hypotheses[row] for row in rows])


def table(rows: Sequence[Row], task: Task) -> list[Row]:
    """A row a method, a column a group: the quality of full forcing, and what others have beside it.

    Differences are paired by seed; a star has Holm's correction over the methods of a column.
    """
    quality, digits = task.quality.removeprefix(f"{PART}/"), task.measures[task.quality]
    found: dict[str, dict[str, str]] = {}
    order = sorted(alike(rows, "pairs", "words"), key=lambda own: (own[0]["pairs"] != PART, _first(own[0])))
    for own in order:
        column = f"{own[0]['pairs']}, {own[0]['words']} words"
        values = by_method(own, quality)
        against = paired_differences(values, task.quality)
        counts = sorted({int(row["n"]) for row in own})
        found.setdefault("n", {"method": "n"})[column] = "–".join(
            map(str, dict.fromkeys((counts[0], counts[-1])))
        )
        for method, its in values.items():
            cell = (
                with_star(*against[method], digits)
                if method in against
                else shown(Estimate.of([*its.values()]), digits)
            )
            found.setdefault(method, {"method": method})[column] = cell
    return [*found.values()]


def _first(row: Row) -> int:
    return int(re.split(r"\D", row["words"])[0])  # of "5–6", or of "51 or more"


def main(arguments: list[str]) -> None:
    """Group and report a task."""
    known = [name for name in TASKS if page_of(f"{name}-lengths", STUDY)]
    if len(arguments) not in (1, 2) or arguments[0] not in known:
        raise UserError(f"usage: lengths {'|'.join(known)} [OUTPUTS]")
    name, task = arguments[0], TASKS[arguments[0]]
    for folder in map(Path, arguments[1:]):
        rows = [
            {"method": method, "seed": str(seed)} | row
            for method, runs in evaluated(name, folder).items()
            for seed, each in runs.items()
            for row in measured(each, task)
        ]
        add(rows, f"{name}-lengths_runs", "pairs", "words")
    write(table(read_csv(f"{name}-lengths_runs", STUDY), task), f"{name}-lengths", STUDY)


if __name__ == "__main__":
    run(main)
