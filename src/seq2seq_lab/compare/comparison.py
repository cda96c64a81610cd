"""From folders to a comparison: read, group, pair, print, write."""

import difflib
import os
import shlex
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TextIO

from seq2seq_lab.compare import runs
from seq2seq_lab.compare.grouping import Group, by_corpus, group
from seq2seq_lab.compare.naming import differing
from seq2seq_lab.compare.pairing import Pair, headline, pair
from seq2seq_lab.compare.runs import COMPARISON, Run
from seq2seq_lab.compare.views import table
from seq2seq_lab.errors import UserError
from seq2seq_lab.evaluation.measures import TRAINING_LOSS, default_metrics
from seq2seq_lab.files import write_text
from seq2seq_lab.runs import layout

_FEW_NAMES = 6
_ENDED = {"running": "still running or killed"}
_FEW_PAIRS = 12
_TRAIN_CAVEAT = (
    "Training losses under different forcing are not comparable: each is measured while the decoder is fed as"
    " its own policy says, so it mixes two regimes. Compare val/* or the forced and free-running losses."
)


@dataclass(frozen=True)
class Comparison:
    """What was compared, and where it was written to.

    Attributes:
        runs: all runs that could be read, by name.
        groups: the same, in groups that differ in more than the seed; repeated runs are in none.
        metrics: those shown; the CSV files hold all.
        pairs: groups one knob apart, set against each other seed by seed, in every metric.
        notes: what was left out, and why.
        caveats: what the numbers do not tell.
        output: the folder to write to.
    """

    runs: Sequence[Run]
    groups: Sequence[Group]
    metrics: Sequence[str]
    pairs: Sequence[Pair]
    notes: Sequence[str]
    caveats: Sequence[str]
    output: Path

    @property
    def shown_pairs(self) -> list[Pair]:
        """The pairs in the metrics shown, in order of those."""
        return [each for metric in self.metrics for each in self.pairs if each.metric == metric]


def gather(
    paths: Sequence[Path], *, metrics: Sequence[str] | None = None, output: Path | None = None
) -> Comparison:
    """Read and compare the runs under some folders, without printing or writing anything.

    Args:
        paths: folders that runs lie in, at any depth.
        metrics: those to show, wild cards allowed; the ones that say most if none are given.
        output: the folder to write; ``comparison`` beside the runs if none is given.

    Raises:
        UserError: no run was found, or a path or a metric is not there.
    """
    root = runs.common_root(paths)
    read, notes = _read(paths, root)
    groups, repeats = group(read)
    measured = list(dict.fromkeys(metric for each in groups for metric in each.metrics))
    shown = _shown(metrics, measured)
    return Comparison(
        runs=read,
        groups=groups,
        metrics=shown,
        pairs=pair(groups, measured),
        notes=[*notes, *repeats, *_unaveraged(groups), *_uneven(groups)],
        caveats=_caveats(groups, shown),
        output=_output(output or root / COMPARISON),
    )


def compare(
    paths: Sequence[Path],
    *,
    metrics: Sequence[str] | None = None,
    output: Path | None = None,
    stream: TextIO | None = None,
) -> Comparison:
    """Compare the runs under some folders: print a table; write files, plots, a report, TensorBoard runs.

    Args:
        paths, metrics, output: see `gather`.
        stream: where to print; standard output if none is given.

    Raises:
        UserError: as `gather`, or the folder cannot be written.
    """
    comparison = gather(paths, metrics=metrics, output=output)
    _print(_summary(comparison), stream or sys.stdout)
    _write(comparison, title=f"Comparison of {runs.common_root(paths).name or 'runs'}")
    _print(_written(comparison.output), stream or sys.stdout)
    return comparison


def _output(output: Path) -> Path:
    with runs.reaching(output):
        if (output / layout.CONFIG).exists():
            raise UserError(f"{output}: this is the folder of a run; give --output a folder of its own")
        if output.exists() and not output.is_dir():
            raise UserError(f"{output}: this is a file; give --output a folder, or a name not yet taken")
    return output


def _read(paths: Sequence[Path], root: Path) -> tuple[list[Run], list[str]]:
    folders, notes = runs.find(paths)
    read = []
    for folder in folders:
        try:
            read.append(runs.read(folder, root))
        except ValueError as error:
            notes.append(f"{folder.relative_to(root).as_posix()}: {error}; left out")
    if not read:
        raise UserError(
            f"{'; '.join(notes[-3:])}. A run is a folder with a {layout.CONFIG}, as `seq2seq-lab train`"
            " makes it; give a folder that runs lie in"
        )
    read.sort(key=lambda run: runs.natural(run.name))
    notes += [f"{run.name}: {note}" for run in read for note in run.notes]
    return read, notes


