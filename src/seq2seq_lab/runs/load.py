"""Load the model of a run."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq_lab.data.text import Normalisation
from seq2seq_lab.data.vocabulary import Vocabulary
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.naming import fingerprint, first_difference
from seq2seq_lab.runs.run import Run

if TYPE_CHECKING:
    from torch import Tensor

    from seq2seq_lab.models import Seq2Seq


@dataclass(frozen=True)
class Vocabularies:
    """The source and target vocabularies, the normalisation of raw sentences, and the maximum length of a translation.

    `max_length` includes `<eos>`, and `<sos>` if the model predicts it.
    """

    source: Vocabulary
    target: Vocabulary
    normalise: Normalisation
    max_length: int


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's contents, on the CPU.

    Raises:
        UserError: the file is damaged.
    """
    import torch

    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        state["state_dict"]
    except Exception as error:  # a damaged file can raise almost any exception
        raise UserError(f"{path}: damaged; copy it again, or train again with fresh=true") from error
    return state


def load_run(path: str | Path, *, best: bool = False) -> "tuple[dict[str, Any], Seq2Seq, Vocabularies]":
    """Load a trained model: its configuration, the model in evaluation mode, and its vocabularies.

    Args:
        path: the run's folder.
        best: the best checkpoint instead of the last.

    Raises:
        UserError: the folder is not a run, or the run has no checkpoint yet.
    """
    run, checkpoint = _find(path, best=best)

    from seq2seq_lab.config.build import build, call

    config = run.config()
    vocabularies = _read_vocabularies(run.folder / layout.VOCABULARIES)
    model = call(
        build(config["model"], "model"),
        "model",
        source_vocabulary_size=len(vocabularies.source),
        target_vocabulary_size=len(vocabularies.target),
    )
    state = _weights(checkpoint)
    model.to(next(iter(state.values())).dtype)  # a model trained in double precision keeps it
    model.load_state_dict(state)
    return config, model.eval(), vocabularies


def start_from(
    path: str,
    model: "Seq2Seq",
    vocabularies: Mapping[str, Vocabulary],
    config: Mapping[str, Any],
    *,
    best: bool,
) -> dict[str, str]:
    """Give a model the weights of a trained run; returns what a summary says of that run.

    Args:
        path: the run's folder.
        model: whose weights are replaced.
        vocabularies: the model's own, `source` and `target`.
        config: the configuration that the model was made of.
        best: the run's best checkpoint instead of its last.

    Raises:
        UserError: the folder is no run, or its model has other words or sizes.
    """
    try:
        run, checkpoint = _find(path, best=best)
    except UserError as error:
        raise UserError(f"init_from: {error}") from None
    theirs, state = _read_vocabularies(run.folder / layout.VOCABULARIES), _weights(checkpoint)
    for side, own in vocabularies.items():
        words = getattr(theirs, side).words
        if words != own.words:
            raise UserError(
                f"init_from: {path} has another {side} vocabulary ({len(words)} words, this run has {len(own)}); "
                "it must be trained on the same data"
            )
    wanted, given = (_shapes(each) for each in (model.state_dict(), state))
    if (weight := first_difference(wanted, given)) is not None:
        different = _differences(run.config()["model"], config["model"], "model") or [
            f"the shape of {weight}"
        ]
        raise UserError(f"init_from: {path} has another model; it differs in {', '.join(different)}")
    model.load_state_dict(state)
    return {
        "run": path,
        "checkpoint": "best" if best else "last",
        "fingerprint": fingerprint(run.config()),
    }


def _shapes(state: "Mapping[str, Tensor]") -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in state.items()}


def _differences(one: Mapping[str, Any], other: Mapping[str, Any], path: str) -> list[str]:
    """Every key by which two nodes differ, with both values."""
    found = []
    for key in dict.fromkeys([*one, *other]):
        ours, theirs = one.get(key), other.get(key)
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            found += _differences(ours, theirs, f"{path}.{key}")
        elif ours != theirs:
            found.append(f"{path}.{key} ({ours} there, {theirs} here)")
    return found


def _find(path: str | Path, *, best: bool) -> tuple[Run, Path]:
    """A run and its checkpoint."""
    run = Run(Path(path))
    if not run.exists():
        what = "is not a run: it has no config.yaml" if run.folder.exists() else "does not exist"
        raise UserError(f"{path} {what}; a run's folder looks like outputs/attention-mixed-0.5/seed-0")
    checkpoint = run.best_checkpoint if best else run.last_checkpoint
    if not checkpoint.exists():
        raise UserError(f"{path} has no checkpoint {checkpoint.name} yet; let the run finish its first epoch")
    return run, checkpoint


def _weights(checkpoint: Path) -> "dict[str, Tensor]":
    """The weights of a checkpoint, by their current names."""
    state = read_checkpoint(checkpoint)["state_dict"]
    return {_current_name(name): value for name, value in state.items()}


def _current_name(name: str) -> str:
    """The name of a weight in the model; before version 0.2 all layers were in one module called `gru`."""
    return re.sub(r"\.gru\.(\w+)_l(\d+)$", r".rnn.layers.\2.\1_l0", name.removeprefix("model."))


def _read_vocabularies(path: Path) -> Vocabularies:
    try:
        words = json.loads(path.read_text(encoding="utf-8"))
        return Vocabularies(
            Vocabulary.from_list(words["source"]),
            Vocabulary.from_list(words["target"]),
            Normalisation(**words["normalise"]),
            words["max_length"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: missing or damaged; copy the run again, or train again with fresh=true"
        ) from error
