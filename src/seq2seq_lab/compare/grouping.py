"""Groups of runs that differ only in their seed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from seq2seq_lab.compare import naming
from seq2seq_lab.compare.configurations import Items, configurations, items
from seq2seq_lab.compare.corpora import by_corpus, corpus_name
from seq2seq_lab.compare.statistics import Estimate, average
from seq2seq_lab.evaluation.measure import in_words
from seq2seq_lab.evaluation.measures import Measure, from_dict, in_units, measure
from seq2seq_lab.runs.find import natural
from seq2seq_lab.runs.layout import GOLD
from seq2seq_lab.runs.read import CorpusFacts
from seq2seq_lab.runs.run import Run

_ONLY = "all runs"
UNITS = "data.units"  # the key; a run of before there were any is of words
_Identity = tuple[Items, str | None]  # configuration and corpus


@dataclass(frozen=True, eq=False)
class Group:
    """Runs of one configuration and one corpus that differ only in their seeds.

    Attributes:
        label: the settings in which it differs from the others on its corpus, as ``model=attention, ratio=0.5``.
        settings: the same settings, key → value.
        shown: their values for people, which tell them apart.
        all_settings: the settings in which it differs from any other group, for tables of all corpora.
        config: its configuration without the seed, dotted key → value.
        choices: the option that was chosen for each group of the configuration; empty for old runs.
        corpus: the pairs that it was trained on.
        runs: the finished runs, one per seed, in the order of their seeds; means are computed over these.
        others: runs that are not averaged, because they are unfinished, failed or damaged.
        repeated: runs of a seed that another one stands for; see `group`.
        described: measures in the summaries of all compared runs, by name; the same in every group.
        units: what a symbol is, `words`, `subwords` or `characters`; None where the compared runs differ in it.
        own_label, colour: those that the user gave it; see `presentation`.
    """

    label: str
    settings: Mapping[str, Any]
    all_settings: Mapping[str, Any]
    config: Mapping[str, Any]
    choices: Mapping[str, str]
    corpus: CorpusFacts
    runs: tuple[Run, ...]
    others: tuple[Run, ...]
    described: Mapping[str, Measure]
    repeated: tuple[Run, ...] = ()
    units: str | None = None
    shown: Mapping[str, str] = field(default_factory=dict)
    own_label: str | None = None
    colour: str | None = None

    @property
    def every(self) -> tuple[Run, ...]:
        """All runs of its configuration and corpus, also those that are not compared."""
        return (*self.runs, *self.others, *self.repeated)

    @property
    def diverged(self) -> tuple[Run, ...]:
        """The runs whose training ended as the loss was not finite; they have no value."""
        return tuple(run for run in self.others if run.summary().get("diverged") is True)

    @property
    def learns_gold(self) -> bool:
        """Whether its training loss is that of the reference."""
        return bool(self.config.get("target._target_", GOLD["_target_"]) == GOLD["_target_"])

    def measure(self, metric: str) -> Measure:
        """The facts of a metric: from the registry, or else from the summaries of the runs."""
        facts = in_units(measure(metric, self.described), self.units)
        return in_words(facts, item=self.corpus.item, token=self.corpus.token)

    def last(self, metric: str) -> Estimate:
        """The last value of a metric, over the finished runs."""
        return Estimate.of([value for run in self.runs if (value := run.last(metric)) is not None])

    def best(self, metric: str) -> Estimate:
        """The best value of a metric, over the finished runs; the epoch of each run may differ."""
        better = self.measure(metric).better
        return Estimate.of([best[0] for run in self.runs if (best := run.best(metric, better)) is not None])

    def by_seed(self, metric: str) -> dict[int, float]:
        """Seed → last value, for the finished runs that have both."""
        values = ((run.seed, run.last(metric)) for run in self.runs)
        return {seed: value for seed, value in values if seed is not None and value is not None}

    def curve(self, metric: str) -> dict[int, Estimate]:
        """Epoch → mean and standard deviation over the finished runs."""
        return average([run.curves()[metric] for run in self.runs if metric in run.curves()])

    @property
    def metrics(self) -> list[str]:
        """All metrics that the runs have a curve of, in order of appearance."""
        return list(dict.fromkeys(metric for run in (*self.runs, *self.others) for metric in run.curves()))

    @property
    def evaluated(self) -> list[str]:
        """All metrics of the trained models, such as `test/bleu`, which have one value and no curve."""
        found = dict.fromkeys(metric for run in self.runs for metric in run.evaluated)
        return [metric for metric in found if metric not in self.metrics]


def group(runs: Sequence[Run]) -> tuple[list[Group], list[str]]:
    """Group the runs that differ only in the seed; also returns notes on repeated runs.

    The result does not depend on the order of the runs. Groups on one corpus are adjacent, in the order of
    their settings.
    """
    runs = sorted(runs, key=lambda run: natural(run.name))
    configs, corpora = configurations(runs)
    members: dict[_Identity, list[Run]] = defaultdict(list)
    for run in runs:
        members[items(configs[run]), corpora[run].fingerprint].append(run)
    _adopt(members)
    notes: list[str] = []
    kept = [_without_repeats(together, notes) for together in members.values()]
    flat = [configs[together[0]] for together in kept]
    described: dict[str, Measure] = {}
    for run in reversed(runs):  # the first run with a description of a measure is used
        described |= from_dict(run.summary().get("measures"))
    choices = [_choices(together) for together in kept]
    units = {_symbols(config, together[0]) for config, together in zip(flat, kept, strict=True)}
    common = units.pop() if len(units) == 1 else None
    groups = [
        Group(
            label="",
            settings={},
            all_settings=settings,
            config=config,
            choices=chosen,
            corpus=next((corpora[run] for run in together if corpora[run].fingerprint), CorpusFacts()),
            runs=tuple(run for run in together if run.finished),
            others=tuple(run for run in together if not run.finished),
            described=described,
            repeated=tuple(run for run in every if run not in together),
            units=common,
        )
        for config, settings, chosen, together, every in zip(
            flat, naming.settings(flat, choices), choices, kept, members.values(), strict=True
        )
    ]
    groups = [each for on_corpus in by_corpus(groups).values() for each in _set_apart(on_corpus)]
    return _labelled(_ordered(groups)), notes


def _symbols(config: Mapping[str, Any], run: Run) -> str:
    """What a run's target positions predict: `subwords`, or what its targets are of, such as `words` or `phones`."""
    units = str(config.get(UNITS, "words"))
    return f"{run.corpus.token}s" if units == "words" else units


