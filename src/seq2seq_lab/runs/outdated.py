"""Evaluations of checkpoints that are there no more, as their run has gone on since."""

from collections.abc import Mapping
from typing import Any

from seq2seq_lab.runs import layout
from seq2seq_lab.runs.evaluations import Evaluated


def checkpoint_epochs(summary: Mapping[str, Any]) -> dict[str, int]:
    """`best`, `last` and `kept`, the newest kept one → its epoch when training ended, as far as a summary says it.

    Version 0.2 and before wrote only the epoch of the one that was tested.
    """
    tested, found = summary.get("tested"), summary.get("checkpoints")
    known = {tested.get("checkpoint"): tested.get("epoch")} if isinstance(tested, Mapping) else {}
    known |= found if isinstance(found, Mapping) else {}
    return {str(which): epoch for which, epoch in known.items() if isinstance(epoch, int)}


def outdated(evaluations: Mapping[str, Evaluated], epochs: Mapping[str, int]) -> dict[str, str]:
    """Part of the data → a note on its evaluation, for those that are of an earlier checkpoint.

    Args:
        evaluations: of a run, by the part of the data.
        epochs: of its checkpoints, from `checkpoint_epochs`.
    """
    found = {}
    for part, each in evaluations.items():
        which = "kept" if each.conditions.get("average") else each.checkpoint or ""
        if (now := epochs.get(which)) is not None and each.epoch not in (None, now):
            named = "newest kept" if which == "kept" else which
            found[part] = (
                f"{layout.EVALUATION}/{part}.json is left out: it is of epoch {each.epoch}, and the {named} checkpoint "
                f"is of epoch {now}; evaluate it again"
            )
    return found
