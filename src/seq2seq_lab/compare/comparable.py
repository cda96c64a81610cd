"""Whether the values of a metric compare across groups."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from seq2seq_lab.compare.grouping import UNITS, Group
from seq2seq_lab.compare.naming import differing
from seq2seq_lab.evaluation.measures import OF_TEXT, SYMBOL, TRAINING_LOSS, measure
from seq2seq_lab.runs.run import Run

PREDICT_SOS = "loader.predict_sos"  # one more position of each target, which costs next to nothing
SEGMENTS = "segments"  # the key of a run, and the option of `evaluate`
_NATS = "nats"  # in the unit of a loss
_PAIRS = "max-pairs"
_OF_LOSSES = ("average", _PAIRS)  # the options of `evaluate` on which a loss depends


def incomparable(groups: Sequence[Group], metric: str) -> str:
    """Why the values of a metric do not compare across groups on one corpus; empty where they do.

    They do not: training losses of different forcing, or of a target other than gold; losses per symbol of different
    symbols, or with `<sos>` as one more of them; scores that count each source in some runs and each pair in others;
    and evaluations that were made differently.
    """
    keys = differing([each.config for each in groups])
    if metric == TRAINING_LOSS:
        if not all(each.learns_gold for each in groups):
            return "with a target other than gold"
        if any(key.startswith("forcing.") for key in keys):
            return "with different forcing"
    if is_per_symbol(metric):
        if UNITS in keys:
            return "per symbol of different symbols"
        if PREDICT_SOS in keys:
            return "with and without <sos> as a word to predict"
    part, facts = metric.rpartition("/")[0], groups[0].measure(metric)
    runs = [run for each in groups for run in each.runs]
    of_scores = _NATS not in facts.unit
    for option, _ in differently(runs, part):
        if of_scores or option in _OF_LOSSES:
            return f"evaluated with different {option}"
    in_training = facts.stage == "evaluation" and not any(part in run.evaluations for run in runs)
    return f"evaluated with different {SEGMENTS}" if SEGMENTS in keys and of_scores and in_training else ""


def is_per_symbol(metric: str) -> bool:
    """Whether a metric is a mean over target positions, of which there are as many as symbols."""
    unit = measure(metric).unit
    return SYMBOL in unit and OF_TEXT not in unit


def differently(runs: Sequence[Run], part: str) -> Iterator[tuple[str, Mapping[str, list[str]]]]:
    """The options of `seq2seq-lab evaluate` in which evaluations on a part differ, each with value → names of runs.

    Each split leaves a number of pairs of its own: numbers differ only among runs of the same training pairs.
    """
    made = {run: run.evaluations[part].conditions for run in runs if part in run.evaluations}
    for option in dict.fromkeys(option for each in made.values() for option in each):
        found: dict[str, list[str]] = {}
        alike: dict[str | None, set[str]] = defaultdict(set)
        for run, conditions in made.items():
            if option in conditions:
                value = str(conditions[option])
                found.setdefault(value, []).append(run.name)
                alike[run.corpus.fingerprint if option == _PAIRS else None].add(value)
        if any(len(values) > 1 for values in alike.values()):
            yield option, found