def _shown(asked: Sequence[str] | None, there: Sequence[str]) -> list[str]:
    """The metrics to show: those asked for, wild cards spelt out, or the default ones."""
    if not asked:
        return default_metrics(there)
    shown: dict[str, None] = {}
    for pattern in asked:
        fitting = [metric for metric in there if fnmatchcase(metric, pattern)]
        if not fitting:
            near = difflib.get_close_matches(pattern, there, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UserError(
                f"--metric {pattern}: no run measured it; {hint}there are {', '.join(there) or 'none'}"
            )
        shown |= dict.fromkeys(fitting)
    return list(shown)


def _unaveraged(groups: Sequence[Group]) -> list[str]:
    """A note for each way in which runs did not finish, with their names."""
    by_status: dict[str, list[Run]] = defaultdict(list)
    for each in groups:
        for run in each.others:
            by_status[run.status].append(run)
    return [
        f"not averaged, {_ENDED.get(status, status)}: {_names(unfinished)}"
        for status, unfinished in sorted(by_status.items())
    ]


def _names(several: Sequence[Run]) -> str:
    names = [f"{run.name} (epoch {run.epochs})" if run.epochs else run.name for run in several[:_FEW_NAMES]]
    rest = len(several) - len(names)
    return ", ".join(names) + (f" and {rest} more" if rest else "")


def _uneven(groups: Sequence[Group]) -> list[str]:
    """Notes on runs that are averaged though one went on for longer, or another version wrote it."""
    notes = []
    for each in groups:
        lengths = sorted({run.epochs for run in each.runs})
        if len(lengths) > 1:
            notes.append(f"{each.label}: its runs end at different epochs ({', '.join(map(str, lengths))})")
    versions = {
        str(run.summary["version"]) for each in groups for run in each.runs if "version" in run.summary
    }
    if len(versions) > 1:
        notes.append(f"runs of several versions of seq2seq-lab are compared: {', '.join(sorted(versions))}")
    return notes


def _caveats(groups: Sequence[Group], metrics: Sequence[str]) -> list[str]:
    keys = differing([each.config for each in groups])
    forced_otherwise = any(key.startswith("forcing.") for key in keys)
    return [_TRAIN_CAVEAT] if TRAINING_LOSS in metrics and forced_otherwise else []


def _summary(comparison: Comparison) -> str:
    """What the terminal shows of the results."""
    parts = []
    for title, on_corpus in by_corpus(comparison.groups).items():
        origin = on_corpus[0].corpus.origin
        parts.append(": ".join(filter(None, (title.removeprefix(" · "), origin if title else ""))))
        parts.append(table.render(on_corpus, comparison.metrics))
    if pairs := [each for each in comparison.shown_pairs if each.difference.n > 1]:
        parts.append(_differences(pairs))
    elif comparison.shown_pairs:
        parts.append(
            "With one seed there is no telling a difference from chance; sweep over some: seed=0,1,2"
        )
    parts.append("\n".join(f"Note: {note}" for note in (*comparison.notes, *comparison.caveats)))
    return "\n\n".join(filter(None, parts))


def _differences(pairs: Sequence[Pair]) -> str:
    """As many pairs as a terminal bears: all, else those of the first metric that can be compared."""
    shown = list(pairs)
    if len(shown) > _FEW_PAIRS:
        metric = headline(pairs)
        shown = [each for each in pairs if each.metric == metric][:_FEW_PAIRS]
    rest = len(pairs) - len(shown)
    lines = table.aligned([(each.metric, each.title, each.interval, each.verdict) for each in shown])
    head = "Paired by seed: difference of the last values, its 95 % interval"
    return "\n  ".join([f"{head} ({rest} more in pairs.csv):" if rest else f"{head}:", *lines])


def _written(output: Path) -> str:
    if output.resolve().is_relative_to(Path.cwd()):
        output = output.resolve().relative_to(Path.cwd())
    return (
        f"\nReport: {output / 'report.html'}\n"
        f"TensorBoard: tensorboard --logdir {shlex.quote(str(output / 'tensorboard'))}"
        "  (means and bands: Custom Scalars)"
    )


def _write(comparison: Comparison, title: str) -> None:
    from seq2seq_lab.compare.report import page as report
    from seq2seq_lab.compare.views import figures, plots, tensorboard  # late, for these load slowly

    output, groups, metrics = comparison.output, comparison.groups, comparison.metrics
    measured = list(dict.fromkeys(metric for run in comparison.runs for metric in run.curves))
    drawn = [plots.curves(groups, metrics), *plots.sweeps(groups, metrics)]
    drawn = [plot for plot in drawn if plot.panels]
    try:
        write_text(output / "results.csv", table.results_csv(comparison.runs, groups, measured))
        write_text(output / "summary.csv", table.summary_csv(groups, measured))
        write_text(output / "pairs.csv", table.pairs_csv(comparison.pairs))
        for plot in drawn:
            figures.save(plot, output)
        figures.discard("sweep-", output, keep={plot.name for plot in drawn})
        tensorboard.write(groups, output / "tensorboard")
        contents = report.Contents(
            title=title,
            runs=comparison.runs,
            groups=groups,
            metrics=metrics,
            pairs=comparison.shown_pairs,
            plots=drawn,
            notes=comparison.notes,
            caveats=comparison.caveats,
        )
        write_text(output / "report.html", report.page(contents))
    except OSError as error:
        raise UserError(
            f"{output}: cannot be written ({error.strerror}); give another folder by --output"
        ) from None


def _print(text: str, stream: TextIO) -> None:
    """Print to a stream, in what characters it has."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    for sign, plain in (("±", "+/-"), ("→", "->"), ("↑", "^"), ("↓", "v"), ("–", "-"), ("·", "-")):
        if sign.encode(encoding, errors="ignore") == b"":
            text = text.replace(sign, plain)
    try:
        print(text.encode(encoding, errors="replace").decode(encoding), file=stream, flush=True)
    except BrokenPipeError:  # whoever read it, as `head`, has seen enough; the files are written all the same
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
