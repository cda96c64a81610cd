"""Attention with scaled dot scores."""

from torch import Tensor

from seq2seq_lab.models.attention.base import Attention


class ScaledDotAttention(Attention):
    """score(h_t, e_s) = h_t · e_s / √H (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, eq. 1)."""

    def score(self, states: Tensor, outputs: Tensor) -> Tensor:
        scaled: Tensor = states * states.shape[2] ** -0.5
        return scaled @ outputs.transpose(1, 2)
