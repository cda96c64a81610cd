"""Checks of a composed configuration, before any work is done: the message about every error names the key."""

import inspect
import math
import os
import pkgutil
import shlex
import shutil
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints, is_typeddict

from seq2seq_lab.config.modules import make_importable
from seq2seq_lab.config.options import groups
from seq2seq_lab.config.schema import CHOICES, CODE, EXPERIMENT, GROUPS, LONGEST_NAME, NODES, SETS, Root
from seq2seq_lab.config.trainer import check_trainer
from seq2seq_lab.config.tree import leaves
from seq2seq_lab.config.trust import interpolation
from seq2seq_lab.config.unknown import meant, meant_beside
from seq2seq_lab.errors import UserError, first_line, is_utf8, nearest

Node = Mapping[str, Any]
_MOST_THREADS = 1024  # with many more, the process cannot start them, and ends
_OF_HYDRA = ("_target_", "_partial_", "_args_", "_recursive_", "_convert_")


def check(config: Node) -> None:
    """Check the root keys by their types, and every node with a `_target_` by the signature of what it names.

    Raises:
        UserError: a key is missing, a target cannot be imported or has no parameter of a key's name, or a value
            is of another type or out of its range.
    """
    _check_keys(config, Root, "")
    _check_root(config)
    _check_type(config.get(CHOICES, {}), dict, CHOICES)
    for group, option in config.get(CHOICES, {}).items():  # a run's file may have been changed
        _check_type(option, str | None, f"{CHOICES}.{group}")
    for group in (*GROUPS, *NODES):
        _check_group(config, group)
    for key in ("batch_size", "predict_sos"):
        if key not in config["loader"]:
            raise UserError(f"loader.{key}: it is missing; a run needs it")
    _check_ranges(config)
    for key, value in leaves(config):
        if isinstance(value, str) and not is_utf8(value):
            raise UserError(f"{key}: {value!r} is not UTF-8")
    if (path := interpolation(dict(config))) is not None:  # an escaped one; a run's file may have none
        raise UserError(f"{path}: it contains ${{, which a run's settings may not")
    check_node(config, "")


def check_data(config: Node) -> None:
    """Check what the command `data` uses: the source, the split, and what a model predicts.

    The loader's class is not imported, because PyTorch and Lightning take seconds to import.
    """
    _check_root(config)
    for group in ("data", "split", "loader"):
        _check_group(config, group)
    for group in ("data", "split"):
        check_node(config[group], group)
    _check_type(config["loader"].get("predict_sos"), bool, "loader.predict_sos")


def _check_root(config: Node) -> None:
    known = [*get_type_hints(Root), *GROUPS, *NODES, CHOICES, CODE]
    for key in config:
        if key == EXPERIMENT:  # Hydra puts what a file says under the name of its group
            raise UserError(
                f"{EXPERIMENT}: the file of the experiment must begin with the line `# @package _global_`, without a "
                "byte-order mark before it"
            )
        if key not in known:
            raise UserError(
                f"{key}: no such key{meant(key, {each: config[each] for each in known if each in config})}"
            )


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
            raise UserError(f"{path}{key}: no such key{nearest(key, hints, path)}")


def _check_ranges(config: Node) -> None:
    for key, least in (("seed", 0), ("threads", 1), ("stop_after_failures", 1)):
        if config[key] is not None and config[key] < least:
            raise UserError(f"{key}: {config[key]} is less than {least}")
    if config["threads"] is not None and config["threads"] > _MOST_THREADS:
        raise UserError(f"threads: {config['threads']} is more than {_MOST_THREADS:,}")
    lr = config["optimizer"].get("lr", 1)
    if isinstance(lr, int | float) and not 0 < lr < math.inf:  # PyTorch takes NaN
        raise UserError(f"optimizer.lr must be positive and finite, got {lr}")
    size = config["loader"]["batch_size"]
    if isinstance(size, int) and size < 1:
        raise UserError(f"loader.batch_size: {size} is less than 1")
    if config["gradient_clip"] is not None and not config["gradient_clip"] > 0:  # NaN is not, either
        raise UserError(f"gradient_clip: {config['gradient_clip']} is not positive; null does not clip")
    check_trainer(config["trainer"])
    check_output_dir(config["output_dir"])
    _check_notify(config["notify"])
    if config["name"] is not None:
        _check_name(config["name"])


