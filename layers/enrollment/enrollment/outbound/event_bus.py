"""The EventBridge bus, from which the owner of the account can send events anywhere."""

import json
from collections.abc import Mapping, Sequence
from itertools import batched
from typing import Any

from enrollment.errors import ServiceUnavailable
from enrollment.outbound.failures import telling_failures

SOURCE = "enrollment-automations"

# EventBridge takes ten entries, and 1 MB in all, with one request (EventBridge API reference, "PutEvents").
_MOST_ENTRIES = 10


class EventBus:
    """An EventBridge bus.  Events only go out by it: nothing of this service reads from a bus that others may own.

    Args:
        client: From ``outbound.clients``.
        name: The bus's name or ARN.
    """

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name

    def put(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Put events on the bus (contract, "Events": the detail type is the event's type, the detail the event).

        Args:
            events: The events, as ``/events/get`` answers them.

        Raises:
            ServiceUnavailable: EventBridge did not take one of them.  Others may have been taken.
            RefusedError: There is no such bus, or it does not let this function in.
        """
        for some in batched(events, _MOST_ENTRIES, strict=False):
            entries = [
                {
                    "EventBusName": self._name,
                    "Source": SOURCE,
                    "DetailType": event["event_type"],
                    "Detail": json.dumps(event),
                    "Time": event["occurred_at"],
                }
                for event in some
            ]
            with telling_failures():
                answer = self._client.put_events(Entries=entries)
            if answer.get("FailedEntryCount"):
                raise ServiceUnavailable
