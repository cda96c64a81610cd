"""Load the model of a run."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq_lab.data.text import Normalisation
from seq2seq_lab.data.vocabulary import Vocabulary
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.run import Run

if TYPE_CHECKING:
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
    run = Run(Path(path))
    if not run.exists():
        what = "is not a run: it has no config.yaml" if run.folder.exists() else "does not exist"
        raise UserError(f"{path} {what}; a run's folder looks like outputs/attention-mixed-0.5/seed-0")
    checkpoint = run.best_checkpoint if best else run.last_checkpoint
    if not checkpoint.exists():
        raise UserError(f"{path} has no checkpoint {checkpoint.name} yet; let the run finish its first epoch")

    from seq2seq_lab.config.build import build, call

    config = run.config()
    vocabularies = _read_vocabularies(run.folder / layout.VOCABULARIES)
    model = call(
        build(config["model"], "model"),
        "model",
        source_vocabulary_size=len(vocabularies.source),
        target_vocabulary_size=len(vocabularies.target),
    )
    state = read_checkpoint(checkpoint)["state_dict"]
    model.to(next(iter(state.values())).dtype)  # a model trained in double precision keeps it
    model.load_state_dict({_current_name(name): value for name, value in state.items()})
    return config, model.eval(), vocabularies


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
