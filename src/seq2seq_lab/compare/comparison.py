"""Make a comparison from folders: read the runs, group and pair them, print and write the results."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from seq2seq_lab.compare import notes as remarks
from seq2seq_lab.compare.grouping import Group, group
from seq2seq_lab.compare.metrics import not_measured, shown
from seq2seq_lab.compare.pairing import Pair, pair
from seq2seq_lab.compare.place import PAIRS, SUMMARY, TABLES, checked, default_output
from seq2seq_lab.compare.presentation import Presentation, arranged, baselines
from seq2seq_lab.compare.references import of_runs, with_own_names
from seq2seq_lab.compare.significance import OverSentences, over_sentences
from seq2seq_lab.compare.tasks import OverTasks, over_tasks
from seq2seq_lab.compare.views import csv, paper, terminal
from seq2seq_lab.errors import UserError
from seq2seq_lab.files import write_text
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.at_checkpoint import at_checkpoints
from seq2seq_lab.runs.chosen import Which
from seq2seq_lab.runs.filters import split
from seq2seq_lab.runs.reference import Reference
from seq2seq_lab.runs.run import Run
from seq2seq_lab.runs.select import require_runs, select


@dataclass(frozen=True)
class Comparison:
    """The compared runs, and the folder of the output.

    Attributes:
        runs: all runs that could be read, by name.
        groups: the same runs, in groups that differ in more than the seed; without repeated runs.
        metrics: the metrics to show; the CSV files contain all metrics.
        pairs: groups that differ in one setting, compared seed by seed, in every metric.
        over_sentences: groups compared over the sentences of the test part.
        over_tasks: methods compared over all corpora, if there are several.
        references: reference curves that are shown with the groups.
        notes: what was skipped, and why.
        caveats: limits of the results that the user should know.
        output: the output folder.
        root: the folder that the names of the runs are relative to.
    """

    runs: Sequence[Run]
    groups: Sequence[Group]
    metrics: Sequence[str]
    pairs: Sequence[Pair]
    over_sentences: Sequence[OverSentences]
    over_tasks: Sequence[OverTasks]
    references: Sequence[Reference]
    notes: Sequence[str]
    caveats: Sequence[str]
    output: Path
    root: Path

    @property
    def shown_pairs(self) -> list[Pair]:
        """The pairs for the metrics to show, in the order of the metrics."""
        return [each for metric in self.metrics for each in self.pairs if each.metric == metric]


def gather(
    paths: Sequence[str | Path],
    *,
    metrics: Sequence[str] | None = None,
    references: Sequence[Reference] = (),
    significance: bool = False,
    output: Path | None = None,
    presentation: Presentation | None = None,
    checkpoints: Sequence[Which] = (),
) -> Comparison:
    """Read and compare the runs under some folders, without printing or writing anything.

    Args:
        paths: folders that contain runs, at any depth; texts may also be filters, see `runs.filters`.
        metrics: names or patterns of the metrics to show; by default, those of measures with ``shown``.
        references: reference curves, in addition to those of the runs; their metrics are shown too.
        significance: compare all pairs of groups over the sentences of the test part too, not only two groups alone.
        output: the output folder; by default, ``comparison`` in the folder of the runs if all of its runs are
            compared, else a folder beside it with a name for these.
        presentation: labels, order and colours of the groups, and the one that all others are compared with.
        checkpoints: those of each run to compare with each other, instead of its last epoch; see `at_checkpoint`.

    Raises:
        UserError: no run was found, a path does not exist, or no run measured a metric.
    """
    selection = require_runs(select(paths))
    root, read, not_evaluated = selection.root, list(selection.runs), list[str]()
    if checkpoints:
        read, not_evaluated = at_checkpoints(read, checkpoints)
    groups, repeats = group(read)
    presentation = presentation or Presentation()
    groups = arranged(groups, presentation)
    baseline = [] if presentation.baseline is None else baselines(groups, presentation.baseline)
    measured = _measured(groups)
    for each in references:
        if each.metric not in measured:
            raise UserError(f"--reference-metric {each.metric}: {not_measured(each.metric, measured)}")
    graded = {each.corpus.graded for each in groups}
    chosen = dict.fromkeys(shown(metrics, measured, groups[0].described, graded=graded))
    chosen |= dict.fromkeys(each.metric for each in references)
    pairs = pair(groups, measured, baseline)
    visible = [each for each in pairs if each.metric in chosen]
    sentences, missing = over_sentences(groups, pairs, every=significance)
    tasks, left_out = over_tasks(groups, list(chosen), baseline)
    where = output or default_output(root, read, given=len(split(paths)[0]))
    tables = [name for name in TABLES if tasks or name != layout.TASKS]
    return Comparison(
        runs=read,
        groups=groups,
        metrics=list(chosen),
        pairs=pairs,
        over_sentences=sentences,
        over_tasks=tasks,
        references=with_own_names([*of_runs(read), *references]),
        notes=[
            *selection.notes,
            *not_evaluated,
            *missing,
            *left_out,
            *repeats,
            *remarks.of_baselines(groups, baseline),
            *remarks.not_averaged(groups),
            *remarks.uneven(groups),
            *remarks.trained_again(groups),
            *remarks.annotated(groups),
        ],
        caveats=[*remarks.caveats(groups, list(chosen)), *remarks.of_differences(visible)],
        output=checked(where, tables, within=None if output else root),
        root=root,
    )


def compare(
    paths: Sequence[str | Path],
    *,
    metrics: Sequence[str] | None = None,
    references: Sequence[Reference] = (),
    significance: bool = False,
    output: Path | None = None,
    presentation: Presentation | None = None,
    checkpoints: Sequence[Which] = (),
    form: "paper.Format | None" = None,
    stream: TextIO | None = None,
) -> Comparison:
    """Compare the runs under some folders: print a table, and write files, plots, a report and TensorBoard runs.

    Args:
        paths, metrics, references, significance, output, presentation, checkpoints: see `gather`.
        form: print tables for a paper in this format instead; what else is to be said goes to standard error.
        stream: the stream to print to; standard output by default.

    Raises:
        UserError: as `gather`, or the folder cannot be written.
    """
    comparison = gather(
        paths,
        metrics=metrics,
        references=references,
        significance=significance,
        output=output,
        presentation=presentation,
        checkpoints=checkpoints,
    )
    stream = stream or sys.stdout
    if form is not None:
        of_paper = paper.chosen(comparison.metrics) if form == "latex" and not metrics else comparison.metrics
        text = paper.tables(comparison.groups, of_paper, comparison.shown_pairs, form, comparison.over_tasks)
        terminal.write(text, stream)
        terminal.write(terminal.over_sentences(comparison.over_sentences), sys.stderr)
        terminal.write(terminal.notes([*comparison.notes, *comparison.caveats]), sys.stderr)
        _write(comparison)
        return comparison
    terminal.write(terminal.results(comparison.groups, comparison.metrics, comparison.shown_pairs), stream)
    terminal.write(terminal.over_tasks(comparison.over_tasks), stream)
    terminal.write(terminal.over_sentences(comparison.over_sentences), stream)
    terminal.write(terminal.notes([*comparison.notes, *comparison.caveats]), stream)
    _write(comparison)
    terminal.write(terminal.written(comparison.output), stream)
    return comparison


def _title(comparison: Comparison) -> str:
    """What the report is about: the settings that differ, and the folder."""
    keys = list(dict.fromkeys(key for each in comparison.groups for key in each.settings))
    root = comparison.root.name or "runs"
    more = " and more" if len(keys) > 4 else ""
    return f"{', '.join(keys[:4])}{more}: comparison of {root}" if keys else f"Comparison of {root}"


def _measured(groups: Sequence[Group]) -> list[str]:
    """All metrics: those with curves, then those of trained models."""
    with_curves = dict.fromkeys(metric for each in groups for metric in each.metrics)
    evaluated = dict.fromkeys(metric for each in groups for metric in each.evaluated)
    return [*with_curves, *(metric for metric in evaluated if metric not in with_curves)]


def _write(comparison: Comparison) -> None:
    from seq2seq_lab.compare.report import page as report
    from seq2seq_lab.compare.views import (  # imported here, as these imports are slow
        analyses,
        figures,
        plots,
        tensorboard,
    )

    output, groups, metrics = comparison.output, comparison.groups, comparison.metrics
    measured = _measured(groups)
    drawn = [plots.curves(groups, metrics, comparison.references), *plots.sweeps(groups, metrics)]
    drawn = [*(plot for plot in drawn if plot.panels), *analyses.plots(groups)]
    compared_before = (output / layout.REPORT).exists()
    try:
        write_text(output / layout.RESULTS, csv.results(comparison.runs, groups, measured))
        write_text(output / SUMMARY, csv.summary(groups, measured))
        write_text(output / PAIRS, csv.pairs(comparison.pairs))
        if comparison.over_tasks:
            write_text(output / layout.TASKS, csv.tasks(comparison.over_tasks))
        elif compared_before:  # else it is somebody's own file
            (output / layout.TASKS).unlink(missing_ok=True)
        drawings = [figures.save(plot, output) for plot in drawn]
        for pattern in ("curves", "sweep-*", f"{analyses.PREFIX}*") if compared_before else ():
            figures.discard(pattern, output, keep={plot.name for plot in drawn})
        tensorboard.write(groups, comparison.references, output / layout.TENSORBOARD)
        with_drawings = list(zip(drawn, drawings, strict=True))
        write_text(output / layout.REPORT, report.page(comparison, _title(comparison), with_drawings))
    except OSError as error:
        raise UserError(
            f"{output}: cannot be written ({error.strerror}); give --output another folder"
        ) from None
