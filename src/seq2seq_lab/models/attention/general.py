"""Attention with general (bilinear) scores."""

from torch import Tensor, nn

from seq2seq_lab.models.attention.base import Attention


class GeneralAttention(Attention):
    """score(h_t, e_s) = h_tᵀ W_a e_s (Luong et al. 2015, https://arxiv.org/abs/1508.04025, eq. 8)."""

    def __init__(self, *, hidden_size: int) -> None:
        super().__init__(hidden_size=hidden_size)
        self.project = nn.Linear(hidden_size, hidden_size, bias=False)

    def score(self, states: Tensor, outputs: Tensor) -> Tensor:
        # W_aᵀ h_t, not W_a e_s: a step has one state, but all outputs.
        return states @ self.project.weight @ outputs.transpose(1, 2)
