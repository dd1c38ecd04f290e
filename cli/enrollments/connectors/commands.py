"""``enrollments connectors``: the commands about connectors."""

import json
from pathlib import Path

import click

from enrollment.managers.published import protocol_schema
from enrollments.failure import CommandFailed

_SCHEMA = Path("docs/connector.schema.json")


@click.group()
def connectors() -> None:
    """Connectors turn this service's requests into those of a credential manager's manufacturer."""


@connectors.command()
@click.option("--write", is_flag=True, help=f"Write {_SCHEMA}.")
@click.option("--check", is_flag=True, help=f"Compare {_SCHEMA} with the code.")
def schema(*, write: bool, check: bool) -> None:
    """Print the JSON Schema of all requests to a connector and of its answers (draft 2020-12)."""
    content = json.dumps(protocol_schema(), indent=2) + "\n"
    if write:
        _SCHEMA.write_text(content)
    elif not check:
        click.echo(content, nl=False)
    elif not _SCHEMA.is_file() or _SCHEMA.read_text() != content:
        raise CommandFailed(f"{_SCHEMA} is not what the code says; renew it: make openapi")
