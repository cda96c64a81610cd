"""What the scripts of the studies share: tables as CSV beside their pages, and as Markdown between markers there."""

import csv
import io
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from seq2seq_lab.compare.comparison import gather
from seq2seq_lab.compare.grouping import Group
from seq2seq_lab.compare.pairing import difference_of
from seq2seq_lab.compare.statistics import ALPHA, Difference, Estimate, holm, paired_difference
from seq2seq_lab.errors import UserError
from seq2seq_lab.evaluation.measures import measure
from seq2seq_lab.files import write_text
from seq2seq_lab.runs.run import Run

Row = Mapping[str, str]
END = "<!-- end -->"  # of a table in a page


def shown(estimate: Estimate | None, digits: int) -> str:
    """Mean ± sd; the mean alone of a single run; empty where nothing was measured."""
    if estimate is None or not estimate.n:
        return ""
    spread = f" ± {estimate.sd:.{digits}f}" if estimate.n > 1 else ""
    return f"{estimate.mean:.{digits}f}{spread}"


def differences(groups: Mapping[str, Group], metric: str) -> dict[str, tuple[Difference, float]]:
    """Name → difference from the first group, and its p-value with Holm's correction."""
    baseline, *others = groups
    return _corrected({name: difference_of(groups[baseline], groups[name], metric) for name in others})


def paired_differences(
    values: Mapping[str, Mapping[int, float]], metric: str
) -> dict[str, tuple[Difference, float]]:
    """The same, paired by seed.

    Args:
        values: name → seed → value of the metric.
    """
    baseline, *others = values
    bounds = measure(metric).bounds
    return _corrected(
        {name: paired_difference(values[baseline], values[name], bounds=bounds) for name in others}
    )


def _corrected(found: Mapping[str, Difference]) -> dict[str, tuple[Difference, float]]:
    adjusted = holm([each.p for each in found.values()])
    return {name: (each, p) for (name, each), p in zip(found.items(), adjusted, strict=True)}


def with_interval(difference: Difference, digits: int) -> str:
    """Mean and 95 % interval; a dash where there is none, as all seeds give the same difference."""
    if math.isnan(difference.low):
        return f"{difference.mean:+.{digits}f} –"
    return f"{difference.mean:+.{digits}f} [{difference.low:+.{digits}f}, {difference.high:+.{digits}f}]"


def with_star(difference: Difference, adjusted: float, digits: int) -> str:
    """The same, with a star where the p-value with Holm's correction says that it is not zero."""
    return with_interval(difference, digits) + (" *" if adjusted < ALPHA else "")


def by_name(groups: Iterable[Group], name: Callable[[Group], str]) -> dict[str, Group]:
    """Name → group.

    Raises:
        UserError: two groups have one name.
    """
    found: dict[str, Group] = {}
    for each in groups:
        if (other := found.setdefault(name(each), each)) is not each:
            raise UserError(
                f"{name(each)} stands for two settings: {other.label}; {each.label}; name folders with one of them"
            )
    return found


def finished(folders: Sequence[str], preset: str, command: str) -> list[Group]:
    """The groups with finished runs whose name begins with that of a preset.

    Raises:
        UserError: there is none; the message names the command that trains them.
    """
    found = [
        group
        for group in gather([Path(folder) for folder in folders]).groups
        if group.runs and str(group.runs[0].config()["name"]).startswith(preset)
    ]
    if not found:
        raise UserError(f"no finished run of a preset in {', '.join(folders)}; run `{command}`")
    return found


def best_validation(each: Run) -> float:
    """The best value of the monitored metric, with its sign such that higher is better; of none, −∞."""
    monitor = each.config()["monitor"]
    sign = 1 if monitor["mode"] == "max" else -1
    best = each.best(monitor["metric"], "higher" if sign == 1 else "lower")
    return float("-inf") if best is None else sign * best[0]


def write_csv(rows: Sequence[Row], name: str, study: Path) -> None:
    """Write a study's `name`.csv; what a row lacks is empty."""
    text = io.StringIO(newline="")
    columns = dict.fromkeys(column for row in rows for column in row)
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(study / f"{name}.csv", text.getvalue())


def add_to_csv(rows: Sequence[Row], name: str, study: Path, *keys: str) -> None:
    """Add rows to a study's `name`.csv, each in place of the one with the same values of the keys.

    So the runs of a study may be trained on several machines, or in parts: those that are not here keep their rows.

    Raises:
        UserError: two of the rows have the same values of the keys, as where other settings have the same name.
    """
    for same in alike(rows, *keys):
        if len(same) > 1:
            which = ", ".join(f"{key} {same[0][key]}" for key in keys)
            raise UserError(f"{which}: {len(same)} runs are called so; name folders with one of them")
    known = read_csv(name, study) if (study / f"{name}.csv").exists() else []
    found = {tuple(row[key] for key in keys): row for row in (*known, *rows)}
    write_csv(list(found.values()), name, study)


def read_csv(name: str, study: Path) -> list[Row]:
    """The rows of a study's `name`.csv.

    Raises:
        UserError: it is not there, or has no rows.
    """
    path = study / f"{name}.csv"
    if not path.exists():
        raise UserError(f"{path}: no such file; give a folder with the runs")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise UserError(f"{path}: it has no rows; give a folder with the runs")
    return rows


def alike(rows: Sequence[Row], *columns: str) -> list[list[Row]]:
    """The rows that have the same values in some columns, together; in the order of the first of each."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[column] for column in columns), []).append(row)
    return list(found.values())


def write(rows: Sequence[Row], name: str, study: Path) -> None:
    """Write a study's `name`.csv, and the table between `<!-- name -->` and `<!-- end -->` of its page.

    Raises:
        UserError: there are no rows, or no page has these lines; what is there stays.
    """
    if not rows:
        raise UserError(f"{study / name}.csv: no row for it; give folders with finished runs of this study")
    if (page := page_of(name, study)) is None:
        raise UserError(f"{study}: no page has a place for the table: `{_begin(name)}`, then `{END}`")
    before, begin, after = page.read_text(encoding="utf-8").partition(f"{_begin(name)}\n")
    write_csv(rows, name, study)
    columns = list(dict.fromkeys(column for row in rows for column in row))
    cells = [[row.get(column, "") for column in columns] for row in rows]
    lines = [columns, ["---"] * len(columns), *cells]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    write_text(page, f"{before}{begin}{table}\n{END}{after.partition(END)[2]}")


def page_of(name: str, study: Path) -> Path | None:
    """The page of a study that has a place for a table."""
    for page in sorted(study.glob("*.md")):
        _, begin, after = page.read_text(encoding="utf-8").partition(f"{_begin(name)}\n")
        if begin and END in after:
            return page
    return None


def _begin(name: str) -> str:
    return f"<!-- {name} -->"


def run(main: Callable[[list[str]], None]) -> None:
    """Call a script's `main` with its arguments; an error in them ends in one line, as on the command line."""
    try:
        main(sys.argv[1:])
    except UserError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
