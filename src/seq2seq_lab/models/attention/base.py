"""Global attention over the encoder's outputs; a subclass defines the score."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from seq2seq_lab.models.encoder import Memory


class Attention(nn.Module, ABC):
    """Global attention (Luong et al. 2015, https://arxiv.org/abs/1508.04025).

    With decoder states h_t and encoder outputs e_s:

        weight_ts = softmax_s(score(h_t, e_s))         (eq. 7)
        value_t   = Σ_s weight_ts e_s
        out_t     = tanh(W_c [value_t ; h_t] + b_c)    (eq. 5)

    Args:
        hidden_size: H, of states and outputs.
    """

    def __init__(self, *, hidden_size: int) -> None:
        super().__init__()
        self.combine = nn.Linear(2 * hidden_size, hidden_size)

    @abstractmethod
    def score(self, states: Tensor, outputs: Tensor) -> Tensor:
        """Decoder states [B, T, H], encoder outputs [B, S, H] → scores [B, T, S]."""

    def forward(self, states: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Decoder states [B, T, H] → inputs of the output layer [B, T, H], and weights [B, T, S]."""
        scores = self.score(states, memory.outputs)
        if memory.mask is not None:
            scores = scores.masked_fill(~memory.mask.unsqueeze(1), -torch.inf)
        weights = scores.softmax(dim=2)
        value = weights @ memory.outputs
        return self.combine(torch.cat((value, states), dim=2)).tanh(), weights
