"""Mixed forcing at a constant ratio."""

from seq2seq_lab.forcing.plan import Pairs, Plan


class MixedForcing:
    """One coin a sentence: gold words throughout with probability `ratio`, else the decoder's own throughout.

    This is the rule of the PyTorch tutorial and of the seminar. It is not scheduled sampling, which tosses a coin
    for every word (Bengio et al. 2015, https://arxiv.org/abs/1506.03099).

    Args:
        ratio: the teacher-forcing ratio, in [0, 1].

    Raises:
        ValueError: `ratio` is not in [0, 1].
    """

    def __init__(self, *, ratio: float) -> None:
        if not 0 <= ratio <= 1:
            raise ValueError(f"ratio must lie in [0, 1], got {ratio}")
        self.ratio = ratio

    def plan(self, pairs: Pairs) -> Plan:
        return Plan(pairs.coins("sentence") < self.ratio)
