"""A model whose next word depends only on the word before it, by a table: its measures can be computed by hand."""

import torch
from torch import nn

from seq2seq_lab.data.batches import Batch
from seq2seq_lab.models.decoder import Decoded
from seq2seq_lab.models.encoder import Memory


class _Encoder(nn.Module):
    def forward(self, source, lengths=None, draws=None):
        nothing = torch.zeros(len(source), 1)
        return Memory(nothing[:, None], None, (nothing,))


class _Decoder(nn.Module):
    def __init__(self, log_probabilities):
        super().__init__()
        self.table = log_probabilities
        self.output = nn.Linear(1, len(log_probabilities))

    def embed(self, words):
        return nn.functional.one_hot(words, len(self.table)).to(self.table.dtype)

    def first_state(self, memory):
        return memory.state

    def forward(self, inputs, memory, state=None, *, draws=None, first=0):
        return Decoded(inputs @ self.table.clamp(min=-1e4), None), state or memory.state


class Markov(nn.Module):
    """`next[v]` maps each word that can follow v to its probability."""

    overrides_forward = False

    def __init__(self, size, following):
        super().__init__()
        table = torch.zeros(size, size, dtype=torch.float64)
        for word, probabilities in following.items():
            for after, probability in probabilities.items():
                table[word, after] = probability
        self.encoder, self.decoder = _Encoder(), _Decoder(table.log())

    def forward(self, source, target, *, source_lengths=None, inputs=None, memory=None, draws=None):
        inputs = self.decoder.embed(nn.functional.pad(target, (1, -1))) if inputs is None else inputs
        return self.decoder(inputs, memory)[0] if memory else self.decoder(inputs, self.encoder(source))[0]


def batch(*targets):
    """The targets, which end with `<eos>`, as one batch with sources of one word."""
    lengths = torch.tensor([len(each) for each in targets])
    ids = torch.zeros(len(targets), int(lengths.max()), dtype=torch.int64)
    for row, each in enumerate(targets):
        ids[row, : len(each)] = torch.tensor(each)
    source = torch.full((len(targets), 1), 1)
    return Batch(
        source, None, ids, None if lengths.unique().numel() == 1 else lengths, slice(0, len(targets))
    )
