"""What ends a start on this machine."""


class StackError(Exception):
    """The stack cannot be started; the message says why in one line."""
