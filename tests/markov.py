"""A model whose next word depends only on the word before it, by a table: its measures can be computed by hand."""

import torch
from torch import nn

from seq2seq_lab.data.batches import Batch
from seq2seq_lab.models.interface import Decoded, Model


class Markov(Model):
    """`next[v]` maps each word that can follow v to its probability."""

    def __init__(self, size, following):
        super().__init__()
        table = torch.zeros(size, size, dtype=torch.float64)
        for word, probabilities in following.items():
            for after, probability in probabilities.items():
                table[word, after] = probability
        self.table = table.log()

    @property
    def target_vocabulary_size(self):
        return len(self.table)

    def encode(self, source, source_lengths=None, draws=None):
        return torch.zeros(len(source), 1)

    def embed(self, words):
        return nn.functional.one_hot(words, len(self.table)).to(self.table.dtype)

    def embed_mixture(self, weights):
        return weights

    def first_state(self, memory):
        return ()

    def decode(self, inputs, memory, state, *, draws=None, first=0):
        return Decoded(inputs @ self.table.clamp(min=-1e4), None), state


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
