"""Translations of the same sentences by each group, with attention weights."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seq2seq_lab.compare.grouping import Group
from seq2seq_lab.evaluation.measures import TEST
from seq2seq_lab.files import parse_json, read_json, read_limited
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.at_checkpoint import AtCheckpoint
from seq2seq_lab.runs.run import Run

EOS = "<eos>"
_MOST_BYTES = 2**28  # of a file, which may be somebody else's


@dataclass(frozen=True)
class Translation:
    """A sentence with its translation by one run.

    Attributes:
        attention: one row for each symbol of the hypothesis and its ``<eos>``, with a weight for each symbol of the
            source and its ``<eos>``; empty for a model without attention.
        rows, columns: the labels of both; empty in files of version 0.2, whose symbols are words.
    """

    source: str
    references: tuple[str, ...]
    hypothesis: str
    attention: tuple[tuple[float, ...], ...]
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()

    @property
    def exact(self) -> bool:
        return self.hypothesis in self.references


def read(path: Path) -> list[Translation]:
    """Read the translations of a run: a list, or the lines of an evaluation; empty if it saved none.

    Raises:
        ValueError: the file does not contain translations.
    """
    try:
        if path.suffix == ".jsonl":
            lines = read_limited(path, _MOST_BYTES).decode().split("\n")
            return [_translation(parse_json(line)) for line in lines if line]
        return [_translation(entry) for entry in read_json(path, _MOST_BYTES)]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise ValueError(f"{path.name} is damaged") from None


def _translation(entry: Mapping[str, Any]) -> Translation:
    references = entry["references"]
    return Translation(
        source=str(entry["source"]),
        references=tuple(map(str, [references] if isinstance(references, str) else references)),
        hypothesis=str(entry["hypothesis"]),
        attention=tuple(tuple(map(float, row)) for row in entry.get("attention") or ()),
        rows=tuple(map(str, entry.get("rows") or ())),
        columns=tuple(map(str, entry.get("columns") or ())),
    )


def of_groups(groups: Sequence[Group]) -> tuple[dict[Group, tuple[str, dict[str, Translation]]], list[str]]:
    """For each group, the first run with translations: its name, and source → translation; and notes."""
    found: dict[Group, tuple[str, dict[str, Translation]]] = {}
    notes = []
    for group in groups:
        for run in group.runs:
            try:
                translations = read(_path(run))
            except ValueError as error:
                notes.append(f"{run.name}: {error}; skipped")
                continue
            if translations:
                found[group] = (run.name, {each.source: each for each in translations})
                break
    return found, notes


def _path(run: Run) -> Path:
    """The file with the translations of a run; of a checkpoint, those of its evaluation."""
    if isinstance(run, AtCheckpoint):
        evaluated = run.evaluations.get(TEST) or next(iter(run.evaluations.values()), None)
        return (
            evaluated.path.with_suffix(".jsonl")
            if evaluated
            else run.folder / layout.EVALUATION / "none.json"
        )
    return run.folder / layout.TRANSLATIONS


def section(
    found: Mapping[Group, tuple[str, Mapping[str, Translation]]], most: int = 12
) -> dict[str, Any] | None:
    """The sentences that most groups translated, with the hypothesis of every group; None if there are none."""
    counts: dict[str, int] = {}
    for _, translations in found.values():
        for source in translations:
            counts[source] = counts.get(source, 0) + 1
    sources = sorted(counts, key=lambda source: -counts[source])[:most]
    if not sources:
        return None
    return {"runs": [name for name, _ in found.values()], "sentences": [_sentence(s, found) for s in sources]}


def _sentence(source: str, found: Mapping[Group, tuple[str, Mapping[str, Translation]]]) -> dict[str, Any]:
    by_group = {group: each[source] for group, (_, each) in found.items() if source in each}
    return {
        "source": source,
        "references": list(dict.fromkeys(text for each in by_group.values() for text in each.references)),
        "rows": [
            {"group": group.label, "exact": each.exact, "hypothesis": each.hypothesis}
            for group, each in by_group.items()
        ],
        "maps": [
            {"group": group.label, **attention_map(each)}
            for group, each in by_group.items()
            if each.attention
        ],
    }


def attention_map(translation: Translation) -> dict[str, Any]:
    """Attention weights as a table: one row per word of the hypothesis, one column per source position; darker cells
    have more weight."""
    positions = max(map(len, translation.attention))
    rows = translation.rows or [*translation.hypothesis.split(" "), EOS]
    words = _padded(rows, len(translation.attention), "")
    columns = translation.columns or [*translation.source.split(" "), EOS]
    return {
        "columns": _padded(columns, positions, "(padding)"),
        "rows": [
            (word, [_cell(weight) for weight in weights])
            for word, weights in zip(words, translation.attention, strict=True)
        ],
    }


def _padded(words: Sequence[str], length: int, padding: str) -> list[str]:
    return [*words, *[padding] * length][:length]


def _cell(weight: float) -> dict[str, str]:
    shade = min(max(weight, 0.0), 1.0) if math.isfinite(weight) else 0.0
    return {"shade": f"{shade:.2f}", "weight": f"{weight:.2f}"}
