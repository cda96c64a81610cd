"""Stacked recurrent layers from PyTorch."""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seq2seq_lab.data.draws import Draws
from seq2seq_lab.models.dropout import Dropout
from seq2seq_lab.models.scan import scan_layer

State = tuple[Tensor, ...]  # h [B, H] of each layer; for an LSTM, h and c [B, H] of each layer
Cell = Callable[..., nn.RNNBase]  # torch.nn.GRU, torch.nn.LSTM, or a class with their arguments and results


class RNN(nn.Module):
    """Layers of `torch.nn.GRU` or `torch.nn.LSTM`, with dropout between them.

    Args:
        input_size: E.
        hidden_size: H, size of an output; a bidirectional layer has H / 2 in each direction.
        layers: number of stacked layers.
        dropout: probability of dropping an output between layers, in training.
        cell: class of a layer.
        bidirectional: whether the layers are bidirectional.
        site: prefix of the sites of the dropout masks.

    Raises:
        ValueError: `hidden_size` is odd, but there are two directions; or the cell has a setting of its own that is not
            known here.
    """

    def __init__(
        self,
        *,
        input_size: int,
        hidden_size: int,
        layers: int = 1,
        dropout: float = 0.0,
        cell: Cell = nn.GRU,
        bidirectional: bool = False,
        site: str = "rnn",
    ) -> None:
        super().__init__()
        if bidirectional and hidden_size % 2:
            raise ValueError(f"hidden_size must be even for two directions, got {hidden_size}")
        size = hidden_size // 2 if bidirectional else hidden_size
        self.layers = nn.ModuleList(
            cell(hidden_size if layer else input_size, size, batch_first=True, bidirectional=bidirectional)
            for layer in range(layers)
        )
        for layer in self.layers:
            _check_layer(layer)
        self.dropouts = nn.ModuleList(Dropout(dropout, f"{site}/{layer}") for layer in range(1, layers))
        self.hidden_size = hidden_size

    def forward(
        self,
        inputs: Tensor,
        state: State | None = None,
        *,
        lengths: Tensor | None = None,
        draws: Draws | None = None,
        first: int = 0,
    ) -> tuple[Tensor, State]:
        """Run a sequence, or one step as a sequence of one position.

        Args:
            inputs: [B, T, E].
            state: state before the first position; None: zeros.
            lengths: lengths of the sequences, [B]; None if no sequence is padded.
            draws: random numbers of dropout.
            first: index of the first position.

        Returns:
            The outputs [B, T, H] (zero after the end of a sequence), and the state after its last position.
        """
        after: list[Tensor] = []
        each = len(state) // len(self.layers) if state else 0
        for number, layer in enumerate(self.layers):
            if number:
                inputs = self.dropouts[number - 1](inputs, draws, first)
            before = state[number * each : (number + 1) * each] if state else None
            inputs, last = _layer(cast(nn.RNNBase, layer), inputs, before, lengths)
            after.extend(last)
        return inputs, tuple(after)


def _check_layer(layer: nn.Module) -> None:
    """Refuse settings of a cell that this class sets itself, or whose result it does not know."""
    expected = {"num_layers": 1, "batch_first": True, "dropout": 0.0, "proj_size": 0}
    for name, value in expected.items():
        if getattr(layer, name, value) != value:
            raise ValueError(f"cell must have {name}={value}, got {getattr(layer, name)}")


def _layer(
    layer: nn.RNNBase, inputs: Tensor, state: State | None, lengths: Tensor | None
) -> tuple[Tensor, State]:
    if torch.compiler.is_exporting():
        return scan_layer(layer, inputs, state, lengths)
    before = None if state is None else _as_cell([each.unsqueeze(0).contiguous() for each in state])
    if lengths is None:
        outputs, last = layer(inputs, before)
    else:
        packed = pack_padded_sequence(inputs, lengths.cpu(), batch_first=True, enforce_sorted=False)
        outputs, last = layer(packed, before)
        outputs, _ = pad_packed_sequence(outputs, batch_first=True, total_length=inputs.shape[1])
    return outputs, _as_state(last)


def _as_cell(state: list[Tensor]) -> Tensor | tuple[Tensor, ...]:
    return state[0] if len(state) == 1 else tuple(state)


def _as_state(last: Tensor | tuple[Tensor, ...]) -> State:
    """[directions, B, size] of each → [B, H]."""
    several = (last,) if isinstance(last, Tensor) else last
    return tuple(each.transpose(0, 1).flatten(1) for each in several)
