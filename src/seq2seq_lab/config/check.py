"""From a composed configuration to objects, with every mistake named by its key before any work is done.

`cfg` goes no further than here and `train.py`: what it names is built by plain constructors.
"""

import difflib
import inspect
import pkgutil
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypedDict, get_args, get_origin, get_type_hints, is_typeddict

from omegaconf import DictConfig, OmegaConf

from seq2seq_lab.errors import UserError

Node = Mapping[str, Any]
# The groups of which a run takes one option each.
GROUPS = ("data", "model", "forcing", "optimizer", "trainer", "logger", "callbacks")
_OF_HYDRA = ("_target_", "_partial_", "_args_", "_recursive_", "_convert_")


def config_dir() -> Path:
    """The configuration's folder: the package's copy where it is installed, else the checkout's `conf`."""
    package = Path(__file__).parents[1]
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


def nearest(word: str, candidates: Iterable[str], before: str = "") -> str:
    """A suggestion to put behind an unknown word, told with `before`; empty where nothing is like it."""
    close = difflib.get_close_matches(word, list(candidates), n=1)
    return f"; did you mean {before}{close[0]}?" if close else ""


class Monitor(TypedDict):
    """The metric that tells the best checkpoint."""

    metric: str
    mode: Literal["min", "max"]


class Reference(TypedDict):
    """A curve of a CSV file that a run is shown beside."""

    file: str
    curve: str
    metric: str


class Root(TypedDict):
    """The keys of a configuration that belong to no group, and their types."""

    seed: int
    name: str | None
    output_dir: str
    fresh: bool
    compare: bool
    threads: int | None
    gradient_clip: float | None
    monitor: Monitor
    reference: Reference | None


def check(config: Node) -> None:
    """Hold the root's keys against their types, and every node with a `_target_` against its signature.

    Raises:
        UserError: a key is missing, a target cannot be imported or has no parameter of a key's name, or a value
            is of another type or out of its range.
    """
    _check_keys(config, Root, "")
    known = [*get_type_hints(Root), *GROUPS, "loader", "choices"]
    for key in config:
        if key not in known:
            raise UserError(f"{key}: no such key{nearest(key, known)}")
    for group in (*GROUPS, "loader"):
        _check_group(config, group)
    for key, least in (("seed", 0), ("threads", 1)):
        if config[key] is not None and config[key] < least:
            raise UserError(f"{key}: {config[key]} is less than {least}")
    if config["gradient_clip"] is not None and config["gradient_clip"] <= 0:
        raise UserError(f"gradient_clip: {config['gradient_clip']} is not positive; null does not clip")
    for key in ("max_epochs", "check_val_every_n_epoch"):  # which Lightning takes and makes nothing of
        if config["trainer"].get(key) == 0:
            raise UserError(f"trainer.{key}: it must be at least 1, got 0")
    if not config["output_dir"]:
        raise UserError("output_dir: it is empty; it should name the folder that runs go to")
    name = config["name"]
    if name is not None and (not name.strip() or Path(name).is_absolute() or ".." in Path(name).parts):
        raise UserError(f"name: {name!r} is not the path of a folder below output_dir, such as my/run")
    check_node(config, "")


def _check_keys(config: Node, keys: type, path: str) -> None:
    hints = get_type_hints(keys)
    for key, hint in hints.items():
        if key not in config:
            raise UserError(f"{path}{key}: it is missing; a run needs it")
        inner = next(filter(is_typeddict, (hint, *get_args(hint))), None)
        if inner and isinstance(config[key], Mapping):
            _check_keys(config[key], inner, f"{path}{key}.")
        elif inner and config[key] is not None:
            raise UserError(
                f"{path}{key}: {config[key]!r} is no set of keys; it has {', '.join(get_type_hints(inner))}"
            )
        else:
            _check_type(config[key], hint, f"{path}{key}")
    for key in config if path else ():
        if key not in hints:
            raise UserError(f"{path}{key}: no such key{nearest(key, hints)}")


def _check_group(config: Node, group: str) -> None:
    node = config.get(group)
    if not isinstance(node, Mapping):
        raise UserError(f"{group}: {node!r} is no set of keys; a run needs one")
    if group not in ("logger", "callbacks"):
        if "_target_" not in node:
            raise UserError(f"{group}._target_: it is missing; it should name what is to be built")
        return
    for name, member in node.items():
        if not isinstance(member, Mapping) or "_target_" not in member:
            raise UserError(f"{group}.{name}: it has no _target_; ~{group}.{name} leaves it out")


def check_node(config: Node, path: str) -> None:
    """Hold every node with a `_target_` in a configuration against the signature of what it names."""
    if "_target_" in config:
        _check_target(config, path)
    for key, value in config.items():
        if isinstance(value, Mapping):
            check_node(value, f"{path}.{key}" if path else key)


def _check_target(node: Node, path: str) -> None:
    target = _locate(node["_target_"], path)
    parameters = inspect.signature(target).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    hints = _hints(target)
    for key, value in node.items():
        if key in _OF_HYDRA:
            continue
        if key not in parameters and not takes_any:
            raise UserError(f"{path}.{key}: {node['_target_']} takes no {key}{nearest(key, parameters)}")
        if key in hints and not (isinstance(value, Mapping) and "_target_" in value):
            _check_type(value, hints[key], f"{path}.{key}")


def _locate(target: Any, path: str) -> Any:
    try:
        found = pkgutil.resolve_name(target)
    except Exception as error:
        raise UserError(f"{path}._target_: {target} cannot be imported: {first_line(error)}") from error
    if not callable(found):
        raise UserError(f"{path}._target_: {target} is no class or function")
    return found


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
        if get_origin(hint) is Literal:
            choice = " or ".join(map(repr, get_args(hint)))
            raise UserError(f"{key}: {value!r} is not {choice}") from error
        wanted = hint.__name__ if inspect.isclass(hint) else str(hint).replace("typing.", "")
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
    except Exception as error:
        return _reraise(error, path)


def _reraise(error: BaseException, path: str) -> None:
    if isinstance(error, UserError):
        raise error
    known = isinstance(error, ValueError | TypeError | ImportError)
    if known or type(error).__name__ == "MisconfigurationException":  # Lightning's, not worth its import here
        # Our own constructors' messages begin with the parameter's name.
        joint = "." if re.match(r"[a-z]\w* (must|is|in) ", first_line(error)) else ": "
        raise UserError(f"{path}{joint}{first_line(error)}") from error
    raise error
