"""What training and `seq2seq-lab evaluate` find on a part of the data: written in the folder of a run, and read."""

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq_lab.errors import UserError
from seq2seq_lab.files import LARGEST, parse_json, read_json, read_limited, write_text
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.foreign import is_inside

if TYPE_CHECKING:
    from seq2seq_lab.evaluation.part import Part, Results

_MOST_BYTES = 2**28  # of a file, which may be somebody else's
SOURCE, PAIR = "source", "pair"  # what a segment is
# Version 0.2 measured these inside the grammar alone.
_INSIDE = ("eb_c", "excess_error")
_INSIDE_COLUMNS = {"model": "model_inside", "model_at_most": "model", "eb_c": "eb_c_inside"}


@dataclass(frozen=True)
class Evaluated:
    """The results of a trained model on one part of the data.

    Attributes:
        measures: the value of each measure, by its name; NaN where it was not finite.
        analyses: the result of each analysis, by its name; plain data, which may come from another user.
        segments: what counts once in scores of translations: each `source`, or each `pair`, as in version 0.2.
        checkpoint, epoch: what was evaluated, `best` or `last`; None where the file does not say it, or of a mean.
        conditions: how it was made, by the options of `seq2seq-lab evaluate`, as far as the file says it: results that
            differ in one do not compare.
        path: of its file; beside it is that of the translations.
    """

    measures: Mapping[str, float] = field(default_factory=dict)
    analyses: Mapping[str, Any] = field(default_factory=dict)
    segments: str = PAIR
    checkpoint: str | None = None
    epoch: int | None = None
    conditions: Mapping[str, Any] = field(default_factory=dict)
    path: Path = Path()


@dataclass(frozen=True)
class Translated:
    """The translations of the sentences of one part of the data, [N], and the references of each.

    Attributes:
        components: the number of each sentence's component, see `data.splits.components_of`; None where the split does
            not deal components, or the file is of version 0.2 or before.
    """

    hypotheses: Sequence[str]
    references: Sequence[Sequence[str]]
    components: Sequence[int] | None = None


