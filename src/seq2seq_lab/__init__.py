"""seq2seq-lab: change how a sequence-to-sequence decoder is fed while it learns, and see what that did.

Tensors are batch-first. One legend for the shapes in every docstring:

    B  sentences of a batch
    S  source positions
    T  target positions
    E  embedding size
    H  hidden size
    V  words of a vocabulary
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.3.0"
__all__ = ["__version__", "load_run", "load_runs", "sweep"]

if TYPE_CHECKING:
    from seq2seq_lab.compare.frame import load_runs
    from seq2seq_lab.launch.notebook import sweep
    from seq2seq_lab.runs.loaded import load_run

_PUBLIC = {
    "load_run": "seq2seq_lab.runs.loaded",
    "load_runs": "seq2seq_lab.compare.frame",
    "sweep": "seq2seq_lab.launch.notebook",
}


def __getattr__(name: str) -> Any:
    """What a notebook needs, imported when it is asked for."""
    from importlib import import_module

    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
