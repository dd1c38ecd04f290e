"""The error of a failed start."""


class StackError(Exception):
    """The stack cannot start.  The message is one line with the reason."""
