"""Addresses in the configuration of a run, which somebody else may have written: they are not simply fetched."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from seq2seq_lab.config.options import config_dir, read
from seq2seq_lab.config.tree import leaves
from seq2seq_lab.data.sources.download import download_path
from seq2seq_lab.errors import UserError

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")


def check_addresses(node: Mapping[str, Any], path: str, trusted: Sequence[str] = ()) -> None:
    """Check that no data is fetched but from the addresses in the package's own options, and those that are trusted.

    What was downloaded before is used without a check, and so is a file that the user names instead.

    Args:
        node: of a configuration.
        path: its key, for the message.
        trusted: addresses, among other names.

    Raises:
        UserError: an address is neither.
    """
    if node.get("archive") or os.environ.get(str(node.get("environment"))):
        return
    for key, address in _addresses(node, path):
        if address not in _known() and address not in trusted and not download_path(address).exists():
            raise UserError(
                f"{key}: {address} is not an address of this package, and nothing is fetched from there for the run of "
                f"somebody else; if you trust it, give --trust {address}"
            )


@cache
def _known() -> frozenset[str]:
    files = (config_dir() / "data").rglob("*.yaml")
    return frozenset(address for path in files for _, address in _addresses(read(path), ""))


def _addresses(node: Any, path: str) -> Iterator[tuple[str, str]]:
    for key, value in leaves(node, path):
        if isinstance(value, str) and _ADDRESS.fullmatch(value):
            yield key, value
