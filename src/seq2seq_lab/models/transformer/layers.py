"""Layers of encoder and decoder: each part is x + dropout(part(norm(x))), the pre-norm form.

(Xiong et al. 2020, https://arxiv.org/abs/2002.04745.)
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from seq2seq_lab.data.draws import Draws
from seq2seq_lab.models.dropout import Dropout
from seq2seq_lab.models.transformer.attention import MultiHeadAttention


class KeysValues(NamedTuple):
    """Keys and values of one layer, [B, heads, S, D] each."""

    keys: Tensor
    values: Tensor


class FeedForward(nn.Module):
    """Linear H → F, ReLU, linear F → H, at each position."""

    def __init__(self, *, size: int, inner: int) -> None:
        super().__init__()
        self.inner = nn.Linear(size, inner)
        self.outer = nn.Linear(inner, size)

    def forward(self, values: Tensor) -> Tensor:
        """[B, T, H] → [B, T, H]."""
        return self.outer(self.inner(values).relu())  # type: ignore[no-any-return]


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward part.

    Args:
        size: H.
        heads: of attention.
        feedforward_size: F.
        dropout: probability of dropping a value that a part adds, in training.
        site: prefix of the sites of the dropout masks.
    """

    def __init__(self, *, size: int, heads: int, feedforward_size: int, dropout: float, site: str) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(size=size, heads=heads)
        self.feedforward = FeedForward(size=size, inner=feedforward_size)
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(2))
        self.dropouts = nn.ModuleList(
            Dropout(dropout, f"{site}/{part}") for part in ("attention", "feedforward")
        )

    def forward(self, x: Tensor, mask: Tensor | None, draws: Draws | None) -> Tensor:
        """x [B, S, H]; mask [B, 1, 1, S], True at words → [B, S, H]."""
        normed = self.norms[0](x)
        attended = self.attention(normed, *self.attention.keys_values(normed), mask)
        x = x + self.dropouts[0](attended, draws)
        return x + self.dropouts[1](self.feedforward(self.norms[1](x)), draws)  # type: ignore[no-any-return]


class DecoderLayer(nn.Module):
    """Self-attention to the positions so far, attention to the source, and a feed-forward part.

    The arguments are those of `EncoderLayer`.
    """

    def __init__(self, *, size: int, heads: int, feedforward_size: int, dropout: float, site: str) -> None:
        super().__init__()
        self.self_attention = MultiHeadAttention(size=size, heads=heads)
        self.attention = MultiHeadAttention(size=size, heads=heads)
        self.feedforward = FeedForward(size=size, inner=feedforward_size)
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(3))
        self.dropouts = nn.ModuleList(
            Dropout(dropout, f"{site}/{part}") for part in ("self_attention", "attention", "feedforward")
        )

    def forward(
        self,
        x: Tensor,
        before: KeysValues,
        source: KeysValues,
        *,
        causal: Tensor | None,
        mask: Tensor | None,
        draws: Draws | None,
        first: int,
        weights: bool,
    ) -> tuple[Tensor, KeysValues, Tensor | None]:
        """T positions that follow P others.

        Args:
            x: [B, T, H].
            before: of self-attention, of the positions before.
            source: of the attention to the source.
            causal: [T, P + T], True where a position may attend; None: everywhere.
            mask: [B, 1, 1, S], True at the words of the source; None: everywhere.
            draws: random numbers of dropout.
            first: index of the first position.
            weights: whether the weights of the attention to the source are wanted.

        Returns:
            [B, T, H]; keys and values of the P + T positions; the weights [B, heads, T, S], or None.
        """
        normed = self.norms[0](x)
        new = self.self_attention.keys_values(normed)
        kept = KeysValues(*(torch.cat(pair, dim=2) for pair in zip(before, new, strict=True)))
        x = x + self.dropouts[0](self.self_attention(normed, *kept, causal), draws, first)
        normed, found = self.norms[1](x), None
        if weights:
            attended, found = self.attention.with_weights(normed, *source, mask)
        else:
            attended = self.attention(normed, *source, mask)
        x = x + self.dropouts[1](attended, draws, first)
        return x + self.dropouts[2](self.feedforward(self.norms[2](x)), draws, first), kept, found
