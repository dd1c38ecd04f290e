"""How a command ends that cannot do what it was asked."""

import click


def failed(why: object) -> click.ClickException:
    """Return what ends a command with one line, however many the reason has."""
    return click.ClickException(" ".join(str(why).split()))
