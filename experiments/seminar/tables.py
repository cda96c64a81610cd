"""What the study's scripts share: tables as CSV beside this file, and as Markdown between a README's markers."""

import csv
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from seq2seq_lab.compare.statistics import Estimate
from seq2seq_lab.errors import UserError
from seq2seq_lab.files import write_text

STUDY = Path(__file__).parent
Row = Mapping[str, str]


def quirks_of(config: Mapping[str, Any]) -> str:
    """Which of the seminar's quirks are on: A, unmasked padding; B, `<sos>` as the first word to predict."""
    on = {"A": config["model"].get("unmasked_positions") is not None, "B": config["loader"]["predict_sos"]}
    return " + ".join(quirk for quirk, is_on in on.items() if is_on) or "none"


def shown(estimate: Estimate | None, digits: int) -> str:
    """Mean ± sd; the mean alone of a single run."""
    if estimate is None:
        return ""
    spread = f" ± {estimate.sd:.{digits}f}" if estimate.n > 1 else ""
    return f"{estimate.mean:.{digits}f}{spread}"


def write(rows: Sequence[Row], name: str) -> None:
    """Write `name`.csv, and the table between `<!-- name -->` and `<!-- end -->` of the README."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(STUDY / f"{name}.csv", text.getvalue())
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    readme = (STUDY / "README.md").read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->\n", "<!-- end -->"
    before, _, after = readme.partition(begin)
    write_text(STUDY / "README.md", f"{before}{begin}{table}\n{end}{after.partition(end)[2]}")


def run(main: Callable[[list[str]], None]) -> None:
    """Call a script's `main` with its arguments; an error in them ends in one line, as on the command line."""
    try:
        main(sys.argv[1:])
    except UserError as error:
        sys.exit(str(error))
