"""Change the notes and tags of several runs."""

import sys
from collections.abc import Callable, Sequence

from seq2seq_lab.errors import UserError, refusal
from seq2seq_lab.runs.annotations import Annotations, read_annotations, write_annotations
from seq2seq_lab.runs.run import Run


def annotate(runs: Sequence[Run], change: Callable[[Annotations], Annotations]) -> tuple[int, int]:
    """Change those of each run; one that cannot be written is named, and does not keep the others.

    Returns:
        The number of runs whose annotations are others than before, and of those that could not be written.
    """
    changed = failed = 0
    for run in runs:
        try:
            before = read_annotations(run.folder, to_change=True)
            if (after := change(before)) == before:
                continue
            write_annotations(run.folder, after)
        except (UserError, OSError) as error:  # such as the folder of somebody else
            failed += 1
            print(refusal(error, run.name), file=sys.stderr)
        else:
            changed += 1
    return changed, failed
