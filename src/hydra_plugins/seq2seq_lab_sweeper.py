"""Hydra's plug-in of this package. Hydra finds plug-ins by this folder, `hydra_plugins`, which has no `__init__.py`."""

from collections.abc import Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


class _ComposedOnce:
    """A loader of configurations that keeps what it composes until it is asked for it again.

    Hydra composes the configuration of each job twice: to check all of them before the first is launched, and for its
    launch. That takes most of the time of a sweep whose runs are finished.
    """

    def __init__(self, loader: ConfigLoader) -> None:
        self._loader = loader
        self._kept: dict[tuple[str, ...], DictConfig] = {}

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        key = tuple(sweep_overrides)
        if key in self._kept:
            return self._kept.pop(key)
        return self._kept.setdefault(key, self._loader.load_sweep_config(master_config, sweep_overrides))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def __reduce__(self) -> tuple[Any, ...]:
        """A launcher's job in another process composes what it needs itself."""
        return _same, (self._loader,)


def _same(loader: ConfigLoader) -> ConfigLoader:
    return loader


class Sweeper(BasicSweeper):
    """Hydra's basic sweeper, which composes each configuration once, and checks all of them before the first job.

    Args:
        max_batch_size: as of the basic sweeper.
        params: as of the basic sweeper, key → values.
        zip: groups of keys whose values are taken in step; or one group.
        sweeps: the further overrides of each of several sweeps, which are joined.
    """

    def __init__(self, max_batch_size: int | None, params: Any, zip: Any, sweeps: Any) -> None:
        super().__init__(max_batch_size, params)
        groups = _plain(zip)
        self.zip = [groups] if groups and isinstance(groups[0], str) else groups
        self.sweeps = _plain(sweeps)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Set up the sweeper and its launcher."""
        loader: Any = _ComposedOnce(hydra_context.config_loader)
        self.loader = loader
        context = HydraContext(config_loader=loader, callbacks=hydra_context.callbacks)
        super().setup(hydra_context=context, task_function=task_function, config=config)
        self.job: Any = task_function

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
        parser = OverridesParser.create(config_loader=self.loader)
        given = [*self._parse_config(), *arguments]
        Study(self.job, given, parser.parse_overrides, self._composed, self._launch, nodes).run()

    def _launch(self, jobs: Sequence[Sequence[str]], first: int) -> Sequence[Any]:
        returns: Sequence[Any] = self.launcher.launch(jobs, initial_job_idx=first)  # type: ignore[union-attr]
        return returns


def _container(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _plain(value: Any) -> list[Any]:
    return list(_container(value) or [])
