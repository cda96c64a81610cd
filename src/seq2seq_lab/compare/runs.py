"""Runs as they lie on disk: found under any folder, and read up to where they are whole."""

import csv
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from seq2seq_lab.compare.statistics import Curve
from seq2seq_lab.errors import UserError
from seq2seq_lab.evaluation.measures import measure
from seq2seq_lab.runs import layout

COMPARISON = "comparison"  # the folder that a comparison is written to
_WRITTEN = {"report.html", "results.csv"}  # whatever its name, the folder of a comparison has these
FINISHED = "finished"
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is ten times as fast


@dataclass(frozen=True)
class CorpusFacts:
    """What a run says of the pairs that it was trained on; ``None`` where it does not say."""

    fingerprint: str | None = None
    pairs: int | None = None
    loss_floor: float | None = None
    origin: str | None = None


@dataclass(frozen=True, eq=False)
class Run:
    """One run, as far as its folder tells.

    Attributes:
        folder: where it lies.
        name: its path from the root that all compared runs share.
        config: its resolved configuration.
        status: what it says of itself, or what is wrong with what it says.
        summary: the rest of what it says of itself.
        curves: metric → epoch → value.
        notes: what a reader has to know about what could not be read.
    """

    folder: Path
    name: str
    config: Mapping[str, Any]
    status: str
    summary: Mapping[str, Any]
    curves: Mapping[str, Curve]
    notes: tuple[str, ...] = field(default=())

    @property
    def finished(self) -> bool:
        return self.status == FINISHED

    @property
    def seed(self) -> int | None:
        seed = self.config.get("seed")
        return seed if isinstance(seed, int) else None

    @property
    def epochs(self) -> int:
        """The last epoch that anything is known of; 0 if none is."""
        return max((epoch for curve in self.curves.values() for epoch in curve), default=0)

    @property
    def corpus(self) -> CorpusFacts:
        said = self.summary.get("corpus")
        if not isinstance(said, dict):
            return CorpusFacts()
        pairs, floor = said.get("pairs"), said.get("loss_floor")
        return CorpusFacts(
            fingerprint=str(said["fingerprint"]) if said.get("fingerprint") else None,
            pairs=pairs if isinstance(pairs, int) else None,
            loss_floor=float(floor) if isinstance(floor, int | float) else None,
            origin=str(said["origin"]) if said.get("origin") else None,
        )

    @property
    def started(self) -> float:
        """When it started, in seconds since 1970; when its configuration was written if it does not say."""
        try:
            return datetime.fromisoformat(self.summary["started"]).timestamp()
        except (KeyError, TypeError, ValueError):
            return (self.folder / layout.CONFIG).stat().st_mtime

    def last(self, metric: str) -> float | None:
        """The value of the last epoch in which a metric was measured."""
        curve = self.curves.get(metric)
        return curve[max(curve)] if curve else None

    def best(self, metric: str) -> tuple[float, int] | None:
        """The best value of a metric and the first epoch that reached it; none if neither way is better."""
        better = measure(metric).better
        sign = {"lower": 1, "higher": -1}.get(better or "")
        finite = [(v, e) for e, v in self.curves.get(metric, {}).items() if math.isfinite(v)]
        return min(finite, key=lambda point: (sign * point[0], point[1])) if sign and finite else None


def natural(text: str) -> list[tuple[int, int, str]]:
    """A sort key by which ``seed-2`` comes before ``seed-10``."""
    parts = re.findall(r"\d+|\D+", text)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def common_root(paths: Sequence[Path]) -> Path:
    """The folder that the runs' names start from: the one given, or what those given have in common.

    Raises:
        UserError: a path is not there or is no folder.
    """
    tops = []
    for path in paths:
        with reaching(path):
            if not path.exists():
                raise UserError(
                    f"{path}: there is no such folder; give folders that runs lie in, such as outputs"
                )
            if not path.is_dir():
                raise UserError(f"{path}: this is a file; give the folder of a run, or one that runs lie in")
            top = path.resolve()
            tops.append(top.parent if _is_run(top) else top)
    return Path(os.path.commonpath(tops))


