"""Attention with dot scores."""

from torch import Tensor

from seq2seq_lab.models.attention.base import Attention


class DotAttention(Attention):
    """score(h_t, e_s) = h_t · e_s (Luong et al. 2015, https://arxiv.org/abs/1508.04025, eq. 8)."""

    def score(self, states: Tensor, outputs: Tensor) -> Tensor:
        return states @ outputs.transpose(1, 2)
