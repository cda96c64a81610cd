"""The first steps of a process: faster imports, and no modules of the working folder."""

import gc
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from typing import Any

_done: list[bool] = []  # not asked of the collector, which would count all frozen objects


@contextmanager
def imports() -> Iterator[None]:
    """Disable the garbage collector while large libraries are imported, as it would find nothing to collect.

    This saves a quarter of the time for importing PyTorch and Lightning, and the same time again at exit. It is done
    only once per process: if it were repeated between the runs of a sweep, the objects of the previous run would
    never be freed. TorchMetrics, which Lightning imports, is imported without what a run does not use of it.
    """
    if _done:
        yield
        return
    _done.append(True)
    gc.disable()
    try:
        _import_torchmetrics()
        yield
    finally:
        gc.freeze()
        gc.enable()


def _import_torchmetrics() -> None:
    """Import TorchMetrics without SciPy and Matplotlib, which take a third of the time before the first update.

    It uses them for metrics of sound, and for plots, which import Matplotlib when they are drawn.
    """
    if "torchmetrics" in sys.modules:
        return
    known: Any = import_module("lightning_utilities.core.imports")
    available, met = known.package_available, known.RequirementCache.__bool__
    later = ("scipy", "matplotlib")
    known.package_available = lambda name: name not in later and available(name)
    known.RequirementCache.__bool__ = lambda self: self.requirement not in later and met(self)
    try:
        plot: Any = import_module("torchmetrics.utilities.plot")
    finally:
        known.package_available, known.RequirementCache.__bool__ = available, met

    def import_now() -> None:
        import matplotlib.pyplot

        plot.matplotlib, plot.plt = matplotlib, matplotlib.pyplot

    plot._error_on_missing_matplotlib = import_now


def safe_path() -> AbstractContextManager[None]:
    """Other Python processes do not find modules in the working folder; Python puts it first on their `sys.path`."""
    return environment({"PYTHONSAFEPATH": "1"})


@contextmanager
def environment(values: Mapping[str, str | None]) -> Iterator[None]:
    """Give environment variables other values in a block; those that are None are not set there."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
