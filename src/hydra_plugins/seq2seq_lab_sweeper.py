"""Hydra's plug-in of this package. Hydra finds plug-ins by this folder, `hydra_plugins`, which has no `__init__.py`."""

import copy
import uuid
from collections.abc import Sequence
from functools import cache
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

# By sweep, and then by choices. A worker of joblib gets a loader with each job, and keeps what it has composed here.
_COMPOSED: dict[str, dict[tuple[str, ...], DictConfig]] = {}


class _ComposedOnce:
    """A loader of configurations that composes each set of choices once.

    Jobs of a sweep mostly differ in values of keys. Hydra would read and merge all files of the choices again for each
    job, twice: that takes most of the time of a sweep whose runs are finished. What it composes from the choices is
    kept here. The values of keys come after it, by Hydra's own function and in its order: the result is the same.
    """

    def __init__(self, loader: ConfigLoaderImpl, sweep: str) -> None:
        self._loader = loader
        self._sweep = sweep
        self._groups: Any = None

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        overrides = [_parsed(each) for each in sweep_overrides]
        if any(each.is_hydra_override() for each in overrides):
            return self._loader.load_sweep_config(master_config, sweep_overrides)
        choices: list[Override] = []
        keys: list[Override] = []
        for each in overrides:
            (choices if self._is_choice(each, master_config) else keys).append(each)
        composed = _COMPOSED.setdefault(self._sweep, {})
        chosen = tuple(str(each.input_line) for each in choices)
        if chosen not in composed:
            composed[chosen] = self._loader.load_sweep_config(master_config, [*chosen])
        config = copy.deepcopy(composed[chosen])
        self._loader._apply_overrides_to_config(keys, config)
        config.hydra.overrides.task = sweep_overrides
        dirname = config.hydra.job.config.override_dirname
        config.hydra.job.override_dirname = get_overrides_dirname(
            overrides, kv_sep=dirname.kv_sep, item_sep=dirname.item_sep, exclude_keys=dirname.exclude_keys
        )
        OmegaConf.copy_cache(from_config=master_config, to_config=config)
        return config

    def _is_choice(self, override: Override, master_config: DictConfig) -> bool:
        if self._groups is None:
            hydra: Any = OmegaConf.to_container(master_config.hydra.overrides.hydra)
            _, self._groups = self._loader._parse_overrides_and_create_caching_repo(
                master_config.hydra.job.config_name, hydra
            )
        return self._groups.group_exists(override.key_or_group) and not isinstance(override.value(), dict)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def __reduce__(self) -> tuple[Any, ...]:
        return _ComposedOnce, (self._loader, self._sweep)


@cache
def _parsed(override: str) -> Override:
    return OverridesParser.create().parse_override(override)


class Sweeper(BasicSweeper):
    """Hydra's basic sweeper, which composes each set of choices once, and checks all of them before the first job.

    Args:
        max_batch_size: as of the basic sweeper.
        params: as of the basic sweeper, key → values.
        zip: groups of keys whose values are taken in step; or one group.
        sweeps: the further overrides of each of several sweeps, which are joined.
    """

    def __init__(self, max_batch_size: int | None, params: Any, zip: Any, sweeps: Any) -> None:
        super().__init__(max_batch_size, params)
        self.zip = _container(zip) or []

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Set up the sweeper and its launcher."""
        from seq2seq_lab.config.texts import unescaped
        from seq2seq_lab.errors import UserError

        own: Any = hydra_context.config_loader
        loader: Any = _ComposedOnce(own, uuid.uuid4().hex)
        self.loader = loader
        context = HydraContext(config_loader=loader, callbacks=hydra_context.callbacks)
        super().setup(hydra_context=context, task_function=task_function, config=config)
        self.job: Any = task_function
        if self.max_batch_size is not None and self.max_batch_size < 1:
            raise UserError(f"hydra.sweeper.max_batch_size: {self.max_batch_size} is less than 1")
        if isinstance(self.zip, list) and all(isinstance(each, str) for each in self.zip):
            self.zip = [self.zip] if self.zip else []
        self.zip = _lists("zip", self.zip, "[[seed,split.seed]]")
        # Not those of __init__: in them Hydra has put what `${…}` is without the values of a job.
        sweeps = _container(config.hydra.sweeper.get("sweeps"), resolve=False) or []
        sweeps = _lists("sweeps", sweeps, '[["forcing=full"],["forcing=mixed","seed=0,1"]]')
        self.sweeps = [[unescaped(str(each)) for each in further] for further in sweeps]

    def split_arguments(  # type: ignore[override]  # it is static there
        self, overrides: Sequence[Override], max_batch_size: int | None
    ) -> list[list[list[str]]]:
        """The jobs in batches, after each of them was composed and checked."""
        from seq2seq_lab.launch.combine import combined
        from seq2seq_lab.launch.plan import planned

        parser = OverridesParser.create(config_loader=self.loader)
        given = [str(override.input_line) for override in overrides]
        jobs = combined(given, parser.parse_overrides, zipped=self.zip, sweeps=self.sweeps)
        jobs = planned(self.job, jobs, self._composed)
        return list(self.split_overrides_to_chunks(jobs, max_batch_size)) if jobs else [[]]

    def _composed(self, overrides: Sequence[str]) -> DictConfig:
        composed: DictConfig = self.loader.load_sweep_config(self.config, list(overrides))
        return composed

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Nothing is left to check."""


class Search(Sweeper):
    """Optuna chooses the values of each trial; the arguments are the keys of `conf/hydra/sweeper/optuna.yaml`."""

    def __init__(self, params: Any, **settings: Any) -> None:
        super().__init__(None, params, None, None)
        self.settings = settings

    def sweep(self, arguments: list[str]) -> None:
        """Train the trials, and say which is the best."""
        from seq2seq_lab.launch.search import Search as Study

        nodes = {key: _container(value) for key, value in self.settings.items()}
        if nodes["n_jobs"] is None:
            nodes["n_jobs"] = self.job.jobs_at_once(self.config.hydra)  # type: ignore[union-attr]
        parser = OverridesParser.create(config_loader=self.loader)
        given = [*self._parse_config(), *arguments]
        Study(self.job, given, parser.parse_overrides, self._composed, self._launch, nodes).run()

    def _launch(self, jobs: Sequence[Sequence[str]], first: int) -> Sequence[Any]:
        returns: Sequence[Any] = self.launcher.launch(jobs, initial_job_idx=first)  # type: ignore[union-attr]
        return returns


def _lists(key: str, value: Any, example: str) -> list[list[Any]]:
    """A list of lists of texts, each with one at least.

    Raises:
        UserError: it is none.
    """
    from seq2seq_lab.errors import UserError

    lists: list[Any] = value if isinstance(value, list) else [None]
    if not all(
        isinstance(each, list) and each and all(isinstance(text, str) for text in each) for each in lists
    ):
        raise UserError(
            f"hydra.sweeper.{key}={value}: it must be a list of lists of texts, such as {example}"
        )
    return lists


def _container(value: Any, *, resolve: bool = True) -> Any:
    return OmegaConf.to_container(value, resolve=resolve) if OmegaConf.is_config(value) else value
