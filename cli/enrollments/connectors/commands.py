"""``enrollments connectors``: the commands about connectors."""

import json
from functools import partial
from pathlib import Path

import click
from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from enrollment.managers.connector import LONGEST_SECONDS, MOST_ANSWER_BYTES
from enrollment.managers.published import protocol_schema
from enrollment.outbound.addresses import ForbiddenAddress, require_allowed
from enrollment.outbound.https import post
from enrollments.connectors import operating
from enrollments.connectors.asking import Asker
from enrollments.connectors.findings import Report
from enrollments.connectors.trial import Options, Trial
from enrollments.connectors.trying import try_connector
from enrollments.failure import CommandFailed

_SCHEMA = Path("docs/connector.schema.json")


@click.group()
def connectors() -> None:
    """Connectors turn this service's requests into those of a credential manager's manufacturer."""


@connectors.command("try")
@click.argument("url")
@click.option(
    "--secret",
    envvar="CONNECTOR_SECRET",
    required=True,
    help="The connector's signing secret, whsec_…. Better put it into the environment: CONNECTOR_SECRET.",
)
@click.option(
    "--patience",
    type=click.FloatRange(0, 3600),
    default=60,
    show_default=True,
    help="Seconds to wait for a phone that is invited or pending.",
)
@click.option("--pool", help="The connector's name of the pool that credentials come from. By default, from none.")
@click.option("--email", help="The test person's email address. By default one at example.com.")
@click.option("--phone-number", help="The test person's phone number. By default there is none.")
def try_(  # noqa: PLR0913 - the command's options
    *, url: str, secret: str, patience: float, pool: str | None, email: str | None, phone_number: str | None
) -> None:
    """Play every request and every failure of the protocol against the connector at URL.

    Each line says what is good, what is wrong and what must come, or what was left out and why. It makes up persons
    and phones at the connector, and removes all of it at the end. The exit status is 0 only if nothing is wrong or left
    out that matters. docs/connector.md has the protocol.
    """
    send = partial(post, on_loopback=True, longest_seconds=LONGEST_SECONDS, most_bytes=MOST_ANSWER_BYTES)
    try:
        require_allowed(url, on_loopback=True)
        _require_secret(secret)
    except ForbiddenAddress as error:
        raise CommandFailed(f"the URL is not allowed: {error}") from error
    except (ValueError, EmptyWebhookSecretError) as error:
        raise CommandFailed("the secret is none; it begins with whsec_, and the rest is base64") from error
    asker = Asker(url, secret, post=send, patience=patience)
    # A connector may answer with what it should keep to itself.
    report = Report(lambda line: click.echo(line.replace(secret, "whsec_…")))
    report.write(f"Trying {url}")
    options = Options(patience=patience, pool=pool, email_address=email, phone_number=phone_number)
    if not try_connector(Trial(asker, report, options)):
        raise click.exceptions.Exit(1)


def _require_secret(secret: str) -> None:
    if not secret.startswith("whsec_"):
        raise ValueError("no whsec_")
    Webhook(secret)  # it is decoded


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


for _command in operating.COMMANDS:
    connectors.add_command(_command)
