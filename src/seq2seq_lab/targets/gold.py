"""The word of the reference."""

from seq2seq_lab.targets.base import Fed, Target
from seq2seq_lab.targets.wanted import Words


class Gold(Target):
    """The gold word of each position, whatever was fed before it.

    After own words it is often the wrong word to ask for: see the other targets (Huszár 2015,
    https://arxiv.org/abs/1511.05101).
    """

    def __call__(self, fed: Fed) -> Words:
        return Words(fed.batch.target, fed.batch.target_lengths)
