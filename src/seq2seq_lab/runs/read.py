"""Read the files of a run's folder. They may be incomplete, as a run can be killed at any time."""

import csv
import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from seq2seq_lab.config.schema import CHOICES, GROUPS, NODES
from seq2seq_lab.config.trust import interpolation
from seq2seq_lab.files import LARGEST, MOST_VALUES, read_json, read_limited
from seq2seq_lab.runs.earlier import as_of_now

if TYPE_CHECKING:
    from seq2seq_lab.data.corpus import Corpus

# The most that a file of a run can have: it may be somebody else's.
_MOST_CONFIG = 2**20  # bytes
_MOST_NODES = 100_000
_MOST_BYTES = 2**28
LAST_EPOCH = 10_000_000
Curve = Mapping[int, float]  # epoch, counted from 1 → value; epochs without a value are missing
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C version is ten times as fast


@dataclass(frozen=True)
class CorpusFacts:
    """Facts about the training pairs, from a run's summary; ``None`` if the summary does not contain them.

    ``item``, ``token`` and ``graded`` are those of `data.task.Task`; earlier runs are of translation.
    """

    fingerprint: str | None = None
    pairs: int | None = None
    loss_floor: float | None = None
    origin: str | None = None
    item: str = "sentence"
    token: str = "word"
    graded: bool = True

    @property
    def code(self) -> str:
        """The beginning of the fingerprint, which names the corpus in titles and labels."""
        return (self.fingerprint or "unknown")[:8]

    @classmethod
    def from_dict(cls, found: Any) -> "CorpusFacts":
        """The facts in an entry of a summary, which may come from another user."""
        if not isinstance(found, dict):
            return cls()
        pairs, floor = found.get("pairs"), found.get("loss_floor")
        return cls(
            fingerprint=str(found["fingerprint"]) if found.get("fingerprint") else None,
            pairs=pairs if isinstance(pairs, int) else None,
            loss_floor=float(floor) if isinstance(floor, int | float) and abs(floor) <= LARGEST else None,
            origin=str(found["origin"]) if found.get("origin") else None,
            item=_name(found, "item", cls.item),
            token=_name(found, "token", cls.token),
            graded=found.get("graded") is not False,
        )


def _name(found: Mapping[str, Any], key: str, otherwise: str) -> str:
    """A word of a task, such as `command`."""
    value = found.get(key)
    return value if isinstance(value, str) and re.fullmatch(r"\w{1,20}", value) else otherwise


def facts_of(corpus: "Corpus", loss_floor: float) -> dict[str, Any]:
    """The facts about the training pairs that a summary has."""
    return {
        "fingerprint": corpus.fingerprint,
        "complete": (corpus.complete or corpus).fingerprint,
        "given_parts": corpus.given_parts,
        "pairs": len(corpus),
        "loss_floor": loss_floor,
        "origin": corpus.origin,
        **corpus.task.to_dict(),
    }


def has_same_parts(facts: Mapping[str, Any], corpus: "Corpus") -> bool:
    """Whether the parts that a corpus gives are those of the facts in a summary; those of version 0.2 do not say."""
    given = facts.get("given_parts", corpus.given_parts)
    return bool(given == corpus.given_parts)


def read_config(path: Path, checksum: str | None = None) -> dict[str, Any]:
    """The configuration of a run.

    Args:
        checksum: SHA-256 of the file as it was written, where it is known.

    Raises:
        ValueError: the file cannot be read, or is not the configuration of a run; the message gives the reason.
    """
    try:
        text = read_limited(path, _MOST_CONFIG)
        config = yaml.load(text, Loader=_Loader)
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        why = getattr(error, "problem", None) or getattr(error, "strerror", None) or error
        raise ValueError(f"{path.name}{where} cannot be read ({why})") from None
    if checksum is not None and hashlib.sha256(text).hexdigest() != checksum:
        raise ValueError(f"{path.name} is not what training wrote: damaged, or edited")
    if _nodes(config, {}) > _MOST_NODES:  # aliases of aliases
        raise ValueError(f"{path.name} is not the configuration of a run: it has too many entries")
    if (odd := _odd_value(config)) is not None:
        raise ValueError(f"{path.name} is not the configuration of a run: it has {odd}")
    if not isinstance(config, dict) or not config:
        raise ValueError(f"{path.name} contains no configuration")
    if "model" not in config:
        raise ValueError(f"{path.name} is not the configuration of a run")
    for group in (*GROUPS, *NODES, CHOICES):
        if not isinstance(config.get(group), dict | None):
            raise ValueError(f"{path.name} is not the configuration of a run: {group} is not a set of keys")
    if (key := interpolation(config)) is not None:
        raise ValueError(f"{path.name} is not what training wrote: {key} contains an interpolation, ${{…}}")
    return as_of_now({str(key): value for key, value in config.items()})