@contextmanager
def reaching(path: Path) -> Iterator[None]:
    """Say of a path that cannot be looked at, as its name is too long or not the user's to enter, just that."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be reached ({error.strerror})") from None


def find(paths: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """The folders of all runs under the paths, each once, and notes on what looks like a run but is none."""
    found: dict[Path, None] = {}
    notes = []
    for path in paths:
        before = len(found)
        seen = False
        for folder, note in _walk(path):
            if note is None:
                seen = True
                found[folder.resolve()] = None
            else:
                notes.append(note)
        if not seen and len(found) == before:
            notes.append(f"{path}: no run lies in it")
    return sorted(found), notes


def _walk(top: Path) -> Iterator[tuple[Path, str | None]]:
    failed: list[OSError] = []
    for name, folders, files in os.walk(top, onerror=failed.append):
        folder = Path(name)
        # Hidden folders hold Hydra's own config.yaml, which is not that of a run.
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        if set(files) >= _WRITTEN:
            folders[:] = [f for f in folders if f != "tensorboard"]
        if layout.CONFIG in files:
            folders.clear()
            yield folder, None
        elif {layout.SUMMARY, layout.METRICS} & set(files):
            yield folder, f"{folder}: no run, for it has no {layout.CONFIG}; left out"
        elif folder != top and not folders and not files:
            yield folder, f"{folder}: an empty folder; left out"
    for error in failed:
        yield Path(error.filename), f"{error.filename}: cannot be read ({error.strerror}); left out"


def _is_run(folder: Path) -> bool:
    return (folder / layout.CONFIG).is_file()


def read(folder: Path, root: Path) -> Run:
    """Read a run up to where it is whole.

    Raises:
        ValueError: its configuration cannot be read, so nothing is known of it; the text says why.
    """
    config = _read_config(folder / layout.CONFIG)
    summary, status = _read_summary(folder / layout.SUMMARY)
    curves, notes = read_metrics(folder / layout.METRICS)
    name = folder.relative_to(root).as_posix()
    if status == FINISHED and not curves:
        status = "finished, but without a value"
    run = Run(folder, name, config, status, summary, curves)
    promised = summary.get("epochs")
    if run.finished and isinstance(promised, int) and run.epochs < promised:
        notes.append(f"finished, but {layout.METRICS} stops at epoch {run.epochs} of {promised}")
    elif status == "running":
        notes = []  # whoever reads a file that is being written to may well find half a line
    return Run(folder, name, config, status, summary, curves, tuple(notes))


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = yaml.load(path.read_bytes(), Loader=_Loader)
    except (OSError, yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        why = getattr(error, "problem", None) or getattr(error, "strerror", None) or error
        raise ValueError(f"{layout.CONFIG}{where} cannot be read ({why})") from None
    if not isinstance(config, dict) or not config:
        raise ValueError(f"{layout.CONFIG} holds no configuration")
    if "model" not in config:
        raise ValueError(f"{layout.CONFIG} is not that of a run")
    return {str(key): value for key, value in config.items()}


def _read_summary(path: Path) -> tuple[dict[str, Any], str]:
    """What the summary says, and the status: a word of the run's own, or what is wrong with the summary."""
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, f"without {layout.SUMMARY}"
    except (OSError, ValueError):
        summary = None
    if not isinstance(summary, dict):
        return {}, f"with a damaged {layout.SUMMARY}"
    return summary, str(summary.get("status", "without a status"))


def read_metrics(path: Path) -> tuple[dict[str, dict[int, float]], list[str]]:
    """Metric → epoch → value, and what could not be read.

    A line that is not whole is left out; so is a last line without an end, whose last number may be cut.
    An epoch that comes twice, as after a resume, counts as it came last.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        return {}, [f"no {path.name}" if missing else f"{path.name} cannot be read ({error.strerror})"]
    whole, _, rest = text.rpartition("\n")
    rows = [row.split(",") if '"' not in row else next(csv.reader([row])) for row in whole.splitlines()]
    header = [cell.strip() for cell in rows[0]] if rows else []
    if "epoch" not in header:
        return {}, [f"{path.name} has no column `epoch`" if header else f"{path.name} is empty"]
    curves: dict[str, dict[int, float]] = {metric: {} for metric in header if metric and metric != "epoch"}
    torn = [len(rows) + 1] if rest.strip() else []
    for line, row in enumerate(rows[1:], start=2):
        try:
            cells = dict(zip(header, row, strict=True))
            epoch = int(cells.pop("epoch"))
            values = {metric: float(cell) for metric, cell in cells.items() if metric and cell.strip()}
        except ValueError:
            torn.append(line)
            continue
        for metric, value in values.items():
            curves[metric][epoch] = value
    lines = ", ".join(map(str, sorted(torn)))
    notes = [f"{path.name}: line {lines} is not whole; left out"] if torn else []
    return {metric: curve for metric, curve in curves.items() if curve}, notes
