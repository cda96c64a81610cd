"""The gated recurrent unit as a module."""

import torch
from torch import Tensor, nn

from seq2seq_lab.models.recurrence import Recurrence, step

State = tuple[Tensor, ...]  # the state [B, H] of each layer


class GRU(nn.Module):
    """`torch.nn.GRU(batch_first=True)` with another backward pass: same parameters, names and initial values.

    Args:
        input_size: E, the size of an input.
        hidden_size: H.
        layers: GRUs stacked on each other's states.
        dropout: probability of dropping a state between layers, in training.
    """

    def __init__(self, *, input_size: int, hidden_size: int, layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = layers
        self.dropout = dropout
        bound = hidden_size**-0.5
        for layer in range(layers):
            fan_in = hidden_size if layer else input_size
            for name, shape in (
                ("weight_ih", (3 * hidden_size, fan_in)),
                ("weight_hh", (3 * hidden_size, hidden_size)),
                ("bias_ih", (3 * hidden_size,)),
                ("bias_hh", (3 * hidden_size,)),
            ):
                parameter = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
                self.register_parameter(f"{name}_l{layer}", parameter)

    def weights(self, layer: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """weight_ih [3H, E], weight_hh [3H, H], bias_ih [3H], bias_hh [3H] of a layer; gates in order r, z, n."""
        parameters, suffix = self._parameters, f"_l{layer}"
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return tuple(parameters[name + suffix] for name in names)  # type: ignore[return-value]

    def forward(self, inputs: Tensor, state: State) -> list[Tensor]:
        """The whole sequence: inputs [B, T, E], state → the states [B, T, H] of every layer."""
        states: list[Tensor] = []
        for layer in range(self.layers):
            if layer:
                inputs = nn.functional.dropout(states[-1], self.dropout, self.training)
            states.append(Recurrence.apply(inputs, state[layer], *self.weights(layer)))  # type: ignore[no-untyped-call]
        return states

    @torch.no_grad()
    def step(self, inputs: Tensor, state: State) -> State:
        """One step, without gradient and without dropout: inputs [B, E], state → the next state."""
        states: list[Tensor] = []
        for layer in range(self.layers):
            inputs = step(inputs, state[layer], *self.weights(layer))
            states.append(inputs)
        return tuple(states)