def check_output_dir(path: str) -> None:
    """Refuse a folder of runs that is not named, or that would be in one called `~`.

    Raises:
        UserError: it is one.
    """
    if not path:
        raise UserError("output_dir: it is empty; it should name the folder that runs go to")
    if Path(path).parts[:1] == ("~",):
        raise UserError(f"output_dir: {path}: ~ is not replaced here; write the whole path, as with $HOME")


def _check_name(name: str) -> None:
    parts = Path(name).parts
    if not name.strip() or not parts or parts[0] == os.sep or any(part.startswith(".") for part in parts):
        raise UserError(
            f"name: {name!r} is not the path of a folder below output_dir, such as my/run; no folder "
            "of it may begin with a dot"
        )
    if (longest := max(len(os.fsencode(part)) for part in parts)) > LONGEST_NAME:
        raise UserError(
            f"name: a folder's name has at most {LONGEST_NAME} bytes, this one has {longest}; "
            "a letter that is not ASCII has 2 to 4 of them"
        )


def _check_notify(command: str | None) -> None:
    try:
        words = ["true"] if command is None else shlex.split(command)
    except ValueError as error:
        raise UserError(f"notify: {command!r} is no command line: {error}") from None
    if not words or shutil.which(words[0]) is None:
        raise UserError(
            f"notify: {command!r}: there is no such command; give the path of one that can be run"
        )


def _check_group(config: Node, group: str) -> None:
    node = config.get(group)
    if node is None:
        raise UserError(f"{group}: it is missing; a run needs it")
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
        parameters = _parameters(target)
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
            near = meant_beside(key, {name: node[name] for name in node if name != key}, path)
            raise UserError(f"{path}.{key}: {node['_target_']} takes no {key}{near}")
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
    except (Exception, SystemExit) as error:  # a script ends when it is imported
        why = "it ends the program" if isinstance(error, SystemExit) else first_line(error)
        raise UserError(f"{path}._target_: {target} cannot be imported: {why}") from error
    if not callable(found):
        raise UserError(f"{path}._target_: {target} is not a class or function")
    return found


# A sweep checks the same classes for each of its runs.
@cache
def _parameters(target: Any) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(target).parameters


@cache
def _hints(target: Any) -> dict[str, Any]:
    if isinstance(target, partial):
        return _hints(target.func)
    try:
        return get_type_hints(target.__init__ if inspect.isclass(target) else target)
    except Exception:  # annotations that only a type checker can read
        return {}


def _check_type(value: Any, hint: Any, key: str) -> None:
    from typeguard import CollectionCheckStrategy, TypeCheckError, check_type

    kinds = (hint, *get_args(hint))
    try:
        if (
            isinstance(value, bool)
            and bool not in kinds
            and {int, float} & {k for k in kinds if inspect.isclass(k)}
        ):
            raise TypeCheckError("a truth value is no number")
        # A YAML file has no tuples.
        check_type(
            tuple(value) if isinstance(value, list) and get_origin(hint) is tuple else value,
            hint,
            collection_check_strategy=CollectionCheckStrategy.ALL_ITEMS,
        )
    except TypeCheckError as error:
        if get_origin(hint) is Literal:
            choice = " or ".join(map(repr, get_args(hint)))
            raise UserError(f"{key}: {value!r} is not {choice}") from error
        if isinstance(value, str) and _is_number(value):
            raise UserError(
                f"{key}: {value!r} is a text, not a number; write it without quotes, and for an environment variable "
                f"'{key}=\"${{oc.decode:${{oc.env:NAME}}}}\"'"
            ) from error
        wanted = hint.__name__ if inspect.isclass(hint) else str(hint).replace("typing.", "")
        raise UserError(f"{key}: {value!r} is not of type {wanted}") from error
    except Exception:  # a hint that cannot be checked at run time
        return


def _is_number(text: str) -> bool:
    """Whether a text reads as a number, as that of an environment variable may."""
    try:
        float(text)
    except ValueError:
        return False
    return True
