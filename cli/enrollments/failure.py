"""The error that ends a command."""

import click


class CommandFailed(click.ClickException):
    """A command cannot do its work.  click prints the reason and exits with status 1.

    Args:
        reason: A text or an exception.  Its white space collapses, so that the message is one line.
    """

    def __init__(self, reason: object) -> None:
        super().__init__(" ".join(str(reason).split()))
