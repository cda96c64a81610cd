"""The one exception that is shown to the user, and the parts that its messages are made of."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake in what the user gave: a key, a path or a file.

    Its message is all that the user sees, in one or two lines: where, what is wrong, what would be right. The
    command line prints it without a traceback and ends with status 1.
    """


def first_line(error: BaseException) -> str:
    """The part of a library's message that says what is wrong."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def nearest(word: str, candidates: Iterable[str], before: str = "") -> str:
    """A suggestion to put behind an unknown word, written after `before`; empty if no candidate is similar."""
    close = difflib.get_close_matches(word, list(candidates), n=1)
    return f"; did you mean {before}{close[0]}?" if close else ""
