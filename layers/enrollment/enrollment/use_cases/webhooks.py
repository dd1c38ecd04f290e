"""Webhooks: the use cases.

A workspace's webhooks are in one partition, because each event is checked against all of them.
"""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from enrollment.callers import Caller
from enrollment.errors import InvalidInput, ServiceUnavailable, TooManyWebhooks, WebhookNotFound
from enrollment.outbound.addresses import ForbiddenAddress
from enrollment.resources.webhooks import CreateWebhookRequest, UpdateWebhookRequest, Webhook, WebhookRequest
from enrollment.secrets import webhook_secret
from enrollment.store.actions import change, delete, put_new
from enrollment.store.attributes import Item, elements
from enrollment.store.keys import webhook_key
from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from enrollment.use_cases.webhook_items import OF_FAILURE

# An event makes a message for each webhook that wants it.
MOST_WEBHOOKS = 50
FIRST_VERSION = "1"

type CheckAddress = Callable[[str], None]


def create(
    table: Table, caller: Caller, request: CreateWebhookRequest, *, check_address: CheckAddress, master: bytes
) -> Webhook:
    """Create a webhook.

    Two requests at the same moment can both find room for the last one.  So a workspace may have a few more than it
    may have, but no request can add many.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.
        check_address: Raises ``ForbiddenAddress`` for a URL that a webhook may not have.
        master: The master secret of webhooks.

    Raises:
        InvalidInput: The URL is not allowed.
        TooManyWebhooks: The workspace has as many as it may have.
        ServiceUnavailable: The database stays out of reach.
    """
    try:
        check_address(request.url)
    except ForbiddenAddress as error:
        raise InvalidInput([("url", str(error))]) from error
    if len(_items(table, caller.workspace_id)) >= MOST_WEBHOOKS:
        raise TooManyWebhooks
    item: Item = {
        "webhook_id": str(uuid.uuid4()),
        "workspace_id": caller.workspace_id,
        "url": request.url,
        "event_types": frozenset(request.event_types),
        "secret_version": FIRST_VERSION,
        "created_at": timestamp(datetime.now(UTC)),
    }
    key = webhook_key(caller.workspace_id, str(item["webhook_id"]))
    if table.transact({"webhook": put_new(key, item)}):
        raise ServiceUnavailable  # the same random id twice
    return webhook_of(item, master)


def get(table: Table, caller: Caller, request: WebhookRequest, *, master: bytes) -> Webhook:
    """Return a webhook.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.
        master: The master secret of webhooks.

    Raises:
        WebhookNotFound: There is none.
        ServiceUnavailable: The database stays out of reach.
    """
    item = table.get(webhook_key(caller.workspace_id, request.webhook_id))
    if item is None:
        raise WebhookNotFound
    return webhook_of(item, master)


def list_all(table: Table, caller: Caller, *, master: bytes) -> list[Webhook]:
    """Return the webhooks of the workspace, newest first.

    Args:
        table: The table.
        caller: Who asks.
        master: The master secret of webhooks.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    return [webhook_of(item, master) for item in _items(table, caller.workspace_id)]


def update(table: Table, caller: Caller, request: UpdateWebhookRequest) -> None:
    """Change which events a webhook gets.  One that was switched off is switched on again.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.

    Raises:
        WebhookNotFound: There is none.
        ServiceUnavailable: The database stays out of reach.
    """
    changed = change(
        webhook_key(caller.workspace_id, request.webhook_id),
        assign={"event_types": frozenset(request.event_types)},
        remove=OF_FAILURE,
    )
    if table.transact({"webhook": changed}):
        raise WebhookNotFound


def delete_webhook(table: Table, caller: Caller, request: WebhookRequest) -> None:
    """Delete a webhook.  What is still to be delivered to it is dropped.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.

    Raises:
        WebhookNotFound: There is none.
        ServiceUnavailable: The database stays out of reach.
    """
    if table.transact({"webhook": delete(webhook_key(caller.workspace_id, request.webhook_id), {})}):
        raise WebhookNotFound


def webhook_of(item: Item, master: bytes) -> Webhook:
    """Return a webhook as the API answers it."""
    return Webhook(
        webhook_id=str(item["webhook_id"]),
        url=str(item["url"]),
        event_types=elements(item["event_types"]),
        secret=webhook_secret(master, str(item["webhook_id"]), str(item["secret_version"])),
    )


def _items(table: Table, workspace_id: str) -> list[Item]:
    found = table.query(webhook_key(workspace_id, "").pk)
    return sorted(found, key=lambda item: (str(item["created_at"]), str(item["webhook_id"])), reverse=True)
