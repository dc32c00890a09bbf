"""The one kind of error that a user, not a programmer, causes and can mend."""


class UserError(Exception):
    """A mistake in what the user asked for or in what lies on disk.

    The message is one line: the argument, its value and what to do. The commands print it
    without a traceback and exit with a non-zero status. What it quotes may come from a stranger's
    file, so it is made printable.
    """

    def __init__(self, message: object):
        super().__init__(printable(message))


class NonFiniteError(UserError):
    """Numbers of a model that are NaN or infinite."""


def printable(text: object) -> str:
    """A text as one line that no terminal obeys: control characters become their escapes."""
    line = " ".join(str(text).splitlines())
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in line
    )


def first_line(error: BaseException) -> str:
    """First line of the message of a library's error; its type if there is no message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
