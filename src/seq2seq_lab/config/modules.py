"""The user's own modules: those of the working folder that the user's configuration or `--trust` names.

The folder is not on `sys.path`, where every import looks: many libraries try to import modules that are not installed,
and a folder that somebody sent may have one of their names.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import FrameType, ModuleType
from typing import NamedTuple


class Named(NamedTuple):
    """The folder, and the modules in it that may be imported; to be sent to other processes."""

    folder: str
    names: frozenset[str]


class _Finder(MetaPathFinder):
    """Finds modules of a folder: those that are named, and those that a module found here imports.

    It is the last of the finders, so that no installed module is hidden.
    """

    def __init__(self) -> None:
        self.folder: str | None = None
        self.names: set[str] = set()
        self.found: set[str] = set()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if path is not None or self.folder is None or not (name in self.names or _importer() in self.found):
            return None
        if (spec := PathFinder.find_spec(name, [self.folder])) is not None:
            self.found.add(name)
        return spec


_finder = _Finder()


def set_folder(folder: Path) -> None:
    """The folder whose modules can be named: that in which the command was called."""
    if _finder not in sys.meta_path:
        sys.meta_path.append(_finder)
    if str(folder) != _finder.folder:
        _finder.folder = str(folder)
        _finder.names.clear()


def make_importable(target: str) -> None:
    """Let the module of a target be imported: it is in a configuration that the user wrote or trusts."""
    _finder.names.add(target.partition(".")[0])


def named() -> Named | None:
    """What another process needs to import the same modules."""
    return None if _finder.folder is None else Named(_finder.folder, frozenset(_finder.names))


def use(those: Named | None) -> None:
    """Make the modules that another process named importable in this one."""
    if those is not None:
        set_folder(Path(those.folder))
        _finder.names.update(those.names)


def blame(error: BaseException) -> str | None:
    """Where the user's own code raised an error, or called what raised it: the innermost such place, and its line.

    Returns:
        `my_part.py, line 8, in plan: TypeError: …`, and the line of the file; None: no such code is in the traceback.
    """
    frames = [
        (frame, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if _module(frame) in _finder.found
    ]
    if not frames:
        return None
    (place,) = traceback.StackSummary.extract(frames[-1:])
    said = traceback.format_exception_only(error)[-1].strip().partition("\n")[0]
    file = place.filename.removeprefix(f"{_finder.folder}{os.sep}")
    return f"{file}, line {place.lineno}, in {place.name}: {said}\n    {place.line}"


def _importer() -> str:
    """The top-level name of the module that imports: that of the first frame outside of the import system."""
    frame = sys._getframe(2)
    while frame.f_back is not None and _module(frame) in ("importlib", "_frozen_importlib"):
        frame = frame.f_back
    return _module(frame)


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
