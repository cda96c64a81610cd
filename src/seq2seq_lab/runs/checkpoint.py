"""Read checkpoints. A file may be damaged, or somebody else's: it takes no more memory than its own size."""

import re
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq_lab.errors import UserError
from seq2seq_lab.runs.run import Run

if TYPE_CHECKING:
    from torch import Tensor

_TIED = 2  # names that a weight has at most


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's contents, on the CPU.

    Raises:
        UserError: the file is damaged.
    """
    import torch

    again = "copy it again, or train again with fresh=true"
    if not path.is_file():  # a pipe would wait for ever
        raise UserError(f"{path}: it is not a file; {again}")
    try:
        size = path.stat().st_size
        with zipfile.ZipFile(path) as parts:
            # PyTorch does not compress: a part that is larger than the file, or shared by several, fills the memory.
            if sum(part.file_size for part in parts.infolist()) > size:
                raise ValueError("it is compressed")
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        _check_weights(state["state_dict"], size)
    except Exception as error:  # a damaged file can raise almost any exception
        raise UserError(f"{path}: damaged; {again}") from error
    return state


def _check_weights(weights: Mapping[str, "Tensor"], size: int) -> None:
    """Check the types of weights, and that they are not more than a file of this size has.

    Raises:
        ValueError: they are none.
    """
    import torch

    known = (
        torch.float32,
        torch.float64,
        torch.float16,
        torch.bfloat16,
        torch.int64,
        torch.int32,
        torch.bool,
    )
    numbers = 0
    for name, value in weights.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise ValueError("not weights")
        if value.dtype not in known:
            raise ValueError(f"{name}: {value.dtype}")
        if value.layout != torch.strided or value.device.type != "cpu":
            raise ValueError(f"{name}: {value.layout}, {value.device}")
        numbers += value.numel() * value.element_size()
    if not weights or numbers > _TIED * size:  # one number can stand for a whole weight
        raise ValueError(f"{numbers} bytes of weights")


def read_weights(checkpoint: Path) -> "dict[str, Tensor]":
    """The weights of a checkpoint, by their current names.

    Raises:
        UserError: the file is damaged, or a weight is not finite.
    """
    state = read_checkpoint(checkpoint)["state_dict"]
    for name, value in state.items():
        if not value.isfinite().all():
            raise UserError(
                f"{checkpoint}: {name} has values that are not finite; training diverged, or it is damaged"
            )
    return {_current_name(name): value for name, value in state.items()}


def _current_name(name: str) -> str:
    """The name of a weight in the model; before version 0.2 all layers were in one module called `gru`."""
    return re.sub(r"\.gru\.(\w+)_l(\d+)$", r".rnn.layers.\2.\1_l0", name.removeprefix("model."))


def averaged_weights(run: Run, count: int) -> "dict[str, Tensor]":
    """The mean of the weights of the newest kept checkpoints (`callbacks=[default,keep_last]` or `keep_best`).

    Raises:
        UserError: the run has fewer of them, or they are of different models.
    """
    import torch

    paths = run.kept_checkpoints[-count:] if count > 0 else []
    if count < 1 or len(paths) < count:
        raise UserError(
            f"{run.folder}: cannot average {count} checkpoints, as {len(run.kept_checkpoints)} are kept; train with "
            "'callbacks=[default,keep_last]' or 'callbacks=[default,keep_best]'"
        )
    states = [read_weights(path) for path in paths]
    for path, state in zip(paths, states, strict=True):
        if shapes(state) != shapes(states[0]):
            raise UserError(f"{path}: it is of another model than {paths[0].name}; copy the run again")
    # In double precision, so that the order does not matter.
    return {
        name: torch.stack([state[name].double() for state in states]).mean(dim=0).to(value.dtype)
        for name, value in states[0].items()
    }


def shapes(state: "Mapping[str, Tensor]") -> dict[str, tuple[tuple[int, ...], bool]]:
    """The shape of each weight, and whether its numbers are floating-point."""
    return {name: (tuple(value.shape), value.is_floating_point()) for name, value in state.items()}


def epoch_of(checkpoint: Path) -> int | None:
    """The epoch that a checkpoint was written in, counted from 1; None if it does not say.

    Raises:
        UserError: the file is damaged.
    """
    epoch = read_checkpoint(checkpoint).get("epoch")
    return epoch + 1 if isinstance(epoch, int) else None


def epochs_of_checkpoints(run: Run) -> dict[str, int]:
    """`best`, `last` and `kept`, the newest kept one → its epoch; without those that are missing or damaged."""
    kept = [("kept", path) for path in run.kept_checkpoints[-1:]]
    found = {}
    for name, path in (("best", run.best_checkpoint), ("last", run.last_checkpoint), *kept):
        with suppress(UserError):
            if path.exists() and (epoch := epoch_of(path)) is not None:
                found[name] = epoch
    return found
