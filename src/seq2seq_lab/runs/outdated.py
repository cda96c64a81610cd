"""Evaluations of checkpoints that are there no more, as their run has gone on since."""

from collections.abc import Mapping
from typing import Any

from seq2seq_lab.runs import layout
from seq2seq_lab.runs.evaluations import Evaluated


def outdated(evaluations: Mapping[str, Evaluated], tested: Any) -> dict[str, str]:
    """Part of the data → a note on its evaluation, for those that are of an earlier checkpoint.

    Args:
        evaluations: of a run, by the part of the data.
        tested: what its summary says of the checkpoint that was evaluated when its training ended.
    """
    which, now = (tested.get(key) if isinstance(tested, Mapping) else None for key in ("checkpoint", "epoch"))
    if which is None or not isinstance(now, int):
        return {}
    return {
        part: f"{layout.EVALUATION}/{part}.json is left out: it is of epoch {each.epoch}, and the {which} checkpoint "
        f"is of epoch {now}; evaluate it again"
        for part, each in evaluations.items()
        if each.checkpoint == which and each.epoch not in (None, now)
    }
