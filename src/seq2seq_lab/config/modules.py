"""The user's own modules: those of the working folder, where the user's configuration or `--trust` names one."""

import importlib.util
import sys
from pathlib import Path

_folder: Path | None = None  # where the command was called


def set_folder(folder: Path) -> None:
    """The folder whose modules can be named; it is not on `sys.path`, so that no library finds its own there."""
    global _folder
    _folder = folder


def make_importable(target: str) -> None:
    """Let a module of the folder be imported, as the target of a configuration that the user wrote or trusts.

    A module of its name that is installed comes first. The folder is then on `sys.path`, at its end, since such a module
    may import others beside it.
    """
    name = target.partition(".")[0]
    if _folder is None or str(_folder) in sys.path or name in sys.modules:
        return
    try:
        installed = importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return
    if not installed and ((_folder / f"{name}.py").is_file() or (_folder / name).is_dir()):
        sys.path.append(str(_folder))
