"""From the nodes of a configuration to objects. What a node names is built by its plain constructor."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from seq2seq_lab.config.modules import blame
from seq2seq_lab.config.trust import interpolation
from seq2seq_lab.errors import UserError, first_line

# Group → what is used of its part. Classes that a part must be a subclass of are checked where it is used.
_MEMBERS = {
    "data": ("load",),
    "split": ("split", "holds_out"),
    "lr_schedule": ("scheduler", "over", "metric"),
    "measures": ("facts", "__call__"),
    "accelerate": ("refuses", "updates"),
}


def build(node: Mapping[str, Any], path: str) -> Any:
    """Instantiate a node.

    Args:
        node: with a `_target_`, and the arguments that it is called with.
        path: the node's key in the configuration, for messages.

    Raises:
        UserError: the constructor refuses a value; its message begins with the name of the parameter. Or what was built
            lacks what its group needs. Or a text of the node is an interpolation: Hydra would resolve it, after every
            check.
    """
    if (key := interpolation(dict(node), path)) is not None:
        raise UserError(f"{key}: it contains ${{, which is not resolved here; write the value itself")
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    try:
        built = instantiate(dict(node), _convert_="all")
    except (
        InstantiationException,
        TypeError,
    ) as error:  # a TypeError is of Hydra's own keys, such as `_partial_`
        below = re.search(r"^full_key: (\S+)$", str(error), flags=re.MULTILINE)  # of a node in the node
        return _reraise(error.__cause__ or error, f"{path}.{below[1]}" if below else path)
    for member in _MEMBERS.get(path.partition(".")[0], ()):
        if not hasattr(built, member):
            raise UserError(
                f"{path}: {node['_target_']} has no {member}, which is asked of it; see docs/extending.md"
            )
    return built


def build_all(config: Mapping[str, Any], group: str) -> dict[str, Any]:
    """What the named nodes of a group build, by name; errors as in `build`."""
    return {name: build(node, f"{group}.{name}") for name, node in config[group].items()}


def call(partial: Any, path: str, parts: Iterable[object] = (), /, **arguments: Any) -> Any:
    """Call what a `_partial_` node built; errors as in `build`.

    Args:
        parts: what takes part in the call. If one of them is the user's own, every error is one of what it gives.
    """
    for key in getattr(partial, "keywords", {}).keys() & arguments.keys():
        raise UserError(f"{path}.{key}: the run gives it itself; leave it out")
    try:
        return partial(**arguments)
    except Exception as error:
        return _reraise(error, path, parts)


def is_foreign(part: object) -> bool:
    """Whether the class of a part is neither of this package nor of PyTorch."""
    return type(part).__module__.partition(".")[0] not in ("seq2seq_lab", "torch", "builtins")


def _reraise(error: BaseException, path: str, parts: Iterable[object] = ()) -> None:
    if isinstance(error, UserError):
        raise error
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):  # PyTorch's is a RuntimeError
        raise UserError(f"{path}: it needs more memory than this machine has") from error
    # The messages of this package's constructors begin with the parameter's name.
    if isinstance(error, ValueError | TypeError) and re.match(r"[a-z]\w* (must|is|in) ", first_line(error)):
        raise UserError(f"{path}.{first_line(error)}") from error
    if (own := blame(error)) is not None:
        raise UserError(f"{path}: {own}") from error
    for part in filter(is_foreign, parts):
        name = f"{type(part).__module__}.{type(part).__qualname__}"
        said = f"{type(error).__name__}: {first_line(error)}"
        raise UserError(f"{path}: what {name} gives cannot be used: {said}") from error
    refused = isinstance(error, ValueError | TypeError | ImportError)
    slow_to_import = ("MisconfigurationException", "InstantiationException")  # of Lightning and Hydra
    if refused or type(error).__name__ in slow_to_import:
        raise UserError(f"{path}: {first_line(error)}") from error
    raise error
