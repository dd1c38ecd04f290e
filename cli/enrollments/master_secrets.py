"""How a command gets a master secret: from the stack, or that of `make run`, which is public."""

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

import boto3
import click

from enrollments.local.demo import CLIENT_SESSIONS_SECRET, CONNECTORS_SECRET
from enrollments.stacks import physical_id

type Command = Callable[..., None]
type ReadSecret = Callable[[], bytes]


class MasterSecret(NamedTuple):
    """A secret from which others are derived.

    Attributes:
        logical_id: The template's name of it.
        on_this_machine: What it is on the system of `make run`.
        derived: What is derived from it, in words.
    """

    logical_id: str
    on_this_machine: str
    derived: str


OF_CLIENT_SESSIONS = MasterSecret("ClientSessionsSecret", CLIENT_SESSIONS_SECRET, "a client session's token")
OF_CONNECTORS = MasterSecret("ConnectorsSecret", CONNECTORS_SECRET, "a connector's signing secret")


def with_secret(secret: MasterSecret) -> Callable[[Command], Command]:
    """Pass a function to a command of ``in_table`` that reads a master secret, as ``read_secret``.

    It is a function, because only some calls of a command need the secret.

    Args:
        secret: Which one.
    """

    def decorate(command: Command) -> Command:
        @wraps(command)
        def with_read_secret(
            *,
            stack_name: str | None,
            table_name: str | None,
            endpoint_url: str | None,
            region: str | None,
            profile: str | None,
            **options: Any,
        ) -> None:
            def read_secret() -> bytes:
                if stack_name:
                    session = boto3.session.Session(region_name=region, profile_name=profile)
                    return secret_of_stack(session, stack_name, secret)
                # The public one is for another server than AWS only, which then gets no region and no profile.
                if table_name and (not endpoint_url or region or profile):
                    raise click.UsageError(f"{secret.derived} is derived from a secret of the stack: --stack-name")
                return secret.on_this_machine.encode()

            command(
                read_secret=read_secret,
                stack_name=stack_name,
                table_name=table_name,
                endpoint_url=endpoint_url,
                region=region,
                profile=profile,
                **options,
            )

        return with_read_secret

    return decorate


def secret_of_stack(session: boto3.session.Session, stack_name: str, secret: MasterSecret) -> bytes:
    """Return a master secret of a stack."""
    secret_id = physical_id(session, stack_name, secret.logical_id)
    return str(session.client("secretsmanager").get_secret_value(SecretId=secret_id)["SecretString"]).encode()
