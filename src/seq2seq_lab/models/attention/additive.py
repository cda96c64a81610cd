"""Attention with additive scores."""

from torch import Tensor, nn

from seq2seq_lab.models.attention.base import Attention


class AdditiveAttention(Attention):
    """score(h_t, e_s) = vᵀ tanh(W h_t + U e_s) (Bahdanau et al. 2015, https://arxiv.org/abs/1409.0473, appendix A.1.2).

    In the paper the score uses the state before the step; here it uses the new state, as for the other scores.
    """

    def __init__(self, *, hidden_size: int) -> None:
        super().__init__(hidden_size=hidden_size)
        self.of_state = nn.Linear(hidden_size, hidden_size, bias=False)
        self.of_output = nn.Linear(hidden_size, hidden_size, bias=False)
        self.vector = nn.Linear(hidden_size, 1, bias=False)

    def score(self, states: Tensor, outputs: Tensor) -> Tensor:
        sums = self.of_state(states).unsqueeze(2) + self.of_output(outputs).unsqueeze(1)
        return self.vector(sums.tanh()).squeeze(3)  # type: ignore[no-any-return]
