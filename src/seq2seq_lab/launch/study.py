"""Where the study of a search is, what its trials share, and what is reported to it from the processes of its runs."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq_lab.config.trainer import most_epochs
from seq2seq_lab.errors import UserError
from seq2seq_lab.launch.config_file import followers
from seq2seq_lab.runs.identity import first_difference, identity

if TYPE_CHECKING:
    from optuna import Study

_FIXED = "fixed"  # an attribute of a study


def storage_of(text: str) -> Any:
    """The storage at an address, or in a file; it is made if there is none."""
    from optuna.storages import JournalStorage, get_storage
    from optuna.storages.journal import JournalFileBackend

    return get_storage(text) if "://" in text else JournalStorage(JournalFileBackend(text))


def existing(text: str) -> Any:
    """The storage, if there is one; it is only looked at."""
    from optuna.storages import RDBStorage
    from sqlalchemy import inspect, make_url

    if "://" not in text:
        return storage_of(text) if Path(text).exists() else None
    url = make_url(text)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        return None  # to connect would make the file
    storage = RDBStorage(text, skip_compatibility_check=True, skip_table_creation=True)
    return storage if inspect(storage.engine).has_table("studies") else None


@dataclass(frozen=True)
class Pruning:
    """Reports the values of a run's epochs to the study, from any process.

    Attributes:
        storage: of the study.
        study: its name.
        metric: whose value is reported.
        pruner: what decides, as a node.
    """

    storage: str
    study: str
    metric: str
    pruner: Mapping[str, Any]

    def __call__(self, trial: int) -> "_ShouldPrune":
        """What decides for the run of a trial."""
        return _ShouldPrune(self, trial)


@dataclass(frozen=True)
class _ShouldPrune:
    pruning: Pruning
    trial: int

    def __call__(self, scalars: Mapping[str, float], epoch: int) -> bool:
        import optuna
        from hydra.utils import instantiate

        its = self.pruning
        value = scalars.get(its.metric)
        if value is None or not math.isfinite(value):
            return False
        study = optuna.load_study(
            study_name=its.study, storage=storage_of(its.storage), pruner=instantiate(dict(its.pruner))
        )
        trial = optuna.Trial(study, study.trials[self.trial]._trial_id)
        trial.report(value, epoch)
        return trial.should_prune()


def fixed(config: Mapping[str, Any], searched: Iterable[str], seeds: Any) -> dict[str, Any]:
    """What all trials of a search share, as JSON has it.

    Args:
        config: of any trial.
        searched: the keys that are searched over; what follows them is left out, too.
        seeds: those of each trial.
    """
    kept = {"monitor": config["monitor"], "seeds": seeds} | identity(config)
    kept["trainer"]["max_epochs"] = most_epochs(config["trainer"])
    found: dict[str, Any] = json.loads(json.dumps(kept))
    keys = [key.lstrip("+").partition("@")[0].replace("/", ".") for key in searched]
    for key in [*keys, *(key for key, other in followers().items() if other in keys)]:
        _leave_out(found, key.split("."))
    return found


def _leave_out(node: dict[str, Any], path: Sequence[str]) -> None:
    """Remove a key below a node; of an item of a list, the list."""
    first, *rest = path
    if rest and isinstance(below := node.get(first), dict):
        _leave_out(below, rest)
    else:
        node.pop(first, None)


def note_fixed(study: "Study", shared: dict[str, Any], *, write: bool) -> None:
    """Note in a study what its trials share.

    The name of a study is made of what was written, which is the same where a file has been changed.

    Raises:
        UserError: trials that have a value, or go on, have other settings; they cannot be compared.
    """
    before = study.user_attrs.get(_FIXED)
    compared = any(each.value is not None or not each.state.is_finished() for each in study.trials)
    if before is not None and compared and (other := first_difference(before, shared)) is not None:
        raise UserError(
            f"hydra.sweeper.study_name: {study.study_name} has trials with another {other}; give this search another "
            "name"
        )
    if write and before != shared and not (before is None and compared):  # of an earlier version
        study.set_user_attr(_FIXED, shared)
