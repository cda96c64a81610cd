"""Hydra reads and merges the files of all options for each command; for tests, once for each set of choices.

Three functions of Hydra depend on the files and the choices alone: what reads a file, what lists the files, and what
merges them. Their results are kept, and copied. The values of keys come after them, as ever. `test_sweeper` compares.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.defaults_list import DefaultsList, Overrides
from hydra.core.override_parser.types import Override

from seq2seq_lab.config.options import config_dir

HYDRA = (
    (ConfigRepository, "load_config", ConfigRepository.load_config),
    (config_loader_impl, "create_defaults_list", config_loader_impl.create_defaults_list),
    (
        ConfigLoaderImpl,
        "_compose_config_from_defaults_list",
        ConfigLoaderImpl._compose_config_from_defaults_list,
    ),
)
(_read, _list, _merge) = (function for *_, function in HYDRA)

_files: dict[Any, Any] = {}
_lists: dict[Any, DefaultsList] = {}
_merged: dict[int, Any] = {}  # by the identity of a list that is kept; None: not merged yet


def compose_once() -> None:
    """Keep what Hydra composes of the options of this package; those of the user may change."""
    _use(_file, _files_of, _config)


@contextmanager
def anew() -> Iterator[None]:
    """Let Hydra do as it does."""
    _use(_read, _list, _merge)
    try:
        yield
    finally:
        compose_once()


def _use(*functions: Any) -> None:
    for (owner, name, _), function in zip(HYDRA, functions, strict=True):
        setattr(owner, name, function)


def _sources(repository: Any) -> tuple[tuple[str, str], ...] | None:
    """Where options are looked for; None if some of them are the user's."""
    sources = tuple((each.scheme(), each.path) for each in repository.get_sources())
    ours = all(scheme != "file" or path == str(config_dir()) for scheme, path in sources)
    return sources if ours else None


def _file(repository: Any, config_path: str) -> Any:
    sources = _sources(repository)
    if sources is None:
        return _read(repository, config_path)
    key = (sources, config_path)
    if key not in _files:
        _files[key] = _read(repository, config_path)
    found = copy.copy(_files[key])
    if found is not None:
        found.config = copy.deepcopy(found.config)
    return found


def _files_of(
    repo: Any, config_name: Any, overrides_list: list[Override], prepend_hydra: bool, skip_missing: bool
) -> DefaultsList:
    sources = _sources(repo)
    if sources is None:
        return _list(repo, config_name, overrides_list, prepend_hydra, skip_missing)
    keys = Overrides(repo, overrides_list).config_overrides
    choices = tuple(each.input_line for each in overrides_list if not any(each is key for key in keys))
    key = (sources, config_name, choices, prepend_hydra, skip_missing)
    if key not in _lists:
        _lists[key] = _list(repo, config_name, overrides_list, prepend_hydra, skip_missing)
        _merged[id(_lists[key].defaults)] = None
    kept = _lists[key]
    return DefaultsList(kept.defaults, kept.defaults_tree, keys, kept.overrides)


def _config(loader: Any, defaults: list[Any], repo: Any) -> Any:
    if id(defaults) not in _merged:
        return _merge(loader, defaults, repo)
    if _merged[id(defaults)] is None:
        _merged[id(defaults)] = _merge(loader, defaults, repo)
    return copy.deepcopy(_merged[id(defaults)])
