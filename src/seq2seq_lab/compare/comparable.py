"""Whether the values of a metric compare across groups."""

from collections.abc import Sequence

from seq2seq_lab.compare.grouping import UNITS, Group
from seq2seq_lab.compare.naming import differing
from seq2seq_lab.evaluation.measures import SYMBOL, TRAINING_LOSS, measure


def is_comparable(groups: Sequence[Group], metric: str) -> bool:
    """Whether the values of a metric compare across groups on one corpus.

    They do not: training losses of different forcing, or of a target other than gold; losses per symbol of different
    symbols; and scores that count each source in some runs and each pair in others.
    """
    keys = differing([each.config for each in groups])
    if metric == TRAINING_LOSS:
        same = all(each.learns_gold for each in groups) and not any(
            key.startswith("forcing.") for key in keys
        )
        if not same:
            return False
    if UNITS in keys and SYMBOL in measure(metric).unit:
        return False
    part = metric.rpartition("/")[0]
    counted = {
        run.evaluations[part].segments for each in groups for run in each.runs if part in run.evaluations
    }
    return len(counted) < 2
