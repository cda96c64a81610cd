"""A translator as one HTML file: the weights of some runs, and a script that computes with them."""

import base64
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq_lab.data.task import with_article
from seq2seq_lab.data.text import Normalisation
from seq2seq_lab.data.units import Subwords
from seq2seq_lab.data.vocabulary import Vocabulary
from seq2seq_lab.errors import UserError
from seq2seq_lab.files import read_json
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.chosen import Which
from seq2seq_lab.runs.loaded import LoadedRun
from seq2seq_lab.runs.run import Run

if TYPE_CHECKING:
    from seq2seq_lab.models.interface import Model

_HERE = Path(__file__).parent
_EXAMPLES = 8
_MOST_BYTES = 2**28  # of a file, which may be somebody else's


def page(
    paths: Sequence[Path],
    *,
    checkpoint: Which | None = None,
    trusted: Sequence[str] = (),
    left_out: Callable[[Path, str], None] | None = None,
) -> str:
    """The page for some runs, which should have been trained on the same language pair.

    Weights are stored as float16, and computed with as float32.

    Args:
        paths: folders of runs.
        checkpoint: the best or the last; None: the best where there is one, else the last.
        trusted: modules whose code a run may name.
        left_out: called with a run's folder and the reason why it cannot be on the page; there must be another run
            that can.

    Raises:
        UserError: a run cannot be loaded, or its model is not one that the page can compute.
    """
    from jinja2 import Environment, FileSystemLoader

    runs, models = [], []
    for path, name in zip(paths, _names(paths), strict=True):
        run = LoadedRun(Run(path), checkpoint=checkpoint, trusted=trusted)
        try:
            models.append(_model(run, name))
            runs.append(run)
        except UserError as error:
            if left_out is None or (path == paths[-1] and not runs):
                raise
            left_out(path, str(error))
    examples = _examples(runs)
    for model, run in zip(models, runs, strict=True):
        model["translations"] = [_translation(run, each["source"]) for each in examples]
    environment = Environment(loader=FileSystemLoader(_HERE), autoescape=True)
    environment.filters["with_article"] = with_article
    corpus = runs[0].run.corpus
    return environment.get_template("page.html.j2").render(
        title=f"Translator: {', '.join(model['name'] for model in models)}",
        item=corpus.item,
        token=corpus.token,
        script=(_HERE / "translator.js").read_text(encoding="utf-8"),
        data=_json({"models": models, "examples": examples}),
    )


def _json(value: Any) -> str:
    """JSON that can stand in a script element: no end tag and no comment can begin in it."""
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _names(paths: Sequence[Path]) -> list[str]:
    """The parts of the paths that tell the runs apart."""
    parts = [path.resolve().parts for path in paths]
    if len(parts) == 1:
        return ["/".join(parts[0][-2:])]
    start = 0
    while all(len(each) > start + 1 and each[start] == parts[0][start] for each in parts):
        start += 1
    return ["/".join(each[start:]) for each in parts]


def _examples(runs: Sequence[LoadedRun]) -> list[dict[str, Any]]:
    """Sources of the first run that has some, with their references."""
    for run in runs:
        try:
            samples = read_json(run.run.folder / layout.TRANSLATIONS, _MOST_BYTES)
            return [
                {"source": str(each["source"]), "references": [str(r) for r in each["references"]]}
                for each in samples[:_EXAMPLES]
            ]
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return []


def _translation(run: LoadedRun, source: str) -> str:
    """The translation of an example, which may be of another run; "" where it is too long, as in the script."""
    try:
        return run.translate(source)[0]
    except UserError:
        return ""


def _model(run: LoadedRun, name: str) -> dict[str, Any]:
    model, words = run.model, run.vocabularies
    settings = _settings(model, str(run.run.folder))
    weights, contents = _weights(model, str(run.run.folder))
    return {
        "name": name,
        "settings": settings,
        "weights": weights,
        "contents": contents,
        "source": _vocabulary(words.source),
        "target": _vocabulary(words.target),
        "normalise": _normalisation(words.normalise),
        "max_length": words.max_length,
        "forcing": str((run.config.get("choices") or {}).get("forcing", "")),
        "checkpoint": run.checkpoint,
        "token": run.run.corpus.token,
        "predicts_sos": bool(run.config.get("loader", {}).get("predict_sos")),
    }


def _settings(model: "Model", path: str) -> dict[str, Any]:
    """What the script has to know of a model.

    Raises:
        UserError: the script does not compute it.
    """
    from seq2seq_lab.models.interface import Described, need

    cannot = f"{path}: the page does not compute"
    described = need(model, Described, cannot)  # type: ignore[type-abstract]
    try:
        return dict(described.description())
    except ValueError as error:
        raise UserError(f"{cannot} models with {error}") from None


def _weights(model: "Model", path: str) -> tuple[dict[str, Any], str]:
    """Each weight's shape and its place among all numbers; and the numbers, float16 in base64.

    Raises:
        UserError: a weight is too large for float16.
    """
    import torch

    places: dict[int, int] = {}
    weights, parts, end = {}, [], 0
    for name, value in model.state_dict().items():
        if value.data_ptr() not in places:  # a tied weight is stored once
            places[value.data_ptr()] = end
            parts.append(value.flatten().to(torch.float16))
            end += value.numel()
        weights[name] = {"shape": list(value.shape), "start": places[value.data_ptr()]}
    numbers = torch.cat(parts)
    if not numbers.isfinite().all():
        largest = torch.finfo(numbers.dtype).max
        raise UserError(f"{path}: the page has no weights above {largest:,.0f}, as of training that diverged")
    return weights, base64.b64encode(numbers.numpy().astype("<f2").tobytes()).decode()


def _normalisation(normalise: Normalisation) -> dict[str, Any]:
    r"""The settings for the script, where `keep` is written as ranges: `\w` means other characters in JavaScript."""
    if not normalise.keep:
        return asdict(normalise)
    kept = re.split(f"[^{normalise.keep}]+", "".join(map(chr, range(sys.maxunicode + 1))))
    ranges = (f"\\u{{{ord(run[0]):x}}}-\\u{{{ord(run[-1]):x}}}" for run in kept if run)
    return asdict(normalise) | {"keep": "".join(ranges)}


def _vocabulary(vocabulary: Vocabulary) -> dict[str, Any]:
    units: dict[str, Any] = {"name": vocabulary.units.name}
    if isinstance(vocabulary.units, Subwords):
        pieces = vocabulary.units._pieces
        count = pieces.get_piece_size()
        units |= {
            "kind": vocabulary.units.kind,
            "pieces": [
                [pieces.id_to_piece(i), pieces.get_score(i)] for i in range(count) if not pieces.is_unknown(i)
            ],
        }
    return {"words": list(vocabulary.words), "unk": vocabulary.unk, "units": units}
