"""Read what `seq2seq-lab evaluate` writes in the folder of a run."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seq2seq_lab.errors import UserError
from seq2seq_lab.files import parse_json, read_json, read_limited, write_text
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.foreign import is_inside

_MOST_BYTES = 2**28  # of a file, which may be somebody else's


@dataclass(frozen=True)
class Evaluated:
    """The results of a trained model on one part of the data.

    Attributes:
        measures: the value of each measure, by its name.
        analyses: the result of each analysis, by its name; plain data, which may come from another user.
    """

    measures: Mapping[str, float] = field(default_factory=dict)
    analyses: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Translated:
    """The translations of the sentences of one part of the data, [N], and the references of each."""

    hypotheses: Sequence[str]
    references: Sequence[Sequence[str]]


def write_evaluation(
    folder: Path,
    part: str,
    contents: Mapping[str, Any],
    *,
    sources: Sequence[str],
    references: Sequence[Sequence[str]],
    hypotheses: Sequence[str],
) -> None:
    """Write an evaluation on a part of the data into the folder of a run.

    Args:
        folder: the folder of the run.
        part: the name of the files.
        contents: plain data for the JSON file, with "measures" and "analyses".
        sources, references, hypotheses: of each pair, [N].
    """
    rows = zip(sources, references, hypotheses, strict=True)
    lines = (
        json.dumps({"source": source, "references": list(each), "hypothesis": hypothesis}, ensure_ascii=False)
        for source, each, hypothesis in rows
    )
    target = folder / layout.EVALUATION / part
    if not is_inside(target.parent, folder):
        raise UserError(f"{target.parent}: it is a link out of {folder}; remove it, or copy what it leads to")
    write_text(target.with_name(f"{part}.jsonl"), "".join(f"{line}\n" for line in lines))
    write_text(target.with_name(f"{part}.json"), json.dumps(contents, indent=1, ensure_ascii=False) + "\n")


def read_translated(folder: Path, part: str) -> Translated | None:
    """The translations of a run, from a file with a JSON object for each sentence; None if there are none.

    Args:
        folder: the folder of the run.
    """
    try:
        text = read_limited(folder / layout.EVALUATION / f"{part}.jsonl", _MOST_BYTES).decode()
        rows = [parse_json(line) for line in text.split("\n") if line]
        if not rows:
            return None
        return Translated(
            [str(row["hypothesis"]) for row in rows], [[*map(str, row["references"])] for row in rows]
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


def read_evaluations(folder: Path) -> tuple[dict[str, Evaluated], list[str]]:
    """Part of the data → its evaluation, and notes on files that cannot be read.

    Args:
        folder: the folder with a JSON file for each part; it may not exist.
    """
    found, notes = {}, []
    for path in sorted(folder.glob("*.json")):
        try:
            read = read_json(path, _MOST_BYTES)
        except (OSError, ValueError):
            read = None
        if isinstance(read, dict):
            found[path.stem] = Evaluated(numbers(read.get("measures")), _mappings(read.get("analyses")))
        else:
            notes.append(f"{folder.name}/{path.name} is damaged; skipped")
    return found, notes


def numbers(entries: Any) -> dict[str, float]:
    """The entries of a mapping that are finite numbers."""
    return {
        str(name): float(value)
        for name, value in (entries.items() if isinstance(entries, Mapping) else ())
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def _mappings(entries: Any) -> dict[str, Any]:
    return {
        str(name): value
        for name, value in (entries.items() if isinstance(entries, Mapping) else ())
        if isinstance(value, Mapping)
    }
