"""The one kind of error that a user, not a programmer, causes and can mend."""


class UserError(Exception):
    """A mistake in what the user asked for or in what lies on disk.

    The message is one line: the argument, its value and what to do. The commands print it
    without a traceback and exit with a non-zero status.
    """


def first_line(error: BaseException) -> str:
    """What an error of a library says, in one line; its type if it says nothing."""
    return (str(error) or type(error).__name__).splitlines()[0]
