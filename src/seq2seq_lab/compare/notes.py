"""Notes on a comparison: runs that are not averaged, and limits of the results."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from seq2seq_lab.compare.comparable import PREDICT_SOS, SEGMENTS, differently, is_per_symbol
from seq2seq_lab.compare.corpora import by_corpus
from seq2seq_lab.compare.grouping import UNITS, Group
from seq2seq_lab.compare.naming import differing
from seq2seq_lab.compare.pairing import METHODS, Pair
from seq2seq_lab.compare.statistics import INTERVALS
from seq2seq_lab.evaluation.measures import TRAINING_LOSS
from seq2seq_lab.runs import used
from seq2seq_lab.runs.annotations import read_annotations
from seq2seq_lab.runs.at_checkpoint import AtCheckpoint
from seq2seq_lab.runs.evaluations import PAIR, SOURCE
from seq2seq_lab.runs.run import Run

_FEW_NAMES = 6
_STATUS = {"running": "still running or killed"}
_TRAIN_CAVEAT = (
    "Training losses under different forcing are not comparable: each depends on how its policy feeds"
    " the decoder. Compare val/*, or the teacher-forced and free-running losses."
)
_TARGET_CAVEAT = (
    "Training losses of a target other than gold compare with no other: each is the loss for what its target wants."
    " Compare val/*."
)
_PER_WORD = "compare those per word or per character, such as --metric 'val/loss_*_per_word'."
_SYMBOL_CAVEATS = {
    UNITS: f"Losses per symbol do not compare, as data.units differs; {_PER_WORD}",
    PREDICT_SOS: "Losses per symbol do not compare, as loader.predict_sos differs, which counts <sos> as one; "
    f"{_PER_WORD}",
}


def not_averaged(groups: Sequence[Group]) -> list[str]:
    """One note for each status of unfinished runs, with the names of the runs; where some diverged, what this means."""
    by_status: dict[str, list[Run]] = defaultdict(list)
    for each in groups:
        for run in each.others:
            by_status["diverged" if run in each.diverged else run.status].append(run)
    notes = [
        f"not averaged, {_STATUS.get(status, status)}: {_names(unfinished)}"
        for status, unfinished in sorted(by_status.items())
    ]
    few = [
        f"{len(each.diverged)} of {len(each.runs) + len(each.others)} of {each.label}"
        for each in groups
        if each.diverged
    ]
    return (
        [*notes, f"runs diverged: {_listed(few)}; the others may show it better than it is"] if few else notes
    )


def _names(several: Sequence[Run]) -> str:
    return _listed([f"{run.name} (epoch {run.epochs})" if run.epochs else run.name for run in several])


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _FEW_NAMES
    return ", ".join(names[:_FEW_NAMES]) + (f" and {rest} more" if rest > 0 else "")


def uneven(groups: Sequence[Group]) -> list[str]:
    """Notes on groups that average runs with different numbers of epochs, and on different versions of the package."""
    notes = []
    for each in groups:
        lengths = sorted({run.epochs for run in each.runs})
        if len(lengths) > 1:
            notes.append(
                f"{each.label}: its runs have different last epochs ({', '.join(map(str, lengths))})"
            )
    summaries = [run.summary() for each in groups for run in each.runs]
    versions = {str(summary["version"]) for summary in summaries if "version" in summary}
    if len(versions) > 1:
        notes.append(f"the runs are from several versions of seq2seq-lab: {', '.join(sorted(versions))}")
    return notes


def of_baselines(groups: Sequence[Group], baselines: Sequence[Group]) -> list[str]:
    """Baselines, and corpora, that nothing can be compared with or on."""
    empty = [
        f"nothing is compared with the baseline, {each.label}: it has no finished run"
        for each in baselines
        if not each.runs
    ]
    without = [
        f"no group on {corpus} is the baseline: nothing is compared there"
        for corpus, on_corpus in by_corpus(groups).items()
        if baselines and not any(each in baselines for each in on_corpus)
    ]
    return [*empty, *without]


def trained_again(groups: Sequence[Group]) -> list[str]:
    """Runs whose first weights or teacher are of a run that was trained again since."""
    runs = [run for each in groups for run in each.runs]
    return [f"{run.name}: {line}" for run in runs for line in used.trained_again(run.summary(), run.config())]


def annotated(groups: Sequence[Group]) -> list[str]:
    """The tags and the notes of the compared runs."""
    tagged: dict[str, list[Run]] = defaultdict(list)
    noted = []
    for run in (run for each in groups for run in (*each.runs, *each.others)):
        annotations = read_annotations(run.folder)
        for tag in annotations.tags:
            tagged[tag].append(run)
        if annotations.note:
            noted.append(f"{run.name}: {' '.join(annotations.note.split())}")
    tags = [f"tagged {tag}: {_listed([run.name for run in runs])}" for tag, runs in sorted(tagged.items())]
    more = [f"and {len(noted) - _FEW_NAMES} more notes of runs"] if len(noted) > _FEW_NAMES else []
    return [*tags, *noted[:_FEW_NAMES], *more]


def caveats(groups: Sequence[Group], metrics: Sequence[str]) -> list[str]:
    """Limits of the results that the user should know."""
    corpora = by_corpus(groups).values()
    keys = {key for own in corpora for key in differing([each.config for each in own])}
    forcing_differs = any(key.startswith("forcing.") for key in keys)
    found = [_TRAIN_CAVEAT] if TRAINING_LOSS in metrics and forcing_differs else []
    if TRAINING_LOSS in metrics and not all(each.learns_gold for each in groups):
        found.append(_TARGET_CAVEAT)
    with_intervals = {metric for each in groups for metric in each.evaluated if each.last(metric).sd > 0}
    if any(metric in with_intervals and groups[0].measure(metric).bounds for metric in metrics):
        found.append(f"95 % intervals of means are {INTERVALS}.")
    if any(map(is_per_symbol, metrics)):
        found += [caveat for key, caveat in _SYMBOL_CAVEATS.items() if key in keys]
    return [*found, *_made_differently(groups)]


def _made_differently(groups: Sequence[Group]) -> Iterator[str]:
    """A caveat for each part of the data, corpus and option by which evaluations differ."""
    for on_corpus in by_corpus(groups).values():
        runs = [run for each in on_corpus for run in each.runs]
        for part in dict.fromkeys(part for run in runs for part in run.evaluations):
            for option, found in differently(runs, part):
                if option == SEGMENTS:
                    yield (
                        f"Scores of translations of {part} do not compare: they count each source once in "
                        f"{_listed(found[SOURCE])}; each pair in {_listed(found[PAIR])}. Evaluate all of them again "
                        "with the same `seq2seq-lab evaluate --segments`."
                    )
                else:
                    several = "; ".join(
                        f"{'none' if (option, value) == ('average', '0') else value} in {_listed(names)}"
                        for value, names in found.items()
                    )
                    yield (
                        f"Results of {part} do not compare: --{option} {several}. Evaluate all of them again with "
                        f"the same `seq2seq-lab evaluate --{option}`, or without it."
                    )
            yield from _of_checkpoints(runs, part)


def _of_checkpoints(runs: Sequence[Run], part: str) -> Iterator[str]:
    """A caveat where results are of means of checkpoints, or of the best and of the last one: a table does not say."""
    found: dict[str, list[str]] = defaultdict(list)
    means = set()
    for run in runs:
        if not isinstance(run, AtCheckpoint) and (each := run.evaluations.get(part)):
            means.add(each.conditions.get("average", 0))
            if each.checkpoint:
                found[each.checkpoint].append(run.name)
    if len(means) == 1 and (count := means.pop()):
        yield f"Results of {part} are of the mean of the newest {count} kept checkpoints (`evaluate --average`)."
    if len(found) > 1:
        several = "; ".join(f"the {which} one of {_listed(names)}" for which, names in found.items())
        yield f"Results of {part} are of different checkpoints: {several}."


def of_differences(pairs: Sequence[Pair]) -> list[str]:
    """Which tests the differences have, and of which seeds they are where not all seeds are common."""
    notes = [METHODS] if any(each.difference.method == "Welch" for each in pairs) else []
    partial = dict.fromkeys(
        f"{each.title} ({each.difference.seeds} seeds)" for each in pairs if each.difference.of_some_seeds
    )
    if partial:
        several = "; ".join([*partial][:_FEW_NAMES])
        rest = len(partial) - _FEW_NAMES
        notes.append(
            "A paired difference is that of the common seeds, which need not be the difference of the means shown: "
            + several
            + (f" and {rest} more" if rest > 0 else "")
        )
    return notes
