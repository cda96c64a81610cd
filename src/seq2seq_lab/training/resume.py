"""What a run starts from: its own checkpoint, the weights of another run, or random weights.

A run that goes on is restored in this order, and each step needs those before it:

1. `Start`: is it the same run, not longer than what is asked for, and is it finished? Asked first, as a finished run
   then costs nothing.
2. `Start.load`: the same sentence pairs, the same length where the policy follows it, and a checkpoint that can be read
   and fits the model. Nothing has been written so far, so whatever is wrong leaves the run as it is.
3. `Start.open_folder`, in the run's lock: no other process has trained it meanwhile. What TensorBoard was told after
   the checkpoint's epoch is removed before a logger adds to it. Then the files of the run are written; the summary
   keeps what was reached.
4. Lightning, as it fits: the weights, the optimizer and the counts of epochs and steps; of callbacks the table of
   scalars, the best score and the global random generators; of the module the sums of an epoch that was cut short.
   Draws of training need no state: each belongs to its seed, epoch, pair and position.
5. `EpochScalars.on_train_start`: trackers that begin anew in each process are told all epochs again, TensorBoard
   those that were trained with another logger.
"""

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seq2seq_lab import __version__
from seq2seq_lab.config.trainer import most_epochs
from seq2seq_lab.data.datamodule import TranslationDataModule
from seq2seq_lab.errors import UserError, counted
from seq2seq_lab.forcing.plan import Pairs
from seq2seq_lab.runs.checkpoint import epoch_of, read_checkpoint, shapes
from seq2seq_lab.runs.code import came_to_nothing, changed_code
from seq2seq_lab.runs.events import discard_after
from seq2seq_lab.runs.identity import first_difference
from seq2seq_lab.runs.load import start_from
from seq2seq_lab.runs.naming import derived_name
from seq2seq_lab.runs.read import has_same_parts
from seq2seq_lab.runs.run import Run
from seq2seq_lab.runs.used import trained_again, used_runs
from seq2seq_lab.training.module import TranslationModule

# The earlier versions whose runs go on with this one, as it can read their checkpoints.
_GOES_ON = ("0.2",)


