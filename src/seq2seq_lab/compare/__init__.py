"""Comparison of runs: reads folders; writes a table, plots, a report and TensorBoard runs."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seq2seq_lab.compare.comparison import Comparison, compare, gather

__all__ = ["Comparison", "compare", "gather"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from seq2seq_lab.compare import comparison  # imported here, as every command imports this package

    return getattr(comparison, name)
