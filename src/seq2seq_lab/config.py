"""From a composed configuration to objects, with every mistake named by its key before any work is done.

`cfg` goes no further than here and `train.py`: what it names is built by plain constructors.
"""

import difflib
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_type_hints

from omegaconf import DictConfig, OmegaConf

from seq2seq_lab.errors import UserError

Node = Mapping[str, Any]
_OF_HYDRA = ("_target_", "_partial_", "_args_", "_recursive_", "_convert_")


def config_dir() -> Path:
    """The folder of the configuration: the package's copy where it is installed, else the checkout's `conf`."""
    package = Path(__file__).parent
    installed = package / "conf"
    return installed if installed.is_dir() else package.parents[1] / "conf"


def resolve(cfg: DictConfig) -> dict[str, Any]:
    """The configuration as plain containers, every interpolation replaced.

    Raises:
        UserError: an interpolation leads nowhere, or a mandatory value is missing.
    """
    from omegaconf.errors import OmegaConfBaseException

    try:
        return OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        raise UserError(
            f"{getattr(error, 'full_key', '') or 'configuration'}: {first_line(error)}"
        ) from error


def first_line(error: BaseException) -> str:
    """The part of a library's message that says what is wrong."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def nearest(word: str, candidates: Iterator[str] | list[str]) -> str:
    """A suggestion to put behind an unknown word; empty where nothing is like it."""
    close = difflib.get_close_matches(word, list(candidates), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def check(config: Node, path: str = "") -> None:
    """Hold every node that has a `_target_` against the signature of what it names.

    Raises:
        UserError: a target cannot be imported, has no parameter of a key's name, or gets a value of another type.
    """
    if "_target_" in config:
        _check_target(config, path)
    for key, value in config.items():
        if isinstance(value, Mapping):
            check(value, f"{path}.{key}" if path else key)


def _check_target(node: Node, path: str) -> None:
    target = _locate(node["_target_"], path)
    parameters = inspect.signature(target).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    hints = _hints(target)
    for key, value in node.items():
        if key in _OF_HYDRA:
            continue
        if key not in parameters and not takes_any:
            raise UserError(
                f"{path}.{key}: {node['_target_']} takes no {key}{nearest(key, list(parameters))}"
            )
        if key in hints and not (isinstance(value, Mapping) and "_target_" in value):
            _check_type(value, hints[key], f"{path}.{key}")


def _locate(target: str, path: str) -> Any:
    from hydra.utils import get_object

    try:
        return get_object(target)
    except Exception as error:
        raise UserError(f"{path}._target_: {target} cannot be imported: {first_line(error)}") from error


def _hints(target: Any) -> dict[str, Any]:
    try:
        return get_type_hints(target.__init__ if inspect.isclass(target) else target)
    except Exception:  # annotations that only a type checker can read
        return {}


def _check_type(value: Any, hint: Any, key: str) -> None:
    from typeguard import TypeCheckError, check_type

    try:
        check_type(value, hint)
    except TypeCheckError as error:
        wanted = (
            getattr(hint, "__name__", None) if inspect.isclass(hint) else str(hint).replace("typing.", "")
        )
        raise UserError(f"{key}: {value!r} is not of type {wanted}") from error
    except Exception:  # a hint that cannot be checked at run time says nothing
        return


def build(node: Node, path: str) -> Any:
    """Instantiate a node.

    Raises:
        UserError: the constructor refuses a value; its message begins with the name of the parameter.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    try:
        return instantiate(dict(node), _convert_="all")
    except InstantiationException as error:
        return _reraise(error.__cause__ or error, path)


def call(partial: Any, path: str, **arguments: Any) -> Any:
    """Call what a `_partial_` node built; errors as in `build`."""
    try:
        return partial(**arguments)
    except (ValueError, TypeError) as error:
        return _reraise(error, path)


def _reraise(error: BaseException, path: str) -> None:
    if isinstance(error, UserError):
        raise error
    if isinstance(error, ValueError | TypeError):
        raise UserError(f"{path}.{first_line(error)}") from error
    raise error


def explain(error: Exception) -> str | None:
    """What a mistake in a command line's overrides is, in a line or two; None for an error of another kind."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    if not isinstance(error, HydraException | OmegaConfBaseException):
        return None
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    cause = error.__cause__
    if lines and lines[0].startswith("Could not override '") and cause is not None:
        key = lines[0].split("'")[1]
        return f"{key}: no such key{_nearest_key(key)} (a new key is added with +{key}=…)"
    if "Could not find '" in str(error):
        wanted = str(error).split("Could not find '")[1].split("'")[0]
        group, _, option = wanted.rpartition("/")
        options = [path.stem for path in sorted((config_dir() / group).glob("*.yaml"))]
        shown = [name for name in options if not name.startswith("_")]
        folders = [path.name for path in sorted((config_dir() / group).glob("*")) if path.is_dir()]
        return (
            f"{group or 'override'}={option}: no such option{nearest(option, shown)}\n"
            f"options of {group}: {', '.join([*shown, *(f'{name}/…' for name in folders)])}"
        )
    return "\n".join(lines[:2])


def _nearest_key(key: str) -> str:
    """A key like `key` among those of the options' files: the likely meaning of a typo."""
    import yaml

    group, _, _ = key.partition(".")
    keys: set[str] = set()
    for path in [config_dir() / "train.yaml", *(config_dir() / group).glob("*.yaml")]:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        keys.update(_flat(content, "" if path.name == "train.yaml" else group))
    return nearest(key, sorted(keys))


def _flat(node: Any, path: str) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            below = f"{path}.{key}" if path else str(key)
            yield below
            yield from _flat(value, below)
