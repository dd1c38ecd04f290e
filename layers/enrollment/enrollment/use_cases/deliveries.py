"""Deliveries of events to webhooks: each attempt, and what becomes of a webhook whose attempts fail.

Each event is attempted once when it happens.  What failed is tried again by a durable execution (``redeliveries``).  A
webhook that has failed for a minute has an open *breaker*: its events are held in the table, and one execution for the
webhook tries the oldest of them until the address answers again.  So an address that is down costs one execution, and
not one for each event.

A webhook's item tells how it stands.  ``failing_since`` is when the first attempt failed after the last that succeeded.
``breaker_opened_at`` is there while the breaker is open.  ``switched_off_at`` is there once it has failed for five days
(contract, "Webhooks").

Any of this can be interrupted or doubled: the receiver then gets an event twice, and none is lost.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from standardwebhooks import Webhook as Signer

from enrollment.errors import ServiceUnavailable
from enrollment.outbound.https import Attempt
from enrollment.secrets import webhook_secret
from enrollment.store.actions import change, delete, put, require
from enrollment.store.attributes import Item
from enrollment.store.keys import Key, held_delivery_key, key_of, webhook_key
from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from enrollment.use_cases.webhook_items import OF_FAILURE, wants

type Post = Callable[[str, bytes, Mapping[str, str]], Attempt]

# The contract counts no answer in 15 s as a failure ("Webhooks").
LONGEST_SECONDS = 15.0
_BREAKER_OPENS_AFTER = timedelta(minutes=1)
_SWITCHED_OFF_AFTER = timedelta(days=5)
# As long as the waits between the attempts of one event are together: 27 h 35 min.
HELD_FOR = timedelta(hours=28)
_USER_AGENT = "enrollment-automations-webhooks"


class Message(NamedTuple):
    """An event that is to be delivered to a webhook.

    Attributes:
        workspace_id: The workspace of both.
        webhook_id: The webhook.
        event: The event, as ``/events/get`` answers it.
    """

    workspace_id: str
    webhook_id: str
    event: Mapping[str, Any]

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Message":
        """Read a message of the queue.

        Raises:
            ValueError: It is none.
        """
        try:
            message = cls(str(content["workspace_id"]), str(content["webhook_id"]), content["event"])
            _ = message.event["event_id"], message.event["event_type"], message.event["created_at"]
        except (KeyError, TypeError) as error:
            raise ValueError("this is no delivery") from error
        return message

    def to_json(self) -> dict[str, Any]:
        """Return the message as it is in the queue."""
        return dict(self._asdict())


class Outcome(StrEnum):
    """What became of a message."""

    DELIVERED = "delivered"
    DROPPED = "dropped"  # the webhook is gone, switched off, or no longer wants such events
    HELD = "held"
    FAILED = "failed"
    SWITCHED_OFF = "switched_off"


class Result(NamedTuple):
    """The result of an attempt.

    Attributes:
        outcome: What became of the message.
        attempt: The request that was made, if one was made.
        breaker_opened_at: When the webhook's breaker was opened, if it is open.
    """

    outcome: Outcome
    attempt: Attempt | None = None
    breaker_opened_at: str | None = None


class Deliverer:
    """Delivers messages.

    Args:
        table: The table.
        master: Returns the master secret of webhooks.
        post: Sends a request to a receiver.
        now: Returns the time.
    """

    def __init__(
        self,
        table: Table,
        *,
        master: Callable[[], bytes],
        post: Post,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._table = table
        self._master = master
        self._post = post
        self._now = now

    def deliver(self, message: Message) -> Result:
        """Attempt a delivery once.  While the webhook's breaker is open, hold the event instead.

        Args:
            message: The message.

        Raises:
            ServiceUnavailable: AWS stays out of reach.
        """
        for _ in range(3):
            webhook = self._wanting(message)
            if webhook is None:
                return Result(Outcome.DROPPED)
            if "breaker_opened_at" not in webhook:
                return self._attempt(webhook, message)
            if self._hold(webhook, message):
                return Result(Outcome.HELD, None, str(webhook["breaker_opened_at"]))
        raise ServiceUnavailable  # the breaker was opened and closed again and again

    def probe(self, workspace_id: str, webhook_id: str) -> Result:
        """Attempt the oldest event that is held for a webhook.  If it is delivered, close the breaker.

        If no event is held any more, close the breaker: the next event shows whether the address answers.

        Args:
            workspace_id: The workspace.
            webhook_id: The webhook.

        Returns:
            ``FAILED`` while the breaker stays open; else it is closed, or the webhook is gone or switched off.

        Raises:
            ServiceUnavailable: AWS stays out of reach.
        """
        webhook = self._table.get(webhook_key(workspace_id, webhook_id))
        if webhook is None or "switched_off_at" in webhook:
            return Result(Outcome.DROPPED)
        if "breaker_opened_at" not in webhook:
            return Result(Outcome.DELIVERED)
        for key, message in self.held(workspace_id, webhook_id):
            result = self._attempt(webhook, message)
            if result.outcome is Outcome.DELIVERED:
                self.drop_held(key)
            return result
        self._change(webhook, remove=["breaker_opened_at"])
        return Result(Outcome.DROPPED)

    def held(self, workspace_id: str, webhook_id: str) -> Iterator[tuple[Key, Message]]:
        """Yield the events that are held for a webhook and their keys, the oldest first; delete those that are too old.

        An event that is held again meanwhile is not yielded again: it stands where it stood.

        Raises:
            ServiceUnavailable: The database stays out of reach.
        """
        for item in self._table.walk(held_delivery_key(workspace_id, webhook_id, "", "").pk, at_once=100):
            key = key_of(item)
            if int(str(item["deleted_after"])) > self._now().timestamp():
                yield key, Message(workspace_id, webhook_id, json.loads(str(item["event"])))
            else:
                self.drop_held(key)

    def drop_held(self, *keys: Key) -> None:
        """Delete a few events that are held.

        Raises:
            ServiceUnavailable: The database stays out of reach.
        """
        self._table.transact({key.sk: delete(key) for key in keys})

    def _wanting(self, message: Message) -> Item | None:
        webhook = self._table.get(webhook_key(message.workspace_id, message.webhook_id))
        return webhook if webhook is not None and wants(webhook, message.event["event_type"]) else None

    def _attempt(self, webhook: Item, message: Message) -> Result:
        body = json.dumps(message.event, separators=(",", ":"))
        attempt = self._post(str(webhook["url"]), body.encode(), self._headers(webhook, message, body))
        if attempt.is_delivered:
            if "failing_since" in webhook:
                self._change(webhook, remove=OF_FAILURE)
            return Result(Outcome.DELIVERED, attempt)
        return self._failed(webhook, message, attempt)

    def _headers(self, webhook: Item, message: Message, body: str) -> dict[str, str]:
        """Return the headers as Svix names them; the SDKs' ``SeamWebhook`` reads these."""
        secret = webhook_secret(self._master(), message.webhook_id, str(webhook["secret_version"]))
        at, event_id = self._now(), str(message.event["event_id"])
        return {
            "Content-Type": "application/json",
            "User-Agent": _USER_AGENT,
            "svix-id": event_id,
            "svix-timestamp": str(int(at.timestamp())),
            "svix-signature": Signer(secret).sign(event_id, at, body),
        }

    def _failed(self, webhook: Item, message: Message, attempt: Attempt) -> Result:
        now = self._now()
        failed = Result(Outcome.FAILED, attempt)
        if "failing_since" not in webhook:
            self._change(webhook, assign={"failing_since": timestamp(now)})
            return failed
        failing_for = now - datetime.fromisoformat(str(webhook["failing_since"]))
        if failing_for >= _SWITCHED_OFF_AFTER:
            self._change(webhook, assign={"switched_off_at": timestamp(now)})
            return Result(Outcome.SWITCHED_OFF, attempt)
        if "breaker_opened_at" in webhook or failing_for < _BREAKER_OPENS_AFTER:
            return failed
        opened: Item = {"breaker_opened_at": timestamp(now)}
        # If another delivery has changed how the webhook stands, this event is simply tried again.
        is_held = self._change(webhook, assign=opened) and self._hold({**webhook, **opened}, message)
        return Result(Outcome.HELD, attempt, str(opened["breaker_opened_at"])) if is_held else failed

    def _hold(self, webhook: Item, message: Message) -> bool:
        """Hold an event, if the breaker is still open as it was read.  Return whether it is held."""
        event = message.event
        key = held_delivery_key(message.workspace_id, message.webhook_id, event["created_at"], event["event_id"])
        held: Item = {
            "event": json.dumps(event, separators=(",", ":")),
            "deleted_after": int((self._now() + HELD_FOR).timestamp()),
        }
        where = {"breaker_opened_at": webhook["breaker_opened_at"]}
        webhook_is_same = require(webhook_key(message.workspace_id, message.webhook_id), where)
        return not self._table.transact({"webhook": webhook_is_same, "held": put(key, held)})

    def _change(self, webhook: Item, *, assign: Item | None = None, remove: tuple[str, ...] | list[str] = ()) -> bool:
        """Change how a webhook stands, if that is still as it was read.  Return whether it was changed."""
        key = webhook_key(str(webhook["workspace_id"]), str(webhook["webhook_id"]))
        where = {name: webhook.get(name) for name in OF_FAILURE}
        return not self._table.transact({"webhook": change(key, assign=assign or {}, remove=remove, where=where)})
