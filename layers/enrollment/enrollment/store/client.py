"""The process's client of DynamoDB."""

from typing import TYPE_CHECKING, Any

import botocore
from botocore.config import Config

from enrollment.aws.clients import create_aws_client
from enrollment.aws.deadline import seconds_left
from enrollment.errors import ServiceUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CONNECT_SECONDS = 0.5
READ_SECONDS = 2

CLIENT_CONFIG = Config(
    connect_timeout=CONNECT_SECONDS,
    # All requests are built in this package, and DynamoDB checks them too.  Checking each value here as well would
    # take a tenth of a call.
    parameter_validation=False,
    read_timeout=READ_SECONDS,
    retries={"mode": "legacy", "total_max_attempts": 3},
    tcp_keepalive=True,
    # Given, it is not put together again for each request.
    user_agent=f"enrollment-automations Botocore/{botocore.__version__}",
)


def create_client() -> "DynamoDBClient":
    """Return a new client.

    Its time-outs are short: with botocore's own of 60 s, one connection without an answer would use up an invocation.
    Its retry mode is ``legacy``, which retries each call as often as the last.  The mode ``standard`` stops retrying in
    a process that has seen many failures.
    """
    client: DynamoDBClient = create_aws_client("dynamodb", CLIENT_CONFIG)
    client.meta.events.register_first("before-send.dynamodb", _send_in_time)
    return client


def _send_in_time(request: Any, **_: object) -> None:
    """Bound an attempt by the invocation's time; botocore's own retries come through here, too."""
    # At worst an attempt waits for a connection, and then for the answer.
    left = seconds_left() - CONNECT_SECONDS
    if left <= 0:
        raise ServiceUnavailable from TimeoutError("the invocation's time ends")
    if left < READ_SECONDS:
        request.context["read_timeout"] = left
