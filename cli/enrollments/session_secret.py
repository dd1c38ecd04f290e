"""How a command gets the master secret of client sessions: from the stack, or that of `make run`, which is public."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import boto3
import click

from enrollments.local.demo import CLIENT_SESSIONS_SECRET

_LOGICAL_ID = "ClientSessionsSecret"

type Command = Callable[..., None]
type ReadSecret = Callable[[], bytes]


def with_secret_of_client_sessions(command: Command) -> Command:
    """Pass a function to a command of ``in_table`` that reads the master secret, as ``read_secret``.

    It is a function, because only some calls of the command need the secret.
    """

    @wraps(command)
    def with_secret(
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
                return secret_of_stack(boto3.session.Session(region_name=region, profile_name=profile), stack_name)
            if table_name and not endpoint_url:
                raise click.UsageError("a client session's token is derived from a secret of the stack: --stack-name")
            return CLIENT_SESSIONS_SECRET.encode()

        command(
            read_secret=read_secret,
            stack_name=stack_name,
            table_name=table_name,
            endpoint_url=endpoint_url,
            region=region,
            profile=profile,
            **options,
        )

    return with_secret


def secret_of_stack(session: boto3.session.Session, stack_name: str) -> bytes:
    """Return the master secret of a stack."""
    found = session.client("cloudformation").describe_stack_resource(
        StackName=stack_name, LogicalResourceId=_LOGICAL_ID
    )
    secret_id = str(found["StackResourceDetail"]["PhysicalResourceId"])
    return str(session.client("secretsmanager").get_secret_value(SecretId=secret_id)["SecretString"]).encode()
