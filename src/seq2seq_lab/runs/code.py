"""The user's own modules that a run is made of: their source is a part of what the run is."""

import ast
import hashlib
import importlib.util
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from seq2seq_lab.config.schema import CODE
from seq2seq_lab.config.tree import targets
from seq2seq_lab.runs.identity import identity
from seq2seq_lab.runs.run import Run

_HASH = 12
_PACKAGE = Path(__file__).parents[1]
_LIBRARY = tuple(Path(sysconfig.get_path(each)) for each in ("stdlib", "platstdlib"))
_INSTALLED = ("site-packages", "dist-packages")
# Module → its specification as it was imported, and the source at that time: what is edited later does not run.
_sources: dict[str, tuple[ModuleSpec | None, bytes]] = {}


def own_code(config: Mapping[str, Any]) -> dict[str, str]:
    """Module → hash of its source: those that the configuration names, which are imported, and what they import.

    Only modules of the user: none of this package, of Python's library, or that are installed.
    """
    found: dict[str, str] = {}
    left = [_module_of(str(target)) for _, target in targets(identity(config))]
    while left:
        name = left.pop()
        if name in found or (spec := _own(name)) is None:
            continue
        source = _source(name, spec)
        found[name] = hashlib.sha256(source.replace(b"\r\n", b"\n")).hexdigest()[:_HASH]
        left += _imported(source, name, is_package=spec.submodule_search_locations is not None)
    return dict(sorted(found.items()))


def changed_code(run: Run, config: Mapping[str, Any]) -> list[str]:
    """The modules whose source differs, where a run differs from a configuration in nothing else; else empty."""
    key = run.difference(config)
    if key is None or key.partition(".")[0] != CODE:
        return []
    there, here = run.config().get(CODE) or {}, config.get(CODE) or {}
    return sorted(name for name in {*there, *here} if there.get(name) != here.get(name))


def say_changed(run: Run, modules: Sequence[str], now: Path) -> None:
    """Say that a run is not gone on with, as its code changed, and where the run of now is."""
    files = ", ".join(f"{name.replace('.', '/')}.py" for name in modules)
    print(
        f"{files} changed since {run.folder} was trained, which stays as it is; the run of now is {now}",
        flush=True,
    )


def came_to_nothing(run: Run) -> bool:
    """Whether a run has learnt nothing yet, as its code failed at once."""
    return not run.curves() and not run.last_checkpoint.exists() and not run.kept_checkpoints


def _module_of(target: str) -> str:
    """The module of a dotted name: its longest part that is imported."""
    name = target
    while name and name not in sys.modules:
        name = name.rpartition(".")[0]
    return name


def _own(name: str) -> ModuleSpec | None:
    """The specification of a module of the user; None for any other."""
    top = name.partition(".")[0]
    for each in dict.fromkeys((top, name)):  # a library is not imported to look for a part of it
        try:
            module = sys.modules.get(each)
            spec = module.__spec__ if module else importlib.util.find_spec(each)
        except Exception:  # what a module that is imported on the way raises
            return None
        if spec is None or not _is_own(spec):
            return None
    return spec


def _is_own(spec: ModuleSpec) -> bool:
    if spec.origin is None:
        return spec.submodule_search_locations is not None  # a folder without __init__.py
    path = Path(spec.origin)
    outside = not any(path.is_relative_to(folder) for folder in (_PACKAGE, *_LIBRARY))
    return path.suffix == ".py" and outside and not set(_INSTALLED) & set(path.parts)


def _source(name: str, spec: ModuleSpec) -> bytes:
    known = _sources.get(name)
    if known is None or known[0] is not spec:
        try:
            source = Path(spec.origin).read_bytes() if spec.origin else b""
        except OSError:
            source = b""
        known = _sources[name] = spec, source
    return known[1]


def _imported(source: bytes, module: str, *, is_package: bool) -> list[str]:
    """The modules that a source may import, by its statements; those in functions too."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError):
        return []
    package = module if is_package else module.rpartition(".")[0]
    found = []
    for node in nodes:
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *([base] if base else [])])
            found += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    parts = [name.split(".") for name in found if name]
    return [".".join(part[:end]) for part in parts for end in range(1, len(part) + 1)]
