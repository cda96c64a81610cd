"""The values of a nested configuration, each with its dotted key."""

from collections.abc import Iterator, Mapping
from typing import Any


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The key and the value of everything in nested mappings and lists that is neither, in order.

    Args:
        node: of a configuration.
        path: its key. That of a list's item ends with its number, as in `data.files[0]`.
    """
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from leaves(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from leaves(value, f"{path}[{number}]")
    else:
        yield path, node


def targets(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The key and the value of every `_target_`, whatever it is."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            below = f"{path}.{key}" if path else str(key)
            if key == "_target_":
                yield below, value
            else:
                yield from targets(value, below)
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from targets(value, f"{path}[{number}]")
