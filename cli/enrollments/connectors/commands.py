"""``enrollments connectors``: the commands about connectors."""

import click

from enrollments.connectors import operating


@click.group()
def connectors() -> None:
    """Connectors turn this service's requests into those of a credential manager's manufacturer."""


for _command in operating.COMMANDS:
    connectors.add_command(_command)