class Start:
    """What a run starts from; see above.

    Args:
        run: that is to be trained.
        config: its configuration.

    Attributes:
        resumed: whether the folder contains this run, which goes on or is finished.
        before: its summary before; empty if there is none.
        identity: a code by which trackers know the run; a run that is trained again gets another.
        checkpoint: the one that it goes on from; None: it has none, or `load` was not called.
        init_from: what the summary says of the run whose weights it started from; None: of none.

    Raises:
        UserError: the folder contains another run, or more epochs of this one.
    """

    def __init__(self, run: Run, config: Mapping[str, Any]) -> None:
        self.run = run
        self.config = config
        self.resumed = _is_same(run, config)
        if self.resumed:
            self._check_epochs()
        self.before = run.summary()
        self.identity = str((self.resumed and self.before.get("identity")) or uuid.uuid4().hex[:16])
        self.checkpoint: Path | None = None
        self.init_from: Mapping[str, Any] | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing is left to train; an early stop is not changed by more epochs."""
        there, here = (most_epochs(each["trainer"]) for each in (self._there, self.config))
        longer = there is not None and (here is None or here > there) and self.before.get("stopped") is None
        return self.resumed and self.before.get("status") == "finished" and not longer

    @property
    def has_other_length(self) -> bool:
        """Whether the folder contains this run with another number of epochs."""
        there, here = (each["trainer"].get("max_epochs") for each in (self._there, self.config))
        return bool(there != here)

    @property
    def seconds(self) -> float:
        """Seconds that it was trained for, up to the checkpoint."""
        return float(self.before.get("seconds", 0.0)) if self.checkpoint else 0.0

    @property
    def _there(self) -> Mapping[str, Any]:
        return self.run.config() if self.resumed else self.config

    def unused(self) -> list[str]:
        """What a command asks for that a finished run does not get, and why: a line for each."""
        lines = self.trained_again()
        if self.config["logger"] != self._there.get("logger"):
            trackers = self.config["choices"]["logger"]
            lines.append(f"logger={trackers} is not used: loggers are told of a run while it trains")
        if self.config["reference"] not in (None, self._there.get("reference")):
            lines.append(
                "reference is not used: its curve is noted while a run trains; compare has --reference"
            )
        derived = derived_name(self.config["choices"], self.config)  # so it was not asked for
        if self.config["name"] not in (self._there.get("name"), derived):
            lines.append(
                f"name={self.config['name']} is not used: equal settings are the same run; its folder may be renamed"
            )
        return lines

    def trained_again(self) -> list[str]:
        """A line for each run that was trained again since this run, which goes on or is finished, used it."""
        return trained_again(self.before, self.config) if self.resumed else []

    def load(self, module: TranslationModule, data: TranslationDataModule) -> None:
        """Choose the checkpoint; without one, give the model the weights of the run that `init_from` names.

        Raises:
            UserError: this would not be the same run, or there is no checkpoint that can be read and fits.
        """
        if self.resumed:
            self._check_pairs(data)
            self.check_length(module, data)
            self.checkpoint = _find_checkpoint(self.run, module)
            self._check_begun()
        if self.checkpoint is not None:
            self.init_from = self.before.get("init_from")
        elif self.config["init_from"] is not None:
            self.init_from = start_from(
                self.config["init_from"],
                module.model,
                {"source": data.corpus.source_vocabulary, "target": data.corpus.target_vocabulary},
                self.config,
                which=self.config["init_from_checkpoint"],
            )

    def _check_epochs(self) -> None:
        most = most_epochs(self.config["trainer"])
        if most is not None and most < self.run.epochs:
            raise UserError(
                f"{self.run.folder}: {self.run.epochs} epochs of it are trained, more than trainer.max_epochs={most}; "
                "give at least as many, another output_dir=…, or begin anew with fresh=true"
            )

    def _check_begun(self) -> None:
        """Refuse what would lose results: an epoch beyond the last one has begun, or a finished run cannot go on."""
        most = most_epochs(self.config["trainer"])
        begun = None if self.checkpoint is None else epoch_of(self.checkpoint)
        if most is not None and begun is not None and most < begun:
            raise UserError(
                f"{self.run.folder}: it was interrupted in epoch {begun}, beyond trainer.max_epochs={most}; give at "
                "least as many, another output_dir=…, or begin anew with fresh=true"
            )
        if self.checkpoint is None and self.run.finished:
            raise UserError(
                f"{self.run.folder}: it is finished after {counted(self.run.epochs, 'epoch')}, and has no last "
                "checkpoint to go on from; give another output_dir=…, or begin anew with fresh=true"
            )

    def open_folder(self, own: Run, data: TranslationDataModule, **facts: Any) -> None:
        """Write the files of the run, which must be locked.

        Args:
            own: where this process writes: the run, or for another one of its processes a folder of that one's.
            data: that it trains on.
            **facts: of `Run.begin`.

        Raises:
            UserError: another process has trained it meanwhile.
        """
        if own is self.run and self.run.summary() != self.before:
            raise UserError(
                f"{self.run.folder} was just trained by another process; run the same command again to resume it"
            )
        if self.checkpoint is None:
            own.clear()
        else:
            discard_after(own.folder, *_reached(self.checkpoint))
        own.begin(
            self.config,
            data.corpus,
            max_length=data.max_length,
            loss_floor=data.loss_floor,
            init_from=self.init_from,
            used=self.before.get("used") if self.checkpoint else used_runs(self.config),
            identity=self.identity,
            goes_on=self.checkpoint is not None,
            **facts,
        )
        trained_by = self.before.get("version", __version__)
        if self.checkpoint is not None and _minor(trained_by) != _minor(__version__):
            print(
                f"{self.run.folder}: trained by version {trained_by} so far, and by {__version__} from here on"
            )

    def _check_pairs(self, data: TranslationDataModule) -> None:
        known, ours = self.before.get("corpus", {}), data.corpus  # nothing in a damaged summary
        if known.get("fingerprint") not in (None, ours.fingerprint) or not has_same_parts(known, ours):
            raise UserError(f"{self.run.folder} was started on different pairs; use fresh=true to replace it")

    def check_length(self, module: TranslationModule, data: TranslationDataModule) -> None:
        """Refuse to change the number of epochs of a run whose schedules follow it.

        Raises:
            UserError: so it is.
        """
        if self.has_other_length and follows_end(module, data):
            there, here = (each["trainer"].get("max_epochs") for each in (self._there, self.config))
            raise UserError(
                f"{self.run.folder}: a schedule of it is spread over {there} epochs; give a run of {here} epochs "
                "another output_dir=…, or replace this one with fresh=true"
            )


def _minor(version: Any) -> str:
    return ".".join(str(version).split(".")[:2])


def _is_same(run: Run, config: Mapping[str, Any]) -> bool:
    """Whether the folder contains this run."""
    if config["fresh"] or not run.exists():
        return False
    version = str(run.summary().get("version", __version__))
    if _minor(version) not in (_minor(__version__), *_GOES_ON):
        raise UserError(
            f"{run.folder} was trained by version {version}, which draws other random numbers than {__version__}; give "
            "this run a name=… of its own, or replace the other with fresh=true"
        )
    if changed_code(run, config) and came_to_nothing(run):
        return False
    if (key := run.difference(config)) is not None:
        raise UserError(
            f"{run.folder} contains another run (it differs in {key}); give this one another name=…, or replace "
            "it with fresh=true"
        )
    return True


def _find_checkpoint(run: Run, module: TranslationModule) -> Path | None:
    """The checkpoint that an interrupted run resumes from: the last or, if it is damaged, the one before it."""
    paths = [path for path in (run.last_checkpoint, run.previous_checkpoint) if path.exists()]
    for path in paths:
        try:
            contents = read_checkpoint(path)
            if "callbacks" not in contents:
                raise UserError(
                    f"{path}: it has the weights alone, and no run goes on from these; train again with fresh=true"
                )
            found = shapes(contents["state_dict"])
            if (weight := first_difference(shapes(module.state_dict()), found)) is not None:
                raise UserError(
                    f"{path}: of another model (it differs in {weight}); train again with fresh=true"
                )
        except UserError as error:
            if path == paths[-1]:
                raise
            print(f"{error}; going on from {paths[-1].name}, the checkpoint before it")
        else:
            return path
    return None


def _reached(checkpoint: Path) -> tuple[int, int, set[str]]:
    """The last epoch that a checkpoint has the results of, Lightning's steps before it, and the names of results."""
    try:
        contents = read_checkpoint(checkpoint)
        rows = contents["callbacks"]["EpochScalars"]["rows"]
        epoch = int(rows[-1]["epoch"]) if rows else 0
        return epoch, int(contents["global_step"]), {name for row in rows for name in row}
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{checkpoint}: damaged; copy it again, or train again with fresh=true") from error


class _EndAskedFor(Exception):  # noqa: N818, as it is not an error
    pass


class _Endless(Pairs):
    """Pairs of a training whose end nobody may ask for."""

    @property
    def updates(self) -> int:
        raise _EndAskedFor

    @property
    def epochs(self) -> int:
        raise _EndAskedFor


def follows_end(module: TranslationModule, data: TranslationDataModule) -> bool:
    """Whether the policy, target or objective depends on the number of epochs, as a schedule does."""
    block = data.block(data.training[:1])
    try:
        module.plan(_Endless(*module.pairs(block, epoch=0, epochs=1)))
    except _EndAskedFor:
        return True
    return False
