"""What every tracker is told of a run."""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from pytorch_lightning.loggers import Logger

from seq2seq_lab.config.build import build, call
from seq2seq_lab.errors import UserError, first_line

_TRACKERS = ("mlflow", "wandb")  # the packages whose errors are of a tracker


class Facts(NamedTuple):
    """What names a run in a tracker.

    Attributes:
        name: of the run: its folder, below the folder of all runs.
        group: of the runs that differ only in their seed.
        identity: a code of the run, which it keeps when it goes on; a run that is trained again gets another.
        outputs: the folder of all runs.
        config: the resolved configuration.
    """

    name: str
    group: str
    identity: str
    outputs: str
    config: Mapping[str, Any]


def make(node: Mapping[str, Any], path: str, folder: str, facts: Facts) -> Logger:
    """Build the logger of a node; one that has a parameter `facts` is told of the run."""
    partial = build(node, path)
    takes_facts = "facts" in inspect.signature(partial).parameters
    with errors_explained():
        made = call(partial, path, save_dir=folder, **({"facts": facts} if takes_facts else {}))
    if not isinstance(made, Logger):
        raise UserError(f"{path}: {type(made).__name__} is not a logger of Lightning")
    return made


@contextmanager
def errors_explained() -> Iterator[None]:
    """Raise what a tracker refuses as a `UserError`, such as a server that does not answer or a missing key."""
    try:
        yield
    except Exception as error:
        tracker = type(error).__module__.partition(".")[0]
        if tracker not in _TRACKERS:
            raise
        raise UserError(f"logger.{tracker}: {first_line(error)}; logger=none trains without it") from error


def missing(extra: str) -> UserError:
    """The error of a tracker that is not installed."""
    return UserError(f"logger: {extra} is not installed: pip install 'seq2seq-lab[{extra}]'")


def close(loggers: Iterable[Logger]) -> None:
    """End the run of each tracker that has one open, so that the next run of a sweep gets its own."""
    for logger in loggers:
        end = getattr(logger, "end_run", None)
        if end is not None:
            end()
