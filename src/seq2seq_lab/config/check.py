"""Checks of a composed configuration, before any work is done: the message about every error names the key."""

import inspect
import math
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints, is_typeddict

from seq2seq_lab.config.modules import make_importable
from seq2seq_lab.config.options import groups
from seq2seq_lab.config.schema import CHOICES, GROUPS, NODES, SETS, Root
from seq2seq_lab.config.trust import interpolation
from seq2seq_lab.errors import UserError, first_line, nearest

Node = Mapping[str, Any]
# Lightning's own settings that a run does not follow: key → (the values that change nothing, what to write instead).
_REFUSED: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "gradient_clip_val": ((None,), "write gradient_clip=…"),
    "gradient_clip_algorithm": ((None, "norm"), "write gradient_clip=…, which limits the norm"),
    "accumulate_grad_batches": ((1,), "write loader.batch_size=…, the pairs of an update"),
    "val_check_interval": (
        (None, 1.0),
        "a run is evaluated at the end of epochs; write trainer.check_val_every_n_epoch=…",
    ),
    "strategy": (
        ("auto", "ddp"),
        "write trainer=ddp for several devices; several runs at once are a sweep's",
    ),
    "num_nodes": ((1,), "a run trains on one machine; several runs at once are a sweep's"),
    "reload_dataloaders_every_n_epochs": ((0,), "the loader draws a new order each epoch; leave it out"),
    "barebones": ((False,), "write callbacks=none logger=none"),
}
_OF_HYDRA = ("_target_", "_partial_", "_args_", "_recursive_", "_convert_")


def check(config: Node) -> None:
    """Check the root keys by their types, and every node with a `_target_` by the signature of what it names.

    Raises:
        UserError: a key is missing, a target cannot be imported or has no parameter of a key's name, or a value
            is of another type or out of its range.
    """
    _check_keys(config, Root, "")
    known = [*get_type_hints(Root), *GROUPS, *NODES, CHOICES]
    for key in config:
        if key not in known:
            raise UserError(f"{key}: no such key{nearest(key, known)}")
    for group in (*GROUPS, *NODES):
        _check_group(config, group)
    _check_ranges(config)
    if (path := interpolation(dict(config))) is not None:  # an escaped one; a run's file may have none
        raise UserError(f"{path}: it contains ${{, which a run's settings may not")
    check_node(config, "")


def check_data(config: Node) -> None:
    """Check what the command `data` uses: the source, the split, and what a model predicts.

    The loader's class is not imported, because PyTorch and Lightning take seconds to import.
    """
    for group in ("data", "split", "loader"):
        _check_group(config, group)
    for group in ("data", "split"):
        check_node(config[group], group)
    _check_type(config["loader"].get("predict_sos"), bool, "loader.predict_sos")


def _check_keys(config: Node, keys: type, path: str) -> None:
    hints = get_type_hints(keys)
    for key, hint in hints.items():
        if key not in config:
            raise UserError(f"{path}{key}: it is missing; a run needs it")
        inner = next(filter(is_typeddict, (hint, *get_args(hint))), None)
        if inner and isinstance(config[key], Mapping):
            _check_keys(config[key], inner, f"{path}{key}.")
        elif inner and config[key] is not None:
            parts = ", ".join(get_type_hints(inner))
            raise UserError(f"{path}{key}: {config[key]!r} is not a set of keys; it has {parts}")
        else:
            _check_type(config[key], hint, f"{path}{key}")
    for key in config if path else ():
        if key not in hints:
            raise UserError(f"{path}{key}: no such key{nearest(key, hints)}")


def _check_ranges(config: Node) -> None:
    for key, least in (("seed", 0), ("threads", 1)):
        if config[key] is not None and config[key] < least:
            raise UserError(f"{key}: {config[key]} is less than {least}")
    lr = config["optimizer"].get("lr", 1)
    if isinstance(lr, int | float) and not 0 < lr < math.inf:  # PyTorch takes NaN
        raise UserError(f"optimizer.lr must be positive and finite, got {lr}")
    if config["gradient_clip"] is not None and not config["gradient_clip"] > 0:  # NaN is not, either
        raise UserError(f"gradient_clip: {config['gradient_clip']} is not positive; null does not clip")
    for key in ("max_epochs", "check_val_every_n_epoch"):  # Lightning accepts 0 and does nothing
        if config["trainer"].get(key) == 0:
            raise UserError(f"trainer.{key}: it must be at least 1, got 0")
    for key, (harmless, instead) in _REFUSED.items():
        if key in config["trainer"] and config["trainer"][key] not in harmless:
            raise UserError(f"trainer.{key}: {config['trainer'][key]}; {instead}")
    if not config["output_dir"]:
        raise UserError("output_dir: it is empty; it should name the folder that runs go to")
    name = config["name"]
    if name is not None and (not name.strip() or Path(name).is_absolute() or ".." in Path(name).parts):
        raise UserError(f"name: {name!r} is not the path of a folder below output_dir, such as my/run")


def _check_group(config: Node, group: str) -> None:
    node = config.get(group)
    if not isinstance(node, Mapping):
        raise UserError(f"{group}: {node!r} is not a set of keys; a run needs one")
    if group not in SETS:
        if "_target_" not in node:
            raise UserError(f"{group}._target_: it is missing; it should name what is to be built")
        return
    for name, member in node.items():
        if not isinstance(member, Mapping) or "_target_" not in member:
            raise UserError(f"{group}.{name}: it has no _target_; ~{group}.{name} leaves it out")


def check_node(config: Node, path: str) -> None:
    """Check every node with a `_target_` in a configuration by the signature of what it names."""
    if "_target_" in config:
        _check_target(config, path)
    for key, value in config.items():
        if isinstance(value, Mapping):
            check_node(value, f"{path}.{key}" if path else key)


def _check_target(node: Node, path: str) -> None:
    target = _locate(node["_target_"], path)
    try:
        parameters = inspect.signature(target).parameters
    except ValueError as error:  # some classes of Python itself have none
        raise UserError(
            f"{path}._target_: {node['_target_']} has no signature to check its keys by"
        ) from error
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    hints = _hints(target)
    for key, value in node.items():
        if key in _OF_HYDRA:
            continue
        if key not in parameters and not takes_any:
            raise UserError(f"{path}.{key}: {node['_target_']} takes no {key}{nearest(key, parameters)}")
        if isinstance(value, str) and (group := f"{path}.{key}".replace(".", "/")) in groups():
            raise UserError(
                f"{path}.{key}: {value!r} is not a set of keys; an option is chosen by {group}={value}"
            )
        if key in hints and not (isinstance(value, Mapping) and "_target_" in value):
            _check_type(value, hints[key], f"{path}.{key}")


def _locate(target: Any, path: str) -> Any:
    try:
        make_importable(str(target))
        found = pkgutil.resolve_name(target)
    except Exception as error:
        raise UserError(f"{path}._target_: {target} cannot be imported: {first_line(error)}") from error
    if not callable(found):
        raise UserError(f"{path}._target_: {target} is not a class or function")
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
    except Exception:  # a hint that cannot be checked at run time
        return
