"""The one exception that speaks to the user."""


class UserError(Exception):
    """A mistake in what the user gave: a key, a path or a file.

    Its message is the whole of what the user is told, in one or two lines: where, what is wrong, what would
    be right. The command line prints it without a traceback and ends with status 1.
    """