def contents_of(
    part: "Part",
    results: "Results",
    *,
    name: str,
    checkpoint: str,
    epoch: int | None,
    averaged: int | None = None,
    length_penalty: float = 1.0,
    segments: str,
    perfect: bool = False,
    left_out: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """An evaluation as plain data, where a number may be infinite.

    Args:
        part: the pairs.
        results: what was found.
        name: of the part: `train`, `validation` or `test`; of other pairs a name, such as `shifted`.
        checkpoint: `best` or `last`.
        epoch: that it is of, counted from 1; of a mean of several checkpoints, that of the newest.
        averaged: the number of kept checkpoints whose mean was evaluated instead.
        length_penalty: of beam search.
        segments: what counts once in scores of translations, each `source` or each `pair`.
        perfect: whether it is of the perfect model of the data.
        left_out: the numbers of pairs that were not evaluated, and why.
    """
    return {
        "part": name,
        "model": "perfect" if perfect else "trained",
        "pairs": len(part.corpus),
        "left_out": dict(left_out or {}),
        "checkpoint": checkpoint,
        "epoch": epoch,
        "averaged": averaged,
        "beam": next(iter(results.beams)),
        "length_penalty": length_penalty,
        "segments": segments,
        "segment_count": results.segments,
        "units": part.corpus.target_vocabulary.units.name,
        "task": part.corpus.task.to_dict(),
        "measures": results.measures,
        "signature": results.signature,
        "beams": {str(beam): each for beam, each in results.beams.items()},
        "analyses": results.analyses,
    }


def write_evaluation(
    folder: Path,
    part: str,
    contents: Mapping[str, Any],
    *,
    sources: Sequence[str],
    references: Sequence[Sequence[str]],
    hypotheses: Sequence[str],
    components: Sequence[int] | None = None,
) -> None:
    """Write an evaluation on a part of the data into the folder of a run.

    Args:
        folder: the folder of the run.
        part: the name of the files.
        contents: plain data for the JSON file; see `contents_of`.
        sources, references, hypotheses: of each pair, [N].
        components: the number of each pair's component, [N]; None where the split does not deal components.
    """
    rows: list[dict[str, Any]] = [
        {"source": source, "references": list(each), "hypothesis": hypothesis}
        for source, each, hypothesis in zip(sources, references, hypotheses, strict=True)
    ]
    if components is not None:
        rows = [row | {"component": int(each)} for row, each in zip(rows, components, strict=True)]
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    target = folder / layout.EVALUATION / part
    if not is_inside(target.parent, folder):
        raise UserError(f"{target.parent}: it is a link out of {folder}; remove it, or copy what it leads to")
    _keep_other(target, contents)
    write_text(target.with_name(f"{part}.jsonl"), "".join(f"{line}\n" for line in lines))
    write_text(target.with_name(f"{part}.json"), as_json(contents))


def _keep_other(target: Path, contents: Mapping[str, Any]) -> None:
    """Keep the evaluation of another checkpoint, which this one replaces, in a folder of the checkpoint's name.

    Args:
        target: the path of the files, without a suffix.
        contents: of the new one.
    """
    before = _read(target.with_name(f"{target.name}.json"))
    kept = before.checkpoint if before else None
    now = None if contents.get("averaged") else contents.get("checkpoint")  # a mean is of neither
    if kept not in ("best", "last") or kept == now:
        return
    if not is_inside(target.parent / kept, target.parent):
        raise UserError(f"{target.parent / kept}: it is a link out of {target.parent}; remove it")
    for kind in ("jsonl", "json"):
        with suppress(OSError):
            text = read_limited(target.with_name(f"{target.name}.{kind}"), _MOST_BYTES).decode()
            write_text(target.parent / kept / f"{target.name}.{kind}", text)


def as_json(contents: Any) -> str:
    """Plain data as JSON; a number that is not finite is null, as JSON has none."""
    return json.dumps(_finite(contents), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_translated(path: Path, segments: str = PAIR) -> Translated | None:
    """The translations of a run, from a file with a JSON object for each pair; None if there are none.

    Args:
        path: of the evaluation, whose translations are beside it.
        segments: what counts once, each `source` or each `pair`.
    """
    try:
        text = read_limited(path.with_suffix(".jsonl"), _MOST_BYTES).decode()
        rows = [parse_json(line) for line in text.split("\n") if line]
        if segments == SOURCE:
            firsts: dict[str, Any] = {}
            for row in rows:
                firsts.setdefault(row["source"], row)
            rows = list(firsts.values())
        if not rows:
            return None
        return Translated(
            [str(row["hypothesis"]) for row in rows],
            [[*map(str, row["references"])] for row in rows],
            _components(rows),
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _components(rows: Sequence[Any]) -> list[int] | None:
    found = [row.get("component") for row in rows]
    return found if all(isinstance(each, int) for each in found) else None


def read_evaluations(folder: Path) -> tuple[dict[str, Evaluated], list[str]]:
    """Part of the data → its evaluation, and notes on files that cannot be read.

    Args:
        folder: the folder with a JSON file for each part; it may not exist.
    """
    found, notes = {}, []
    for path in sorted(folder.glob("*.json")):
        if (read := _read(path)) is not None:
            found[path.stem] = read
        else:
            notes.append(f"{folder.name}/{path.name} is damaged; skipped")
    return found, notes


def _read(path: Path) -> Evaluated | None:
    """The evaluation in a file; None if there is none, or it is damaged."""
    try:
        read = read_json(path, _MOST_BYTES)
    except (OSError, ValueError):
        return None
    if not isinstance(read, dict):
        return None
    checkpoint, epoch = read.get("checkpoint"), read.get("epoch")
    return replace(
        _evaluated(read),
        checkpoint=checkpoint if isinstance(checkpoint, str) and not read.get("averaged") else None,
        epoch=epoch if isinstance(epoch, int) else None,
        conditions=_conditions(read),
        path=path,
    )


def _conditions(read: Mapping[str, Any]) -> dict[str, Any]:
    beam = read.get("beam")
    found = {
        "segments": _segments(read),
        "beam": beam,
        "length-penalty": read.get("length_penalty") if beam != 1 else None,
        "average": (read.get("averaged") or 0) if "averaged" in read else None,
        "max-pairs": read.get("pairs"),
    }
    return {key: value for key, value in found.items() if isinstance(value, int | float | str)}


def _segments(read: Mapping[str, Any]) -> str:
    return SOURCE if read.get("segments") == SOURCE else PAIR


def _evaluated(read: Mapping[str, Any]) -> Evaluated:
    measures, analyses = _numbers(read.get("measures")), _mappings(read.get("analyses"))
    if "segments" in read:
        return Evaluated(measures, analyses, _segments(read))
    measures = {f"{name}_inside" if name in _INSIDE else name: each for name, each in measures.items()}
    if "grammar" in analyses:
        analyses = {**analyses, "grammar": _with_current_names(analyses["grammar"])}
    return Evaluated(measures, analyses)


def _with_current_names(grammar: Mapping[str, Any]) -> dict[str, Any]:
    """The analysis `grammar` of version 0.2, with the current names of its columns."""
    found = {"excess_inside" if name == "excess" else name: each for name, each in grammar.items()}
    for name, each in found.items():
        if isinstance(each, Mapping):
            found[name] = {_INSIDE_COLUMNS.get(column, column): values for column, values in each.items()}
    return found


def _numbers(entries: Any) -> dict[str, float]:
    """The entries of a mapping that are numbers; null, which is not finite, and those too large to compute with as NaN.

    A run that diverged has such values, and must not be left out of what is said of its method.
    """
    return {
        str(name): float(value) if value is not None and abs(value) <= LARGEST else math.nan
        for name, value in (entries.items() if isinstance(entries, Mapping) else ())
        if isinstance(value, int | float | None) and not isinstance(value, bool)
    }


def _mappings(entries: Any) -> dict[str, Any]:
    return {
        str(name): value
        for name, value in (entries.items() if isinstance(entries, Mapping) else ())
        if isinstance(value, Mapping)
    }
