"""What the groups made of the same sentences, and where they looked."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from seq2seq_lab.compare.grouping import Group
from seq2seq_lab.runs import layout

EOS = "<eos>"


@dataclass(frozen=True)
class Translation:
    """A sentence as one run translated it.

    Attributes:
        attention: a row for each word of the hypothesis and its ``<eos>``, a weight for each word of the
            source and its ``<eos>``; none for a model without attention.
    """

    source: str
    references: tuple[str, ...]
    hypothesis: str
    attention: tuple[tuple[float, ...], ...]

    @property
    def exact(self) -> bool:
        return self.hypothesis in self.references


def read(path: Path) -> list[Translation]:
    """The translations of a run; none if it kept none.

    Raises:
        ValueError: the file is not a list of translations.
    """
    try:
        return [_translation(entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
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
    )


def of_groups(groups: Sequence[Group]) -> tuple[dict[Group, tuple[str, dict[str, Translation]]], list[str]]:
    """For each group the first run that kept translations: its name, and source → translation."""
    found: dict[Group, tuple[str, dict[str, Translation]]] = {}
    notes = []
    for group in groups:
        for run in group.runs:
            try:
                translations = read(run.folder / layout.TRANSLATIONS)
            except ValueError as error:
                notes.append(f"{run.name}: {error}; left out")
                continue
            if translations:
                found[group] = (run.name, {each.source: each for each in translations})
                break
    return found, notes


def section(found: Mapping[Group, tuple[str, Mapping[str, Translation]]], most: int = 12) -> str:
    """The sentences that most groups translated, each with every group's hypothesis."""
    counts: dict[str, int] = {}
    for _, translations in found.values():
        for source in translations:
            counts[source] = counts.get(source, 0) + 1
    sources = sorted(counts, key=lambda source: -counts[source])[:most]
    runs = ", ".join(f"<code>{escape(name)}</code>" for name, _ in found.values())
    cards = "\n".join(_card(source, found) for source in sources)
    return f"<p>One run a group, the one of the lowest seed: {runs}.</p>\n{cards}"


def _card(source: str, found: Mapping[Group, tuple[str, Mapping[str, Translation]]]) -> str:
    theirs = {group: each[source] for group, (_, each) in found.items() if source in each}
    references = dict.fromkeys(reference for each in theirs.values() for reference in each.references)
    rows = "\n".join(
        f'<tr><th scope="row">{escape(group.label)}</th><td class="{"exact" if each.exact else "other"}">'
        f"{escape(each.hypothesis) or '<em>nothing</em>'}</td></tr>"
        for group, each in theirs.items()
    )
    maps = "\n".join(
        f"<figure><figcaption>{escape(group.label)}</figcaption>{attention_map(each)}</figure>"
        for group, each in theirs.items()
        if each.attention
    )
    details = f'<details><summary>Attention</summary><div class="maps">{maps}</div></details>' if maps else ""
    return (
        f'<article class="sentence"><p class="source">{escape(source)}</p>'
        f'<p class="reference">{escape(" / ".join(references))}</p>'
        f"<table>{rows}</table>{details}</article>"
    )


def attention_map(translation: Translation) -> str:
    """Attention as a table: a row a hypothesis word, a column a source position; darker is more weight."""
    positions = max(map(len, translation.attention))
    columns = _padded([*translation.source.split(" "), EOS], positions, "(padding)")
    words = _padded([*translation.hypothesis.split(" "), EOS], len(translation.attention), "")
    head = "".join(f'<th scope="col"><span>{escape(word)}</span></th>' for word in columns)
    rows = "".join(
        f'<tr><th scope="row">{escape(word)}</th>{"".join(map(_cell, weights))}</tr>'
        for word, weights in zip(words, translation.attention, strict=True)
    )
    return f'<table class="attention"><tr><td></td>{head}</tr>{rows}</table>'


def _padded(words: Sequence[str], length: int, padding: str) -> list[str]:
    return [*words, *[padding] * length][:length]


def _cell(weight: float) -> str:
    shade = min(max(weight, 0.0), 1.0) if math.isfinite(weight) else 0.0
    return f'<td style="--w:{shade:.2f}" title="{weight:.2f}"></td>'
