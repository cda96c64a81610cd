"""The most probable word."""

from seq2seq_lab.forcing.feeders.base import WordFeeder


class ArgMax(WordFeeder):
    """Feeds the most probable word; of equal ones the first."""
