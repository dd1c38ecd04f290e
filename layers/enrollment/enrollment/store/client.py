"""The process's client of DynamoDB."""

import logging
from typing import TYPE_CHECKING, Any, cast

import botocore.session
from botocore.config import Config

from enrollment.errors import ServiceUnavailable
from enrollment.settings import client_options, has_credentials_of_container
from enrollment.store.credentials import CredentialsOfContainer
from enrollment.store.deadline import seconds_left

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_NEVER = logging.CRITICAL + 1


CONNECT_SECONDS = 0.5


READ_SECONDS = 2


CLIENT_CONFIG = Config(
    connect_timeout=CONNECT_SECONDS,
    # Every request is made in this module, and what is wrong with one DynamoDB would say: looking at each value first
    # takes a tenth of a call.
    parameter_validation=False,
    read_timeout=READ_SECONDS,
    retries={"mode": "legacy", "total_max_attempts": 3},
    tcp_keepalive=True,
    # botocore puts its own together for each request, from the same parts.
    user_agent=f"enrollment-automations Botocore/{botocore.__version__}",
)


def create_client() -> "DynamoDBClient":
    """Make the process's client.

    With botocore's default timeouts of 60 s one black-holed socket would use up an invocation.  Its mode ``standard``
    stops retrying in a process that has seen many failures, until as many calls have succeeded, replays and other
    refused transactions not counted; ``legacy`` tries each call as often as the last.
    A botocore session starts faster than ``boto3.client``, which imports S3 transfers too.
    """
    # They log exceptions with their texts, for instance when credentials cannot be renewed; Lambda would keep them.
    for library in ("botocore", "urllib3"):
        logging.getLogger(library).setLevel(_NEVER)
    session = botocore.session.get_session()
    if has_credentials_of_container():
        session.register_component("credential_provider", CredentialsOfContainer())
    options = client_options()
    config = CLIENT_CONFIG.merge(Config(**options.pop("config")))
    client = cast("DynamoDBClient", session.create_client("dynamodb", config=config, **options))
    client.meta.events.register_first("before-send.dynamodb", _send_in_time)
    return client


def _send_in_time(request: Any, **_: object) -> None:
    """Bound an attempt, whether the first or one that botocore makes by itself, by the invocation's time."""
    # At its worst it waits for a connection, and then for the answer.
    left = seconds_left() - CONNECT_SECONDS
    if left <= 0:
        raise ServiceUnavailable from TimeoutError("the invocation's time ends")
    if left < READ_SECONDS:
        request.context["read_timeout"] = left
