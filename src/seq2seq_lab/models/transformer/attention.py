"""Attention with several heads."""

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


class MultiHeadAttention(nn.Module):
    """Attention with several heads (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.2).

    For head n of size D = H / heads, with the linear maps W of the layer:

        head_n = softmax(W_q,n x (W_k,n y)ᵀ / √D) W_v,n y
        out    = W_o [head_1 ; …] + b_o

    Keys and values are computed by `keys_values`, so that those of earlier positions can be kept.

    Args:
        size: H.
        heads: number of heads, a divisor of H.
    """

    def __init__(self, *, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(size, size)
        self.key = nn.Linear(size, size)
        self.value = nn.Linear(size, size)
        self.output = nn.Linear(size, size)

    def keys_values(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """What is attended to, [B, S, H] → keys and values [B, heads, S, D]."""
        return self._heads(self.key(values)), self._heads(self.value(values))

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """queries [B, T, H]; keys, values [B, heads, S, D]; mask to [B, 1, T, S], True where allowed → [B, T, H]."""
        attended = scaled_dot_product_attention(
            self._heads(self.query(queries)), keys, values, attn_mask=mask
        )
        return self._joined(attended)

    def with_weights(
        self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The same, and the weights of each head, [B, heads, T, S]."""
        scores = self._heads(self.query(queries)) @ keys.transpose(2, 3) * keys.shape[3] ** -0.5
        if mask is not None:
            scores = scores.masked_fill(~mask, -float("inf"))
        weights = scores.softmax(dim=3)
        return self._joined(weights @ values), weights

    def _heads(self, values: Tensor) -> Tensor:
        """[B, T, H] → [B, heads, T, D]."""
        return values.view(*values.shape[:2], self.heads, -1).transpose(1, 2)

    def _joined(self, attended: Tensor) -> Tensor:
        """[B, heads, T, D] → [B, T, H], through the last linear map."""
        return self.output(attended.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]
