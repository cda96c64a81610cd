"""A recurrent layer as a `scan`, for `torch.export`.

Exporting `nn.GRU` or `nn.LSTM` fixes the number of positions at that of the example
(https://github.com/pytorch/pytorch/issues/126339). A scan over PyTorch's cells keeps it dynamic.
"""

from typing import Any

import torch
from torch import Tensor, nn

_NAMES = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")


def scan_layer(
    layer: nn.RNNBase, inputs: Tensor, state: tuple[Tensor, ...] | None, lengths: Tensor | None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Compute one layer of a GRU or an LSTM: inputs [B, T, E] → outputs [B, T, H], last state.

    Raises:
        TypeError: the layer is neither a GRU nor an LSTM.
    """
    if type(layer) not in (nn.GRU, nn.LSTM):
        raise TypeError(f"only GRU and LSTM can be exported, not {type(layer).__name__}")
    count = 2 if isinstance(layer, nn.LSTM) else 1
    state = state or tuple(inputs.new_zeros(inputs.shape[0], layer.hidden_size) for _ in range(count))
    outputs, last = _one_direction(layer, inputs, state, lengths, "")
    if not layer.bidirectional:
        return outputs, last
    back_outputs, back_last = _one_direction(layer, inputs, state, lengths, "_reverse")
    both = tuple(torch.cat(pair, dim=1) for pair in zip(last, back_last, strict=True))
    return torch.cat((outputs, back_outputs), dim=2), both


def _one_direction(
    layer: nn.RNNBase, inputs: Tensor, state: tuple[Tensor, ...], lengths: Tensor | None, suffix: str
) -> tuple[Tensor, tuple[Tensor, ...]]:
    from torch._higher_order_ops.scan import scan

    weights: Any = tuple(getattr(layer, name + suffix, None) for name in _NAMES)  # no biases with bias=False
    is_lstm = isinstance(layer, nn.LSTM)
    positions = torch.arange(inputs.shape[1], device=inputs.device)
    if lengths is None:
        lengths = torch.full_like(inputs[:, 0, 0], inputs.shape[1])
    inside = positions < lengths.unsqueeze(1)

    def step(before: tuple[Tensor, ...], now: tuple[Tensor, Tensor]) -> tuple[tuple[Tensor, ...], Tensor]:
        fed, is_word = now
        after = (
            torch.lstm_cell(fed, before, *weights) if is_lstm else (torch.gru_cell(fed, before[0], *weights),)
        )
        is_word = is_word.unsqueeze(1)
        kept = tuple(torch.where(is_word, new, old) for new, old in zip(after, before, strict=True))
        return kept, torch.where(is_word, after[0], torch.zeros_like(after[0]))

    last, outputs = scan(step, state, (inputs, inside), dim=1, reverse=bool(suffix))
    return outputs, last
