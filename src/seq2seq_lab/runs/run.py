"""A run on disk: all code that reads or writes a run uses the class `Run`."""

import hashlib
import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml

from seq2seq_lab import __version__
from seq2seq_lab.errors import UserError
from seq2seq_lab.files import TEMPORARY, write_text
from seq2seq_lab.runs import layout, provenance
from seq2seq_lab.runs.evaluations import Evaluated, read_evaluations
from seq2seq_lab.runs.foreign import check_contents
from seq2seq_lab.runs.identity import difference
from seq2seq_lab.runs.lock import locked
from seq2seq_lab.runs.outdated import checkpoint_epochs, outdated
from seq2seq_lab.runs.read import CorpusFacts, Curve, facts_of, read_config, read_metrics, read_summary
from seq2seq_lab.runs.reference import Reference

if TYPE_CHECKING:
    from seq2seq_lab.data.corpus import Corpus

FINISHED = "finished"
_FILES = ("_config", "_summary", "_metrics", "_evaluations", "evaluated")  # cached contents of the files


class Run:
    """A run's folder.

    A file is read when it is first needed, and read again after this object has written it or entered `lock`.

    Args:
        folder: the folder of the run; it may not exist yet.
        name: the name of the run in messages and tables; the path of the folder by default.
    """

    def __init__(self, folder: Path, name: str = "") -> None:
        self.folder = folder
        self.name = name or str(folder)

    @property
    def last_checkpoint(self) -> Path:
        """The checkpoint that the run is resumed from."""
        return self.folder / layout.CHECKPOINTS / layout.LAST

    @property
    def previous_checkpoint(self) -> Path:
        """The checkpoint before the last, in case that is damaged."""
        return self.folder / layout.CHECKPOINTS / layout.PREVIOUS

    @property
    def best_checkpoint(self) -> Path:
        """The checkpoint with the best value of the monitored metric."""
        return self.folder / layout.CHECKPOINTS / layout.BEST

    @property
    def kept_checkpoints(self) -> list[Path]:
        """The weights of earlier epochs that the run kept, in the order of the epochs."""
        return sorted((self.folder / layout.CHECKPOINTS).glob(layout.KEPT))

    def exists(self) -> bool:
        """Whether the folder contains a run."""
        return (self.folder / layout.CONFIG).exists()

    # Reading

    def config(self) -> dict[str, Any]:
        """The resolved configuration.

        Raises:
            UserError: the file cannot be read.
        """
        return self._config

    def summary(self) -> dict[str, Any]:
        """The summary; empty if the file is missing or damaged (see `status`)."""
        return self._summary[0]

    def curves(self) -> Mapping[str, Curve]:
        """Metric → epoch → value, from all complete lines of the file."""
        return self._metrics[0]

    @cached_property
    def _config(self) -> dict[str, Any]:
        try:
            return read_config(self.folder / layout.CONFIG, self.summary().get("config_sha256"))
        except ValueError as error:
            raise UserError(f"{self.name}: {error}") from None

    @cached_property
    def _summary(self) -> tuple[dict[str, Any], str]:
        return read_summary(self.folder / layout.SUMMARY)

    @cached_property
    def _metrics(self) -> tuple[dict[str, dict[int, float]], list[str]]:
        return read_metrics(self.folder / layout.METRICS)

    @property
    def evaluations(self) -> Mapping[str, Evaluated]:
        """Part of the data → what `seq2seq-lab evaluate` found there."""
        return self._evaluations[0]

    @cached_property
    def evaluated(self) -> Mapping[str, float]:
        """The metrics of the trained model, such as `test/bleu`, with one value each."""
        return {
            f"{part}/{name}": value
            for part, its in self.evaluations.items()
            for name, value in its.measures.items()
        }

    @cached_property
    def _evaluations(self) -> tuple[dict[str, Evaluated], list[str]]:
        found, notes = read_evaluations(self.folder / layout.EVALUATION)
        earlier = outdated(found, checkpoint_epochs(self.summary()))
        return {part: found[part] for part in found if part not in earlier}, [*notes, *earlier.values()]

    @property
    def status(self) -> str:
        """The status that the run wrote: running, finished, interrupted or failed; or what is wrong with its files."""
        status = self._summary[1]
        return "finished, but without a value" if status == FINISHED and not self.curves() else status

    @property
    def finished(self) -> bool:
        """Whether training is complete and the run has values."""
        return self.status == FINISHED

    @property
    def seed(self) -> int | None:
        """The seed of the run."""
        seed = self.config().get("seed")
        return seed if isinstance(seed, int) else None

    @property
    def epochs(self) -> int:
        """The last epoch that has a value; 0 if there is none."""
        return max((epoch for curve in self.curves().values() for epoch in curve), default=0)

    @property
    def corpus(self) -> CorpusFacts:
        """Facts about the pairs that the run was trained on."""
        return CorpusFacts.from_dict(self.summary().get("corpus"))

    @property
    def reference(self) -> Reference | None:
        """The reference curve that its configuration names."""
        return Reference.from_dict(self.summary().get("reference"))

    @property
    def started(self) -> float:
        """The start time, in seconds since 1970; the time of its configuration file if the summary has none."""
        try:
            return datetime.fromisoformat(self.summary()["started"]).timestamp()
        except (KeyError, TypeError, ValueError):
            return (self.folder / layout.CONFIG).stat().st_mtime

    @property
    def notes(self) -> list[str]:
        """Notes for the user about missing values."""
        if self.status == "running":
            return []  # the last line of a file may be incomplete while it is written
        notes = [*self._metrics[1], *self._evaluations[1]]
        if isinstance(caution := self.summary().get("caution"), str):
            notes.append(caution)
        expected = self.summary().get("epochs")
        if self.finished and isinstance(expected, int) and self.epochs < expected:
            notes.append(f"finished, but {layout.METRICS} ends at epoch {self.epochs} of {expected}")
        return notes

    def last(self, metric: str) -> float | None:
        """The value of the last epoch in which a metric was measured; of a trained model, its only value."""
        curve = self.curves().get(metric)
        return curve[max(curve)] if curve else self.evaluated.get(metric)

    def best(self, metric: str, better: Literal["lower", "higher"] | None) -> tuple[float, int] | None:
        """The best value of a metric and its epoch, of equal ones the last; None if neither direction is better."""
        if better is None:
            return None
        sign = 1 if better == "lower" else -1
        finite = [(v, e) for e, v in self.curves().get(metric, {}).items() if math.isfinite(v)]
        return min(finite, key=lambda point: (sign * point[0], -point[1])) if finite else None

    def difference(self, config: Mapping[str, Any]) -> str | None:
        """The first key in which this run differs from `config`; None if it is the same run."""
        return difference(self.config(), config)

    # Writing

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the folder, so that no other process trains in it.

        Raises:
            UserError: another process trains in it, or it has links to other places.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        check_contents(self.folder)
        with locked(self.folder / layout.LOCK):
            self._read_again()
            self._remove_temporary()
            yield

    def begin(
        self,
        config: Mapping[str, Any],
        corpus: "Corpus",
        *,
        max_length: int,
        loss_floor: float,
        measures: Mapping[str, Any] | None = None,
        reference: Mapping[str, Any] | None = None,
        init_from: Mapping[str, Any] | None = None,
        used: Mapping[str, Any] | None = None,
        command: str | None = None,
        identity: str | None = None,
        goes_on: bool = False,
    ) -> None:
        """Write the files of a new run, or of one that goes on; the folder is created if necessary.

        Args:
            config: the resolved configuration.
            corpus: that it trains on.
            max_length: positions that the model's hypotheses have at most.
            loss_floor: the training loss that no model can go below.
            measures: what it measures, as `evaluation.measures.to_dict` gives it.
            reference: the curve to show it beside, as `runs.reference.read_reference` gives it.
            init_from: the run that its weights started from, as `runs.load.start_from` gives it.
            used: the runs that it uses, as `runs.used.used_runs` gives them.
            command: the command line; that of this process by default.
            identity: a code by which trackers know the run.
            goes_on: whether it goes on from a checkpoint: its summary keeps what it has reached.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        vocabularies = {
            "source": corpus.source_vocabulary.to_list(),
            "target": corpus.target_vocabulary.to_list(),
            "units": [each.units.to_dict() for each in (corpus.source_vocabulary, corpus.target_vocabulary)],
            "normalise": asdict(corpus.normalise),
            "max_length": max_length,
        }
        text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
        write_text(self.folder / layout.VOCABULARIES, json.dumps(vocabularies, ensure_ascii=False))
        reached = {"epochs": 0, "last": {}, "best": {}, "seconds": 0.0}
        if goes_on:
            reached |= {key: self.summary()[key] for key in reached if key in self.summary()}
        self.write_summary(
            status="running",
            **reached
            | {"checkpoints": {}, "tested": None, "diverged": False},  # these are known when training ends
            version=__version__,
            commit=provenance.commit(),
            machine=provenance.machine(),
            command=command or provenance.command(),
            identity=identity,
            corpus=facts_of(corpus, loss_floor),
            measures=dict(measures or {}),
            reference=dict(reference) if reference else None,
            init_from=dict(init_from) if init_from else None,
            used=dict(used) if isinstance(used, Mapping) else {},
            started=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            config_sha256=hashlib.sha256(text.encode()).hexdigest(),
        )
        write_text(self.folder / layout.CONFIG, text)
        self._read_again()

    def write_summary(self, **changes: Any) -> None:
        """Change some entries of the summary."""
        summary = self.summary() | changes
        write_text(self.folder / layout.SUMMARY, json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
        self._read_again()

    def clear(self) -> None:
        """Remove the files of an earlier run; other files are kept. The folder must be locked."""
        of_tensorboard = (*self.folder.glob("events.out.tfevents.*"), self.folder / "hparams.yaml")
        for path in (*(self.folder / name for name in layout.OF_TRAINING), *of_tensorboard):
            path.unlink(missing_ok=True)
        evaluations = (self.folder / layout.EVALUATION).rglob("*.json*")
        checkpoints = (self.folder / layout.CHECKPOINTS).rglob("*.ckpt")
        for path in (*checkpoints, *evaluations):
            path.unlink(missing_ok=True)
        self._read_again()

    def _remove_temporary(self) -> None:
        """Remove the files that a killed process was writing; nobody else writes while the folder is locked."""
        for path in self.folder.rglob(TEMPORARY):
            path.unlink(missing_ok=True)

    def _read_again(self) -> None:
        for name in _FILES:
            self.__dict__.pop(name, None)
