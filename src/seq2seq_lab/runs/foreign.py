"""A folder that somebody sent may have links and pipes in it: nothing outside of it is written or removed."""

import os
from pathlib import Path

from seq2seq_lab.errors import UserError

_OF_TRACKERS = (
    "wandb",
    "mlruns",
)  # have links to logs of their own; nothing of this package is written there


def check_contents(folder: Path) -> None:
    """Refuse a folder with a link that leads out of it, or with a pipe, a socket or a device.

    Args:
        folder: that is written to; it may not exist.

    Raises:
        UserError: there is such a file; the message names it.
    """
    for parent, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(parent, name)
            if path.is_symlink():
                if not is_inside(path, folder):
                    raise UserError(
                        f"{path}: it is a link out of {folder}; remove it, or copy what it leads to"
                    )
            elif name in names and not path.is_file():
                raise UserError(f"{path}: it is neither a file nor a folder; remove it")
        folders[:] = [name for name in folders if name not in _OF_TRACKERS]


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path, whatever links are on its way, is in a folder."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a link to itself
        return False