def _nodes(value: Any, known: dict[int, int]) -> int:
    """The number of entries in nested containers; what an alias stands for counts each time."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = 2**62  # within itself
        below = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_nodes(each, known) for each in below)
    return known[id(value)]


def _odd_value(value: Any) -> str | None:
    """What the first value is that no configuration has; None if there is none."""
    if isinstance(value, dict | list):
        below = value.values() if isinstance(value, dict) else value
        return next((found for each in below if (found := _odd_value(each)) is not None), None)
    if isinstance(value, int | float):
        return "a number that is too large" if LARGEST < abs(value) < math.inf else None
    # YAML has tags for sets, dates and bytes.
    return None if isinstance(value, str | None) else f"a value of type {type(value).__name__}"


def read_summary(path: Path) -> tuple[dict[str, Any], str]:
    """The summary and the status of a run.

    If the file is missing or damaged, the summary is empty and the status describes the problem.
    """
    try:
        summary = read_json(path, _MOST_BYTES)
    except FileNotFoundError:
        return {}, f"without {path.name}"
    except (OSError, ValueError):
        summary = None
    if not isinstance(summary, dict):
        return {}, f"with a damaged {path.name}"
    return summary, str(summary.get("status", "without a status"))


def read_metrics(path: Path) -> tuple[dict[str, dict[int, float]], list[str]]:
    """Metric → epoch → value, and notes on what could not be read.

    Incomplete lines are skipped. A last line without a line feed is skipped too, as its last number may be
    truncated. If an epoch appears twice, as after a resume, the last row is used. A value that is too large to
    compute with is infinite.
    """
    try:
        text = read_limited(path, _MOST_BYTES).decode("utf-8", errors="replace")
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        return {}, [f"no {path.name}" if missing else f"{path.name} cannot be read ({error.strerror})"]
    if text.count(",") > MOST_VALUES:
        return {}, [f"{path.name} has too many values"]
    complete, _, rest = text.rpartition("\n")
    rows = [row.split(",") if '"' not in row else next(csv.reader([row])) for row in complete.splitlines()]
    header = [cell.strip() for cell in rows[0]] if rows else []
    if "epoch" not in header:
        return {}, [f"{path.name} has no column `epoch`" if header else f"{path.name} is empty"]
    curves: dict[str, dict[int, float]] = {metric: {} for metric in header if metric and metric != "epoch"}
    incomplete = [len(rows) + 1] if rest.strip() else []
    for line, row in enumerate(rows[1:], start=2):
        try:
            cells = dict(zip(header, row, strict=True))
            epoch = int(cells.pop("epoch"))
            if not 0 <= epoch <= LAST_EPOCH:
                raise ValueError(epoch)
            values = {metric: _value(cell) for metric, cell in cells.items() if metric and cell.strip()}
        except ValueError:
            incomplete.append(line)
            continue
        for metric, value in values.items():
            curves[metric][epoch] = value
    lines = ", ".join(map(str, sorted(incomplete)))
    notes = [f"{path.name}: line {lines} is incomplete; skipped"] if incomplete else []
    return {metric: curve for metric, curve in curves.items() if curve}, notes


def _value(cell: str) -> float:
    number = float(cell)
    return math.copysign(math.inf, number) if abs(number) > LARGEST else number
