"""Dropout with masks that can be a function of the pair and the position."""

from torch import Tensor, nn

from seq2seq_lab.data.draws import Draws


class Dropout(nn.Module):
    """Inverted dropout (Srivastava et al. 2014): in training, zero with probability `p`, else divided by 1 − p.

    With draws, a mask is a function of (seed, site, epoch, pair, position): it is the same if a sequence is
    computed at once or step by step, and in any batch. Without draws, PyTorch's generator is used, as in `nn.Dropout`.

    Args:
        p: the probability, in [0, 1).
        site: name of the place in the model; other sites have other masks.
        name: of the setting, for the message.

    Raises:
        ValueError: `p` is not in [0, 1).
    """

    def __init__(self, p: float, site: str, name: str = "dropout") -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"{name} must lie in [0, 1), got {p}")
        self.p = p
        self.site = site

    @property
    def active(self) -> bool:
        """Whether values are dropped: in training mode, if `p` is not 0."""
        return self.training and self.p > 0

    def forward(self, values: Tensor, draws: Draws | None = None, first: int = 0) -> Tensor:
        """values [B, T, F] → [B, T, F] with some zeros; `first` is the index of their first position."""
        if not self.active:
            return values
        if draws is None:
            return nn.functional.dropout(values, self.p)
        return values * self.mask(draws, values.shape[1], values.shape[2], first).to(values.dtype)

    def mask(self, draws: Draws, positions: int, size: int, first: int = 0) -> Tensor:
        """The factors of the values: 0 or 1 / (1 − p), float32 [B, positions, size]."""
        return draws.kept(f"dropout/{self.site}", self.p, positions, size, first)

    def extra_repr(self) -> str:
        """For `print(model)`."""
        return f"p={self.p}, site={self.site}"
