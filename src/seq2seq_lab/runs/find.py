"""Find the runs in a folder and its subfolders."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from seq2seq_lab.errors import UserError
from seq2seq_lab.runs import layout


def natural(text: str) -> list[tuple[int, int, str]]:
    """A sort key that puts ``seed-2`` before ``seed-10``."""
    parts = re.findall(r"\d+|\D+", text)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def common_root(paths: Sequence[Path]) -> Path:
    """The folder that the names of runs are relative to: the given folder, or the common parent of several.

    Raises:
        UserError: a path does not exist or is not a folder.
    """
    tops = []
    for path in paths:
        with explain_unreachable(path):
            if not path.exists():
                raise UserError(
                    f"{path}: there is no such folder; give folders that contain runs, such as outputs, or filters, "
                    "such as status=failed or, in quotes, 'val/bleu>30'"
                )
            if not path.is_dir():
                raise UserError(
                    f"{path}: this is a file; give the folder of a run, or one that contains runs"
                )
            top = path.resolve()
            tops.append(top.parent if (top / layout.CONFIG).is_file() else top)
    return Path(os.path.commonpath(tops))


@contextmanager
def explain_unreachable(path: Path) -> Iterator[None]:
    """Raise a `UserError` if the system cannot access the path: the name is too long, or permission is missing."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be accessed ({error.strerror})") from None


def find(paths: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """The folders of all runs under the paths, each once, and notes on folders that look like a run but are not."""
    found: dict[Path, None] = {}
    notes = []
    for path in paths:
        before = len(found)
        seen = False
        for folder, note in _walk(path):
            if note is None:
                seen = True
                found[folder.resolve()] = None
            else:
                notes.append(note)
        if not seen and len(found) == before:
            notes.append(f"{path}: it contains no run")
    return sorted(found), notes


def _walk(top: Path) -> Iterator[tuple[Path, str | None]]:
    failed: list[OSError] = []
    for name, folders, files in os.walk(top, onerror=failed.append):
        folder = Path(name)
        # Hidden folders contain Hydra's own config.yaml, which is not the config.yaml of a run.
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for link in (folder / each for each in folders if (folder / each).is_symlink()):
            if (link / layout.CONFIG).is_file() or next(link.glob(f"seed-*/{layout.CONFIG}"), None):
                yield link, f"{link}: a link to runs, which is not followed; give it itself; skipped"
        if {layout.REPORT, layout.RESULTS} <= set(files):  # the output of a comparison
            folders[:] = [each for each in folders if each != layout.TENSORBOARD]
        if layout.CONFIG in files:
            folders.clear()
            yield folder, None
        elif {layout.SUMMARY, layout.METRICS} & set(files):
            yield folder, f"{folder}: not a run, as it has no {layout.CONFIG}; skipped"
        elif folder != top and not folders and not files:
            yield folder, f"{folder}: an empty folder; skipped"
    for error in failed:
        yield Path(error.filename), f"{error.filename}: cannot be read ({error.strerror}); skipped"