def _set_apart(groups: Sequence[Group]) -> list[Group]:
    """Groups on one corpus, with the settings in which they differ from each other.

    A group that is alone there has the options in which it differs from those on other corpora.
    """
    if len(groups) == 1:
        (one,) = groups
        options = {key: one.all_settings[key] for key in one.all_settings if key in one.choices}
        return [replace(one, settings=options)]
    apart = naming.settings([each.config for each in groups], [each.choices for each in groups])
    return [replace(each, settings=settings) for each, settings in zip(groups, apart, strict=True)]


def _choices(runs: Sequence[Run]) -> dict[str, str]:
    """The options of a run; a group that is placed elsewhere, `forcing/decay@target.schedule.decay`, by its place."""
    for run in runs:
        if isinstance(chosen := run.config().get("choices"), dict):
            places = {group: str(group).partition("@")[2].replace(".", "/") or str(group) for group in chosen}
            return {places[group]: str(option) for group, option in chosen.items() if option is not None}
    return {}


def _adopt(members: dict[_Identity, list[Run]]) -> None:
    """Move unfinished runs without a known corpus to the finished runs of the same configuration."""
    for orphan in [identity for identity in members if identity[1] is None]:
        homes = [identity for identity in members if identity[0] == orphan[0] and identity[1] is not None]
        if len(homes) == 1 and not any(run.finished for run in members[orphan]):
            members[homes[0]] += members.pop(orphan)


def _without_repeats(runs: Sequence[Run], notes: list[str]) -> list[Run]:
    """One run per seed, in the order of the seeds: the newest finished run, or else the newest run."""
    by_seed: dict[int, list[Run]] = defaultdict(list)
    kept = [run for run in runs if run.seed is None]
    for run in runs:
        if run.seed is not None:
            by_seed[run.seed].append(run)
    for seed, same in sorted(by_seed.items()):
        chosen, *rest = sorted(same, key=lambda run: (run.finished, run.started, run.name), reverse=True)
        kept.append(chosen)
        if rest:
            names = ", ".join(run.name for run in sorted(same, key=lambda run: natural(run.name)))
            why = "the newest finished run" if chosen.finished else "the newest run, as none is finished"
            notes.append(
                f"several runs with the same configuration and seed {seed}: {names}; only {chosen.name} is used ({why})"
            )
    return kept


def _ordered(groups: Sequence[Group]) -> list[Group]:
    keys = list(dict.fromkeys(key for group in groups for key in group.settings))

    def order(group: Group) -> tuple[Any, ...]:
        corpus = group.corpus
        return (
            (corpus.origin is None, corpus.origin or "", corpus.fingerprint or ""),
            *(_rank(group.settings.get(key, naming.ABSENT)) for key in keys),
        )

    return sorted(groups, key=order)


def _rank(value: Any) -> tuple[int, float, Any]:
    """A sort key: missing values first, then numbers by value, then other values by their text."""
    if value is naming.ABSENT:
        return (0, 0.0, [])
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (1, float(value), [])
    return (2, 0.0, natural(naming.written(value)))


def _without(groups: Sequence[Group]) -> str:
    """The label of a group that has none of the keys in which the groups differ."""
    keys = dict.fromkeys(key for group in groups for key in group.settings)
    return f"without {', '.join(keys)}" if keys else _ONLY


def _labelled(groups: Sequence[Group]) -> list[Group]:
    """Set the labels; one that says nothing, or that two corpora share, names the corpus; equal ones get a number."""
    shown = naming.told_apart([group.settings for group in groups])
    labels = [", ".join(f"{key}={text}" for key, text in each.items()) for each in shown]
    corpora = {each.corpus.fingerprint for each in groups}
    labelled: list[Group] = []
    taken: set[str] = set()
    for group, texts, label in zip(groups, shown, labels, strict=True):
        alike = {each.corpus.fingerprint for each, its in zip(groups, labels, strict=True) if its == label}
        if len(alike) > 1 or (not label and len(corpora) > 1):
            label = ", ".join(filter(None, (label, corpus_name(group, groups))))
        label, number = label or _without(groups), 1
        while label in taken:
            number += 1
            label = f"{label.removesuffix(f' #{number - 1}')} #{number}"
        taken.add(label)
        labelled.append(replace(group, label=label, shown=texts))
    return labelled
