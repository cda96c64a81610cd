"""Dropout whose masks can belong to a pair and a position."""

from torch import Tensor, nn

from seq2seq_lab.data.draws import Draws


class Dropout(nn.Module):
    """Inverted dropout (Srivastava et al. 2014): in training, zero with probability `p`, else divided by 1 − p.

    With draws, a mask is a function of (seed, site, epoch, pair, position): the same whether a sequence is computed at
    once or step by step, and in any batch. Without, it comes from PyTorch's generator, as that of `nn.Dropout`.

    Args:
        p: the probability, in [0, 1).
        site: what the mask is drawn for; other sites get other masks.

    Raises:
        ValueError: `p` is not in [0, 1).
    """

    def __init__(self, p: float, site: str) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"dropout must lie in [0, 1), got {p}")
        self.p = p
        self.site = site

    @property
    def active(self) -> bool:
        """Whether it drops anything now."""
        return self.training and self.p > 0

    def forward(self, values: Tensor, draws: Draws | None = None, first: int = 0) -> Tensor:
        """values [B, T, F], whose first position is number `first` of the sequence → the same with some zeros."""
        if not self.active:
            return values
        if draws is None:
            return nn.functional.dropout(values, self.p)
        return values * self.mask(draws, values.shape[1], values.shape[2], first).to(values.dtype)

    def mask(self, draws: Draws, positions: int, size: int, first: int = 0) -> Tensor:
        """What values are multiplied by: 0 or 1 / (1 − p), float32 [B, positions, size]."""
        kept = draws.uniform(f"dropout/{self.site}", positions, size, first=first) >= self.p
        return kept / (1 - self.p)

    def extra_repr(self) -> str:
        """For `print(model)`."""
        return f"p={self.p}, site={self.site}"
