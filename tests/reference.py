"""The seminar's training procedure, implemented literally: one word at a time, one pair per update.

It is slow on purpose. It shares no code with the package, so that the package can be compared with it: the tests
compare losses and weights, the benchmarks compare speed.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

SOS, EOS = 0, 1
MAX_LENGTH = 8  # a target has at most <sos>, six words and <eos>; the encoder's block has as many positions


class Encoder(nn.Module):
    """Embeds one source word and moves a GRU by one step."""

    def __init__(self, vocabulary: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.embedding = nn.Embedding(vocabulary, hidden)
        self.gru = nn.GRU(hidden, hidden)

    def forward(self, word: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        return self.gru(self.embedding(word).view(1, 1, -1), state)


class Decoder(nn.Module):
    """Log-probabilities of the next word, from the last word and the state."""

    def __init__(self, vocabulary: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, hidden)
        self.gru = nn.GRU(hidden, hidden)
        self.out = nn.Linear(hidden, vocabulary)

    def forward(self, word: Tensor, state: Tensor, encoder_outputs: Tensor) -> tuple[Tensor, Tensor]:
        embedded = torch.relu(self.embedding(word).view(1, 1, -1))
        output, state = self.gru(embedded, state)
        return torch.log_softmax(self.out(output[0]), dim=1), state


class AttentionDecoder(nn.Module):
    """As `Decoder`, but the output also uses dot-product attention with the new state."""

    def __init__(self, vocabulary: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, hidden)
        self.gru = nn.GRU(hidden, hidden)
        self.concat = nn.Linear(2 * hidden, hidden)
        self.out = nn.Linear(hidden, vocabulary)

    def forward(self, word: Tensor, state: Tensor, encoder_outputs: Tensor) -> tuple[Tensor, Tensor]:
        embedded = torch.relu(self.embedding(word).view(1, 1, -1))
        _, state = self.gru(embedded, state)
        scores = encoder_outputs @ state[0, 0]  # unwritten positions are zero, score 0, and are not masked
        weights = torch.softmax(scores, dim=0)
        value = weights @ encoder_outputs
        mixed = torch.tanh(self.concat(torch.cat([value, state[0, 0]]))).unsqueeze(0)
        return torch.log_softmax(self.out(mixed), dim=1), state


@dataclass
class Reference:
    """An encoder, a decoder and one plain SGD optimizer for each."""

    encoder: Encoder
    decoder: Decoder | AttentionDecoder
    learning_rate: float = 0.01

    def __post_init__(self) -> None:
        self.optimizers = [
            torch.optim.SGD(part.parameters(), lr=self.learning_rate) for part in (self.encoder, self.decoder)
        ]

    def loss(self, source: list[int], target: list[int], forced: bool) -> Tensor:
        """Negative log-likelihood of a pair, summed over the target's positions.

        source is words and `<eos>`; target is `<sos>`, words and `<eos>`, and all of it is predicted.
        """
        state = torch.zeros(1, 1, self.encoder.hidden)
        encoder_outputs = torch.zeros(MAX_LENGTH, self.encoder.hidden)
        for position, word in enumerate(source):
            output, state = self.encoder(torch.tensor([word]), state)
            encoder_outputs[position] = output[0, 0]

        fed = torch.tensor([SOS])
        total = torch.zeros(())
        for word in target:
            log_probabilities, state = self.decoder(fed, state, encoder_outputs)
            total = total + nn.functional.nll_loss(log_probabilities, torch.tensor([word]))
            own = log_probabilities.argmax(dim=1).detach()
            fed = torch.tensor([word]) if forced else own
        return total

    def update(self, source: list[int], target: list[int], forced: bool) -> float:
        """One SGD step on one pair; returns its loss divided by the number of target positions."""
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        loss = self.loss(source, target, forced)
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        return loss.item() / len(target)
