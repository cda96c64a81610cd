"""Hydra's plug-in of this package. Hydra finds plug-ins by this folder, `hydra_plugins`, which has no `__init__.py`."""

from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


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
    """Hydra's basic sweeper, which composes each configuration once."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Set up the sweeper and its launcher."""
        loader: Any = _ComposedOnce(hydra_context.config_loader)
        context = HydraContext(config_loader=loader, callbacks=hydra_context.callbacks)
        super().setup(hydra_context=context, task_function=task_function, config=config)
