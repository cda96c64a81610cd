"""Load the model of a run."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from seq2seq_lab.data.text import Normalisation
from seq2seq_lab.data.units import units_from_dict
from seq2seq_lab.data.vocabulary import Vocabulary
from seq2seq_lab.errors import UserError
from seq2seq_lab.files import read_json
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.checkpoint import averaged_weights, read_weights, shapes
from seq2seq_lab.runs.chosen import Which, find_checkpoint
from seq2seq_lab.runs.identity import fingerprint, first_difference

if TYPE_CHECKING:
    from torch import Tensor

    from seq2seq_lab.models.interface import Model

_MOST_BYTES = 2**28  # of vocabularies, which may be somebody else's
_LONGEST = 100_000  # positions of a hypothesis
_PLAIN = (
    1000  # a setting of a model up to this needs no weights of that size, such as the number of its layers
)


@dataclass(frozen=True)
class Vocabularies:
    """What raw sentences are turned into ids with, and ids into sentences.

    Attributes:
        source, target: the vocabularies.
        normalise: the normalisation of raw sentences.
        max_length: the maximum length of a translation, with `<eos>`, and with `<sos>` if the model predicts it.
    """

    source: Vocabulary
    target: Vocabulary
    normalise: Normalisation
    max_length: int

    def encode(self, sentence: str) -> "EncodedSentence":
        """The ids of a raw sentence, and what of it the model cannot see."""
        normalised = self.normalise(sentence)
        words = normalised.split(" ")
        known = self.source.unk is not None
        unknown = [
            word for word in dict.fromkeys(words) if self.source.unknown(self.source.units.divide(word))
        ]
        # A quotation mark at the end leaves an empty word, which is nothing to translate if it was never trained on.
        kept = [word for word in words if word not in unknown or (known and word)]
        dropped = [
            part for word in sentence.split() if (part := "".join(c for c in word if self._is_dropped(c)))
        ]
        ids = self.source.ids_of_words(kept).values.tolist()
        lost = _has_letter(sentence) and not _has_letter(normalised)
        if lost or not any(kept) or all(each == self.source.unk for each in ids):
            ids = []
        notes = {
            "the normalisation removed ": dropped,
            f"unknown words {'are <unk> for this model' if known else 'were skipped'}: ": [
                *filter(None, unknown)
            ],
        }
        said = [what + ", ".join(map(repr, parts)) for what, parts in notes.items() if parts]
        return EncodedSentence(ids, [*said, *([] if ids else ["no known word to translate"])])

    def decode(self, ids: Iterable[int]) -> str:
        """The sentence of target ids."""
        return self.target.text(ids)

    def _is_dropped(self, character: str) -> bool:
        """Whether the normalisation removes a letter, digit or symbol."""
        visible = character.isalnum() or unicodedata.category(character) in ("Sc", "So")
        return visible and not self.normalise(character).strip()


class EncodedSentence(NamedTuple):
    """A raw sentence for a model.

    Attributes:
        ids: its symbols, without `<eos>`; empty if no word of it is known.
        notes: what the model cannot see, for the user: letters, digits and symbols that the normalisation removed;
            words with a symbol that the vocabulary lacks, which are `<unk>` in `ids`, or left out if there is no
            `<unk>`; that nothing is left. The translator page says the same.
    """

    ids: list[int]
    notes: list[str]


def _has_letter(text: str) -> bool:
    return any(character.isalpha() for character in text)


def load_model(
    path: str | Path,
    *,
    checkpoint: Which | None = None,
    averaged: int | None = None,
    trusted: Sequence[str] = (),
) -> "tuple[dict[str, Any], Model, Vocabularies]":
    """Load a trained model: its configuration, the model in evaluation mode, and its vocabularies.

    Args:
        path: the run's folder.
        checkpoint: the best or the last; None: the best where there is one, else the last.
        averaged: the mean of the weights of this number of kept checkpoints instead; see `averaged_weights`.
        trusted: modules whose code the run may name; see `config.trust.check_targets`.

    Raises:
        UserError: the folder is not a run, a file of it is damaged, the run has no checkpoint yet, or it names code
            that is not trusted.
    """
    run, found = find_checkpoint(path, checkpoint)
    config = run.config()
    vocabularies = _read_vocabularies(run.folder / layout.VOCABULARIES)
    state = read_weights(found) if averaged is None else averaged_weights(run, averaged)
    model = _build_model(config, vocabularies, state, path, trusted)
    # A model that was trained in double precision keeps it.
    model.to(next((each.dtype for each in state.values() if each.is_floating_point()), None))
    model.load_state_dict(state)
    return config, model.eval(), vocabularies


def _build_model(
    config: Mapping[str, Any],
    vocabularies: Vocabularies,
    state: "Mapping[str, Tensor]",
    path: str | Path,
    trusted: Sequence[str],
) -> "Model":
    """A model of the shapes of these weights."""
    import torch

    from seq2seq_lab.config.build import build, call
    from seq2seq_lab.config.check import check_node
    from seq2seq_lab.config.trust import check_targets

    check_targets(config["model"], "model", trusted)
    try:
        check_node(config["model"], "model")
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    largest = max((size for value in state.values() for size in value.shape), default=0)
    for key, value in config["model"].items():
        if isinstance(value, int) and value > max(largest, _PLAIN):
            raise UserError(
                f"{path}: model.{key}: {value} does not fit its checkpoint, which is of another model"
            )
    sizes = {
        "source_vocabulary_size": len(vocabularies.source),
        "target_vocabulary_size": len(vocabularies.target),
    }
    with torch.device("meta"):  # no memory is taken
        wanted = shapes(call(build(config["model"], "model"), "model", **sizes).state_dict())
    if (weight := first_difference(wanted, shapes(state))) is not None:
        raise UserError(
            f"{path}: its checkpoint is of another model than {layout.CONFIG} and {layout.VOCABULARIES} (it differs in "
            f"{weight}); copy the run again"
        )
    return call(build(config["model"], "model"), "model", **sizes)  # type: ignore[no-any-return]


def start_from(
    path: str,
    model: "Model",
    vocabularies: Mapping[str, Vocabulary],
    config: Mapping[str, Any],
    *,
    which: Which,
) -> dict[str, str]:
    """Give a model the weights of a trained run; returns what a summary says of that run.

    Args:
        path: the run's folder.
        model: whose weights are replaced.
        vocabularies: the model's own, `source` and `target`.
        config: the configuration that the model was made of.
        which: the run's best checkpoint, or its last.

    Raises:
        UserError: the folder is no run, or its model has other words or sizes.
    """
    try:
        run, checkpoint = find_checkpoint(path, which)
    except UserError as error:
        raise UserError(f"init_from: {error}") from None
    theirs, state = _read_vocabularies(run.folder / layout.VOCABULARIES), read_weights(checkpoint)
    for side, own in vocabularies.items():
        words = getattr(theirs, side).words
        if words != own.words:
            raise UserError(
                f"init_from: {path} has another {side} vocabulary ({len(words)} words, this run has {len(own)}); "
                "it must be trained on the same data"
            )
    wanted, given = (shapes(each) for each in (model.state_dict(), state))
    if (weight := first_difference(wanted, given)) is not None:
        different = _differences(run.config()["model"], config["model"], "model") or [
            f"the shape or the type of {weight}"
        ]
        raise UserError(f"init_from: {path} has another model; it differs in {', '.join(different)}")
    model.load_state_dict(state)
    return {
        "run": path,
        "checkpoint": which,
        "fingerprint": fingerprint(run.config()),
    }


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


def _length(value: object) -> int:
    """The positions that a hypothesis may have.

    Raises:
        ValueError: it is no such number.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _LONGEST:
        raise ValueError(value)
    return value


def _read_vocabularies(path: Path) -> Vocabularies:
    try:
        words = read_json(path, _MOST_BYTES)
        source_units, target_units = map(units_from_dict, words.get("units") or (None, None))
        found = Vocabularies(
            Vocabulary.from_list(words["source"], source_units),
            Vocabulary.from_list(words["target"], target_units),
            Normalisation(**words["normalise"]),
            _length(words["max_length"]),
        )
        found.encode("a")  # units and normalisation can be wrong only when they are used
        return found
    # RuntimeError: of sentencepiece, about its model.
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UserError, RuntimeError) as error:
        raise UserError(
            f"{path}: missing or damaged; copy the run again, or train again with fresh=true"
        ) from error
