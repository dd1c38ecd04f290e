"""A function's environment variables.  No other module reads them."""

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple


class Settings(NamedTuple):
    """The settings that ``template.yaml`` gives a function.

    Attributes:
        table_name: The one DynamoDB table.
        cors_origins: Origins whose pages may call the API.
        stack_name: The function's stack.  Its metrics carry this name, because the stacks of a region share a
            namespace.
        webhooks_secret_arn: The master secret of webhooks, for the function that answers with their secrets.
        client_sessions_secret_arn: The master secret of client sessions, for the function that answers with their
            tokens.
    """

    table_name: str
    cors_origins: tuple[str, ...] = ()
    stack_name: str = ""
    webhooks_secret_arn: str = ""
    client_sessions_secret_arn: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings.

        Raises:
            KeyError: A variable is missing.  The function cannot work without it, so its start fails.
        """
        origins = environment.get("CORS_ORIGINS", "").split(",")
        return cls(
            table_name=environment["TABLE_NAME"],
            cors_origins=tuple(origin.strip() for origin in origins if origin.strip()),
            stack_name=environment.get("STACK_NAME", ""),
            webhooks_secret_arn=environment.get("WEBHOOKS_SECRET_ARN", ""),
            client_sessions_secret_arn=environment.get("CLIENT_SESSIONS_SECRET_ARN", ""),
        )


class EventsSettings(NamedTuple):
    """The settings that ``template.yaml`` gives the function ``events``.

    Attributes:
        table_name: The one DynamoDB table.
        retention: How long events are listed.
        event_bus: The EventBridge bus.
        deliveries_queue_url: The queue of deliveries to webhooks.
        failures_queue_url: The queue of pointers to records that were set aside.
        provisioning_function: The ARN of the alias of the durable function that provisions.
    """

    table_name: str
    retention: timedelta
    event_bus: str
    deliveries_queue_url: str
    failures_queue_url: str
    provisioning_function: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "EventsSettings":
        """Read the settings.

        Raises:
            KeyError: A variable is missing.  The function cannot work without it, so its start fails.
        """
        return cls(
            table_name=environment["TABLE_NAME"],
            retention=timedelta(days=int(environment["EVENT_RETENTION_DAYS"])),
            event_bus=environment["EVENT_BUS_NAME"],
            deliveries_queue_url=environment["DELIVERIES_QUEUE_URL"],
            failures_queue_url=environment["EVENTS_FAILURES_QUEUE_URL"],
            provisioning_function=environment["PROVISIONING_FUNCTION"],
        )


class DeliverySettings(NamedTuple):
    """The settings that ``template.yaml`` gives the functions ``deliveries`` and ``redeliveries``.

    Attributes:
        table_name: The one DynamoDB table.
        deliveries_queue_url: The queue of deliveries to webhooks.
        webhooks_secret_arn: The master secret of webhooks.
        redeliveries_function: The ARN of the alias of the durable function.
        receivers_on_loopback: Whether webhooks may lead to this machine's loopback.  Tests and `make run` set it; the
            template does not.
    """

    table_name: str
    deliveries_queue_url: str
    webhooks_secret_arn: str
    redeliveries_function: str
    receivers_on_loopback: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "DeliverySettings":
        """Read the settings.

        Raises:
            KeyError: A variable is missing.  The function cannot work without it, so its start fails.
        """
        return cls(
            table_name=environment["TABLE_NAME"],
            deliveries_queue_url=environment["DELIVERIES_QUEUE_URL"],
            webhooks_secret_arn=environment["WEBHOOKS_SECRET_ARN"],
            redeliveries_function=environment["REDELIVERIES_FUNCTION"],
            receivers_on_loopback=receivers_on_loopback(environment),
        )


class ProvisioningSettings(NamedTuple):
    """The settings that ``template.yaml`` gives the function ``provisioning``.

    Attributes:
        table_name: The one DynamoDB table.
        connectors_secret_arn: The master secret of connectors.
        connectors_on_loopback: Whether connectors may be on this machine's loopback.  Tests and `make run` set it; the
            template does not.
    """

    table_name: str
    connectors_secret_arn: str
    connectors_on_loopback: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "ProvisioningSettings":
        """Read the settings.

        Raises:
            KeyError: A variable is missing.  The function cannot work without it, so its start fails.
        """
        return cls(
            table_name=environment["TABLE_NAME"],
            connectors_secret_arn=environment["CONNECTORS_SECRET_ARN"],
            connectors_on_loopback=environment.get("CONNECTORS_ON_LOOPBACK") == "allowed",
        )


def receivers_on_loopback(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether webhooks may lead to this machine's loopback, as in tests and with `make run`."""
    return environment.get("WEBHOOK_RECEIVERS_ON_LOOPBACK") == "allowed"


def has_credentials_of_container(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether the credentials are at an endpoint, as for a function that starts from a snapshot."""
    return not _has_keys(environment) and "AWS_CONTAINER_CREDENTIALS_FULL_URI" in environment


def client_options(environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Take credentials and proxy settings from the environment, so that botocore skips its provider chain.

    Preparing that chain takes a thirtieth of a start.  If the environment has no credentials, botocore looks for them:
    an operator's command may find them in a file.

    Returns:
        Arguments of botocore's ``create_client``; under ``config``, arguments of its ``Config``.
    """
    options: dict[str, Any] = {"config": {}}
    if _has_keys(environment):
        options["aws_access_key_id"] = environment["AWS_ACCESS_KEY_ID"]
        options["aws_secret_access_key"] = environment["AWS_SECRET_ACCESS_KEY"]
        options["aws_session_token"] = environment.get("AWS_SESSION_TOKEN")
    if not any(name.lower().endswith("_proxy") for name in environment):
        options["config"] = {"proxies": {}}
    return options


def _has_keys(environment: Mapping[str, str]) -> bool:
    return bool(environment.get("AWS_ACCESS_KEY_ID") and environment.get("AWS_SECRET_ACCESS_KEY"))
