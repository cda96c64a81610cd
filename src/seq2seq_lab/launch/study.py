"""Where the study of a search is, and what is reported to it from the processes of its runs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


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
