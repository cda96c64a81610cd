"""A trained model as ONNX: the encoder, and one step of the decoder."""

import json
import logging
import shutil
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from seq2seq_lab.data.vocabulary import EOS, SOS
from seq2seq_lab.errors import UserError, first_line
from seq2seq_lab.files import replacing, write_text
from seq2seq_lab.models.interface import Memory, Model, State
from seq2seq_lab.models.interface import name_of as name_of_class
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.chosen import Which, name_of
from seq2seq_lab.runs.foreign import check_contents
from seq2seq_lab.runs.load import load_model
from seq2seq_lab.runs.run import Run

ENCODER, DECODER, ABOUT = "encoder.onnx", "decoder.onnx", "about.json"
_SIZES = (3, 4, 2)  # of the example: sources, their positions, steps so far


class EncoderModule(nn.Module):
    """Source ids [B, S], lengths [B] → the tensors of the memory, and those of the decoder's first state."""

    def __init__(self, model: Model, wanted: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.wanted = wanted  # of the memory's, by name

    def forward(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        memory = self.model.encode(source, lengths)
        found = tensors(memory)
        return (*(found[name] for name in self.wanted), *tensors(self.model.first_state(memory)).values())


class StepModule(nn.Module):
    """Words [B], the tensors of the memory and of the state → logits [B, V], weights [B, S], and the next state.

    The weights are only those of a model with attention.

    Args:
        model: whose step it is.
        memory, state: of any sources, for the places of their tensors.
    """

    def __init__(self, model: Model, memory: Memory, state: State) -> None:
        super().__init__()
        self.model = model
        self.memory = memory
        self.state = state

    def forward(self, word: Tensor, *given: Tensor) -> tuple[Tensor, ...]:
        left = iter(given)
        memory, state = _filled(self.memory, left), _filled(self.state, left)
        decoded, after = self.model.decode(self.model.embed(word.unsqueeze(1)), memory, state)
        weights = () if decoded.weights is None else (decoded.weights.squeeze(1),)
        return (decoded.logits.squeeze(1), *weights, *tensors(after).values())


def tensors(kept: Any, name: str = "") -> dict[str, Tensor]:
    """The tensors of a memory or a state, by the names of the fields or the numbers of the places."""
    if isinstance(kept, Tensor):
        return {name: kept}
    fields = getattr(kept, "_fields", None) or map(str, range(len(kept or ())))
    found: dict[str, Tensor] = {}
    for field, each in zip(fields, kept or (), strict=True):
        found |= tensors(each, f"{name}_{field}" if name else field)
    return found


def _filled(kept: Any, left: Iterator[Tensor]) -> Any:
    """The same with other tensors, which are taken in the same order."""
    if kept is None or isinstance(kept, Tensor):
        return None if kept is None else next(left)
    parts = [_filled(each, left) for each in kept]
    return type(kept)(*parts) if hasattr(kept, "_fields") else tuple(parts)


def export_onnx(
    path: Path, folder: Path, *, checkpoint: Which | None = None, trusted: Sequence[str] = ()
) -> list[Path]:
    """Write a run's model as ONNX; returns the files: encoder, decoder step, vocabularies, and a description.

    Batch and lengths are dynamic. Dropout is off, as in translation. The files do not check lengths: give them no
    source and no translation of more positions, `<eos>` included, than the description's `source_positions` and
    `target_positions` (null: any number).

    Args:
        path: the run's folder.
        folder: where the files go.
        checkpoint: the best or the last; None: the best where there is one, else the last.
        trusted: modules whose code the run may name.

    Raises:
        UserError: the run cannot be loaded, its model cannot be exported, the packages are missing, or the folder is
            that of another run.
    """
    if Run(folder).exists() and folder.resolve() != path.resolve():
        raise UserError(
            f"--output: {folder} is a run, whose vocabularies would be replaced; name another folder"
        )
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise UserError("export needs the packages of the extra: pip install 'seq2seq-lab[onnx]'") from None
    _, model, words = load_model(path, checkpoint=checkpoint, trusted=trusted)
    if model.overrides_forward:
        raise UserError(
            f"{path}: {name_of_class(type(model))} has a forward of its own, which is not exported"
        )
    check_contents(folder)
    try:
        programs, memory, states = _export_parts(model)
    except Exception as error:  # PyTorch has many
        raise UserError(
            f"{path}: PyTorch does not export models of {name_of_class(type(model))}: {first_line(error)}"
        ) from error
    for name, program in programs.items():
        with replacing(folder / name) as temporary:
            program.save(temporary, external_data=False)
    with replacing(folder / layout.VOCABULARIES) as temporary:
        shutil.copyfile(path / layout.VOCABULARIES, temporary)
    about = {
        "sos": SOS,
        "eos": EOS,
        "max_length": words.max_length,
        "source_positions": model.source_positions,
        "target_positions": model.target_positions,
        "memory": memory,
        "states": states,
        "run": str(path),
        "checkpoint": name_of(path, checkpoint),
    }
    write_text(folder / ABOUT, json.dumps(about, indent=1) + "\n")
    return [folder / name for name in (ENCODER, DECODER, layout.VOCABULARIES, ABOUT)]


class _Example(NamedTuple):
    """Sources of some length, and what a model makes of them in some steps."""

    source: Tensor
    lengths: Tensor
    word: Tensor
    memory: Memory
    state: State

    def named(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The tensors of memory and state, by their names in the files."""
        states = {f"state_{number}": each for number, each in enumerate(tensors(self.state).values())}
        of_memory = tensors(self.memory, "" if isinstance(self.memory, tuple) else "memory")
        return {
            f"memory_{name}" if name in states else name: each for name, each in of_memory.items()
        }, states


@torch.no_grad()
def _example(model: Model, batch: int, positions: int, steps: int) -> _Example:
    source = torch.full((batch, positions), EOS)
    lengths = positions - torch.arange(batch) % 2  # some sources are padded
    memory = model.encode(source, lengths)
    fed = torch.full((batch, steps), SOS)
    _, state = model.decode(model.embed(fed), memory, model.first_state(memory))
    return _Example(source, lengths, fed[:, 0], memory, state)


def _dynamic(model: Model, dimensions: Sequence[Any]) -> dict[str, dict[int, Any]]:
    """The dimensions of each tensor of memory and state that depend on what is translated: those that differ here."""
    first, *others = (
        {**memory, **state}
        for memory, state in (
            _example(model, *(size + (place == longer) for place, size in enumerate(_SIZES))).named()
            for longer in (None, *range(len(_SIZES)))
        )
    )
    found: dict[str, dict[int, Any]] = {name: {} for name in first}
    for dimension, other in zip(dimensions, others, strict=True):
        for name, value in other.items():
            pairs = enumerate(zip(value.shape, first[name].shape, strict=True))
            found[name] |= {axis: dimension for axis, (one, base) in pairs if one != base}
    return found


def _export_parts(model: Model) -> tuple[dict[str, Any], list[str], int]:
    """The content of both files, the names of the memory's tensors, and the number of the state's."""
    batch, positions, steps = (
        torch.export.Dim(name, min=least, max=4096)
        for name, least in (("batch", 1), ("positions", 1), ("steps", 0))
    )
    example, dynamic = _example(model, *_SIZES), _dynamic(model, (batch, positions, steps))
    memory, states = example.named()
    inputs, weights = [*memory, *states], ["weights"] if model.has_attention else []
    decoder = _export(
        StepModule(model, example.memory, example.state).eval(),
        (example.word, *memory.values(), *states.values()),
        ["word", *inputs],
        ["logits", *weights, *[f"next_{name}" for name in states]],
        {"word": {0: batch}, "given": tuple(dynamic[name] for name in inputs)},
    )
    used = {each.name for each in decoder.model.graph.inputs}
    wanted = {
        name: place for name, place in zip(memory, tensors(example.memory), strict=True) if name in used
    }
    encoder = _export(
        EncoderModule(model, list(wanted.values())).eval(),
        (example.source, example.lengths),
        ["source", "lengths"],
        [*wanted, *states],
        {"source": {0: batch, 1: positions}, "lengths": {0: batch}},
    )
    return {ENCODER: encoder, DECODER: decoder}, list(wanted), len(states)


def _export(
    module: nn.Module,
    example: tuple[Tensor, ...],
    inputs: list[str],
    outputs: list[str],
    shapes: dict[str, Any],
) -> Any:
    """A module as an `ONNXProgram`.

    Raises:
        ValueError: a size that depends on what is translated is that of the example for ever.
    """
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program: Any = torch.onnx.export(
            module,
            example,
            dynamo=True,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=shapes,
            verbose=False,
        )
    wanted = [one for each in shapes.values() for one in (each if isinstance(each, tuple) else (each,))]
    dimensions = dict(zip(inputs, wanted, strict=True))
    for given in program.model.graph.inputs:
        for axis, dimension in dimensions[given.name].items():
            if isinstance(size := given.shape[axis], int):
                raise ValueError(
                    f"it fixes the {dimension.__name__} of {given.name!r} to {size}; "
                    "take sizes from tensor.shape, as len(tensor) is a constant in an export"
                )
    return program
