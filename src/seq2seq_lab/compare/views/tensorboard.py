"""The comparison as TensorBoard runs: mean and band of each group, references, and loss floors."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.custom_scalar import layout_pb2 as layouts
from tensorboard.plugins.custom_scalar import metadata
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util.tensor_util import make_tensor_proto

from seq2seq_lab.compare.corpora import by_corpus, titled
from seq2seq_lab.compare.grouping import Group
from seq2seq_lab.compare.naming import ABSENT, file_names
from seq2seq_lab.compare.references import named_by
from seq2seq_lab.evaluation.measures import TRAINING_LOSS, tensorboard_tag
from seq2seq_lab.files import replacing
from seq2seq_lab.runs.find import natural
from seq2seq_lab.runs.read import CorpusFacts
from seq2seq_lab.runs.reference import Reference

# The same name for all event files, in the form that TensorBoard recognises: a repeated comparison replaces its own
# files, and finds those that it no longer needs.
_FILE = "events.out.tfevents.0000000000.seq2seq-lab-compare"
_Scalars = Mapping[int, Mapping[str, float]]  # epoch → tag → value


def write(groups: Sequence[Group], references: Sequence[Reference], folder: Path) -> None:
    """Write a run for each group, for each reference, and for the loss floor of each corpus.

    The mean has the tag of the metric, so that it is in one chart with single runs. The tags ``~band/…`` are the mean,
    and the mean minus and plus one standard deviation. A step is an epoch.

    Values on different corpora are not comparable: those of the corpus with most runs have these tags, and the tags of
    any other corpus name it.
    """
    suffix = _suffixes(groups)
    runs = dict(_runs(groups, references, suffix))
    metrics = {f"{each}{suffix[group.corpus]}" for group in groups if group.runs for each in group.metrics}
    for stale in folder.rglob(_FILE):
        if stale.parent.relative_to(folder).as_posix() not in runs:
            stale.unlink()
    for number, (name, scalars) in enumerate(runs.items()):
        summaries = [_layout(sorted(metrics, key=natural))] if number == 0 else []
        _write_events(folder / name / _FILE, summaries, scalars)


def _suffixes(groups: Sequence[Group]) -> dict[CorpusFacts, str]:
    """What follows a metric in the tags of each corpus: nothing for the one with most runs, its name for any other."""
    corpora = by_corpus(groups)
    main = max(corpora, key=lambda name: sum(len(group.runs) for group in corpora[name]))
    return {
        each.corpus: "" if name == main else titled("", name) for name in corpora for each in corpora[name]
    }


def _runs(
    groups: Sequence[Group], references: Sequence[Reference], suffix: Mapping[CorpusFacts, str]
) -> Iterator[tuple[str, _Scalars]]:
    names = file_names([f"{_short(group)}{suffix[group.corpus]}" for group in groups])
    for group, name in zip(groups, names, strict=True):
        if group.runs:
            yield name, _mean_and_band(group, suffix[group.corpus])
    names = file_names([reference.name for reference in references])
    for reference, name in zip(references, names, strict=True):
        beside = {suffix[group.corpus] for group in named_by(reference, groups)}
        metric = reference.metric + (beside.pop() if len(beside) == 1 else "")
        points = {epoch: _flat(metric, value) for epoch, value in reference.values.items()}
        yield f"reference/{name}", points
    names = file_names([f"loss floor{its}" for its in suffix.values()])
    for (corpus, its), name in zip(suffix.items(), names, strict=True):
        learns_gold = any(group.learns_gold for group in groups if group.corpus == corpus)
        if corpus.loss_floor is not None and learns_gold:
            runs = [run for group in groups if group.corpus == corpus for run in group.runs]
            last = max((run.epochs for run in runs), default=1)
            floor = _flat(f"{TRAINING_LOSS}{its}", corpus.loss_floor)
            yield name, dict.fromkeys(sorted({1, last}), floor)


def _short(group: Group) -> str:
    """The label of a group, its own or one where options such as ``attention`` stand for themselves: TensorBoard cuts
    long names."""
    if group.own_label:
        return group.own_label
    named = {key: isinstance(value, str) and value != ABSENT for key, value in group.settings.items()}
    parts = [value if named[key] else f"{key}={group.shown[key]}" for key, value in group.settings.items()]
    return ", ".join(parts) or group.label


def _tags(metric: str) -> tuple[str, str, str, str]:
    """The tags of the mean, of the mean again, and of the lower and the upper limit of its band.

    The margin chart takes the last three. Single runs have none of them; TensorBoard would complain below each chart of
    a run that has only one.
    """
    band = f"~band/{metric}"  # TensorBoard sorts ~ last
    return tensorboard_tag(metric), f"{band}/mean", f"{band}/lower", f"{band}/upper"


def _flat(metric: str, value: float) -> dict[str, float]:
    # TensorBoard's margin chart does not show a series without a band.
    return dict.fromkeys(_tags(metric), value)


def _mean_and_band(group: Group, suffix: str) -> _Scalars:
    scalars: dict[int, dict[str, float]] = {}
    for metric in group.metrics:
        for epoch, estimate in group.curve(metric).items():
            sd = estimate.sd if estimate.sd >= 0 else 0.0
            values = (estimate.mean, estimate.mean, estimate.mean - sd, estimate.mean + sd)
            scalars.setdefault(epoch, {}).update(zip(_tags(f"{metric}{suffix}"), values, strict=True))
    return dict(sorted(scalars.items()))


def _layout(metrics: Sequence[str]) -> Any:
    """The layout of the page Custom Scalars: one margin chart per metric."""
    page = layouts.Layout()
    for split in sorted({metric.partition("/")[0] for metric in metrics}, key=_importance):
        category = page.category.add(title=f"{split}: mean over seeds ± one standard deviation")
        for metric in (metric for metric in metrics if metric.partition("/")[0] == split):
            _, value, lower, upper = _tags(metric)
            chart = category.chart.add(title=metric)
            chart.margin.series.add(value=value, lower=lower, upper=upper)
    tensor = make_tensor_proto(page.SerializeToString())
    tag = metadata.CONFIG_SUMMARY_TAG
    return Summary(value=[Summary.Value(tag=tag, metadata=metadata.create_summary_metadata(), tensor=tensor)])


def _importance(split: str) -> tuple[int, str]:
    """A sort key: what was held out first, the speed last."""
    order = ("test", "val", "train")
    return (order.index(split) if split in order else len(order), split)


def _write_events(path: Path, summaries: Sequence[Any], scalars: _Scalars) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        writer = RecordWriter(file)
        now = time.time()
        writer.write(Event(wall_time=now, file_version="brain.Event:2").SerializeToString())
        for summary in summaries:
            writer.write(Event(wall_time=now, summary=summary).SerializeToString())
        for epoch, values in scalars.items():
            summary = Summary(value=[Summary.Value(tag=t, simple_value=v) for t, v in values.items()])
            writer.write(Event(wall_time=now, step=epoch, summary=summary).SerializeToString())
