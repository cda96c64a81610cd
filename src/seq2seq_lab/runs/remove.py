"""Remove a run's folder, but never of one that is being trained."""

import shutil
import uuid
from contextlib import suppress
from pathlib import Path

from seq2seq_lab.errors import UserError
from seq2seq_lab.runs import layout
from seq2seq_lab.runs.filters import outputs
from seq2seq_lab.runs.foreign import is_inside
from seq2seq_lab.runs.lock import locked
from seq2seq_lab.runs.run import Run

TRAINED = "it is being trained, and stays"


def remove_run(run: Run, root: Path) -> None:
    """Remove the folder of a run, and the folder above it if that is then empty.

    The folder gets a hidden name first, at once: whoever starts the same run finds none, and a removal that is cut
    short leaves no half of a run.

    Args:
        root: the folder that the run was found in.

    Raises:
        UserError: the run is being trained; or the folder may not be one that training made.
    """
    folder = run.folder
    if not (folder / layout.SUMMARY).is_file():
        raise UserError(f"{run.name}: it has no {layout.SUMMARY}, so it may be no run; remove it yourself")
    if folder == Path.cwd() or not is_inside(folder, root):
        raise UserError(f"{run.name}: it is outside of {root}, or the working folder; remove it yourself")
    hidden = folder.with_name(f".{folder.name[:100]}.{uuid.uuid4().hex[:8]}.removed")
    try:
        with locked(folder / layout.LOCK):
            folder.rename(hidden)
    except UserError:
        raise UserError(f"{run.name}: {TRAINED}") from None
    shutil.rmtree(hidden)
    if folder.parent not in (Path.cwd(), outputs().resolve()):
        with suppress(OSError):  # there are other runs in it
            folder.parent.rmdir()


def size(run: Run) -> int:
    """Bytes of the files of a run."""
    found = 0
    for path in run.folder.rglob("*"):
        with suppress(OSError):  # removed by somebody
            found += path.lstat().st_size
    return found
